"""Metrics tables of translators with known means, as lskd/metrics writes them; the rows are of `synthetic.runs`."""

import math
from typing import Any

import numpy as np
import pandas as pd

DECODED = (0.5, 0.8, 1.0, 1.3, 1.6)
TEXTS = {"bleu": "case:mixed|tok:13a", "bleu_tokenised_lowercase": "case:lc|tok:13a", "chrf": "nc:6"}  # signatures


def bleu(rows: list[dict[str, Any]], at=(1.0,)) -> pd.DataFrame:
    """BLEU 26 falls to 22 with T, and a little with the decoding temperature; the other scores are near."""
    random = np.random.default_rng(6)
    numbers = []
    for row in rows:
        fall = 0 if math.isnan(row["temperature"]) else math.log(row["temperature"])
        fall += 0.8 * row["label_smoothing"] * fall
        for split in ("val", "test"):
            for t in at:
                value = 26 - fall - 2 * abs(t - 1 - row["label_smoothing"]) + random.normal(0, 0.2)
                for i, (metric, text) in enumerate(TEXTS.items()):
                    own = {"split": split, "temperature_at": t, "metric": metric, "value": value + i, "signature": text}
                    numbers.append(row | own)
    return pd.DataFrame(numbers)


def bleu_history(rows: list[dict[str, Any]], updates=(100, 200, 300, 400, 500)) -> pd.DataFrame:
    """BLEU rises to 26, later with LS."""
    random = np.random.default_rng(7)
    numbers = []
    for row in rows:
        for update in updates:
            value = 26 * (1 - math.exp(-update / (150 + 300 * row["label_smoothing"]))) + random.normal(0, 0.2)
            for metric, text in TEXTS.items():
                own = {"split": "val", "update": update, "metric": metric, "value": value, "signature": text}
                numbers.append(row | own)
    return pd.DataFrame(numbers)


def next_token(rows: list[dict[str, Any]], at=(1.0,)) -> pd.DataFrame:
    """NLL and ECE lowest at T 1.8 for hard targets and at 0.9 with LS, which were fitted; 0.01 more ECE on val."""
    numbers = []
    for row in rows:
        best = 0.9 if row["label_smoothing"] else 1.8
        for split, more in (("val", 0.01), ("test", 0.0)):
            for t, is_fitted in [*((t, False) for t in at), (best + 0.002 * row["seed"], True)]:
                away = 0.0 if is_fitted else abs(math.log(t / best))
                ece = (0.02 if is_fitted else 0.02 + 0.1 * away) + more + 0.002 * row["seed"]
                values = {"nll": 1.6 + away**2 + 0.01 * row["seed"], "accuracy": 0.6, "ece": ece}
                for metric, value in values.items():
                    own = {"split": split, "temperature_at": t, "is_fitted": is_fitted, "metric": metric}
                    numbers.append(row | own | {"value": value})
    return pd.DataFrame(numbers)


STORES = {  # what was kept for a student of each variant
    "": {"way": "kd", "kept": math.nan, "tail": False, "sampled": math.nan},
    "kd_top_k-k4": {"way": "kd_top_k", "kept": 4.0, "tail": False, "sampled": math.nan},
    "kd_top_k-k32": {"way": "kd_top_k", "kept": 32.0, "tail": False, "sampled": math.nan},
    "kd_top_k-k32-tail": {"way": "kd_top_k", "kept": 32.0, "tail": True, "sampled": math.nan},
    "kd_sample": {"way": "kd_sample", "kept": math.nan, "tail": False, "sampled": 64.0},
}


def truncated(rows: list[dict[str, Any]], lost: float = 5.0) -> dict[str, pd.DataFrame]:
    """The families of `truncation`: students of each store, BLEU less by `lost` a factor e of T for top-4 alone."""
    students = [
        row | {"variant": variant, "run": f"{row['run']}-{variant}"}
        for row in rows
        if row["role"] == "student"
        for variant in STORES
        if variant != "kd_sample" or row["temperature"] == 1
    ]
    scores = bleu(students)
    is_cut = scores["variant"].eq("kd_top_k-k4")
    scores["value"] -= is_cut * lost * np.log(scores["temperature"])
    return {"bleu": scores, "token_targets": pd.DataFrame([row | STORES[row["variant"]] for row in students])}
