"""Made-up translations and next-token predictions of runs, written as the stage writes them."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa

from lskd.io.seal import seal
from lskd.io.tables import write_table
from lskd.metrics.inputs import RunData
from tests.metrics.made import STUDENT, TEACHER, drawn, folder, sealed

WORDS = "das rote Haus steht hier und der alte Baum dort am Weg".split()
TOKENS, VOCABULARY = 90, 6  # of each split


def runs(root: Path, seeds: tuple[int, ...] = (0, 1)) -> list[RunData]:
    """By seed a hard and a smoothed teacher, a student of each at T = 1 and 2, and a hard one at T = 64."""
    networks = []
    for seed in seeds:
        for alpha in (0.0, 0.1):
            title = f"help/small/short/ls{alpha:g}/seed{seed}"
            own = {"run": title, "role": "teacher", "dataset": "help", "label_smoothing": alpha, "seed": seed}
            own |= {"temperature": math.nan, "soft_weight": math.nan, "lineage": "help/small/short"}
            teacher = RunData(TEACHER | own, folders(root, title, seed))
            networks.append(teacher)
            for t in (1.0, 2.0) if alpha else (1.0, 2.0, 64.0):
                below = f"help/small/short/kd-T{t:g}-ls{alpha:g}/seed{seed}"
                row = STUDENT | own | {"run": below, "role": "student", "teacher": title, "temperature": t}
                row |= {"soft_weight": 1.0, "teacher_model": "small", "student": 0}
                networks.append(RunData(row, folders(root, below, 10 * seed + round(10 * alpha) + int(t)), teacher))
    return networks


def folders(root: Path, title: str, seed: int) -> dict[str, Path]:
    """The folders of a run's jobs, by stage."""
    places = {stage: folder(root, stage, title) for stage in ("translate", "translate_snapshots", "train")}
    write_translations(places["translate"] / "translations.parquet", seed, (-1,), ("val", "test"), (0.5, 1.0))
    write_tokens(places["translate"] / "tokens.parquet", seed)
    write_translations(places["translate_snapshots"] / "translations.parquet", seed, (40, 5), ("val", "test"), (1.0,))
    return {stage: sealed(path) for stage, path in places.items()}


def taught(run: RunData, **supervision: object) -> None:
    """Say in a run's record how it was taught."""
    path = run.folders["train"]
    seal(path, [], {"address": path.name[-10:], "spec": {"supervision": supervision}})


def sentences(split: str, seed: int, errors: float) -> tuple[list[str], list[str]]:
    """References of a split, and the same with a share of the words replaced."""
    of_split = np.random.default_rng(len(split))
    rows = [list(of_split.choice(WORDS, of_split.integers(4, 11))) for _ in range(30)]
    draw = np.random.default_rng([seed, round(100 * errors), len(split)])
    wrong = [[str(draw.choice(WORDS)) if draw.random() < errors else word for word in row] for row in rows]
    return [" ".join(row) for row in wrong], [" ".join(row) for row in rows]


def write_translations(
    path: Path, seed: int, updates: tuple[int, ...], splits: tuple[str, ...], temperatures: tuple[float, ...]
) -> None:
    """Translations that are worse the fewer updates there were, and at other temperatures than 1."""
    rows = []
    for update in updates:
        for split in splits:
            for temperature in temperatures:
                errors = 0.25 + 0.2 * (temperature != 1) + (0.3 if update == 5 else 0)
                for i, (hypothesis, reference) in enumerate(zip(*sentences(split, seed, errors), strict=True)):
                    own = {"split": split, "update": update, "temperature": temperature, "sentence": i}
                    rows.append(own | {"hypothesis": hypothesis, "reference": reference})
    write_table(path, pa.Table.from_pylist(rows), {})


def logits(seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The tokens [N] of a split and their logits [N, V]."""
    return drawn(100 * seed + len(split), TOKENS, VOCABULARY)


def write_tokens(path: Path, seed: int) -> None:
    """Predictions at T 0.5 and 1, and at 1.25, which stands for the fitted one."""
    rows = []
    for split in ("val", "test"):
        labels_n, logits_nv = logits(seed, split)
        for temperature, is_fitted in ((0.5, False), (1.0, False), (1.25, True)):
            p_nv = np.exp(logits_nv / temperature)
            p_nv /= p_nv.sum(1, keepdims=True)
            for i, (label, p_v) in enumerate(zip(labels_n.tolist(), p_nv, strict=True)):
                own = {"split": split, "update": -1, "temperature": temperature, "is_fitted": is_fitted}
                own |= {"sentence": i // 3, "position": i % 3, "token": label}
                own |= {"nll": -math.log(p_v[label]), "confidence": float(p_v.max())}
                rows.append(own | {"is_correct": bool(p_v.argmax() == label)})
    write_table(path, pa.Table.from_pylist(rows), {})
