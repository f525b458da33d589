"""Training curves, in long form."""

import math
import re

from scipy.special import softmax

from lskd.metrics.inputs import Row, RunData
from lskd.metrics.smoothness import entropy

# the variants that minimise plain distillation's w T^2 KL: they say how the teacher's logits come, and no other loss
PLAIN = re.compile(r"((online|draws\d+|float16)(-|$))*")


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (epoch, metric, value): each column of each run's history but `epoch` is a metric.

    Losses are in nats, accuracies in 0..1; train_loss is the objective that was trained on. Of students by plain
    distillation it holds w T^2 KL(teacher || student); train_cross_entropy has the cross-entropy of Shen 2021, eq. 4,
    instead: w T^2 H more, with H the mean entropy of the teacher's targets at T on the clean training images.
    """
    rows = []
    known: dict[tuple[str, float], float] = {}
    for run in runs:
        history = run.history()
        if "train_loss" in history and _is_plain(run):
            history["train_cross_entropy"] = history["train_loss"] + _entropy_part(run, known)
        for name in history:
            if name != "epoch":
                pairs = zip(history["epoch"], history[name], strict=True)
                rows += [run.row | {"epoch": int(e), "metric": name, "value": float(v)} for e, v in pairs]
    return rows


def _is_plain(run: RunData) -> bool:
    """Whether the run was taught by plain distillation."""
    return (
        run.teacher is not None and not math.isnan(run.row["temperature"]) and bool(PLAIN.fullmatch(run.row["variant"]))
    )


def _entropy_part(run: RunData, known: dict[tuple[str, float], float]) -> float:
    """w T^2 H of a student's teacher; H by teacher and T is kept in `known`."""
    assert run.teacher is not None
    temperature = run.row["temperature"]
    key = (run.row["teacher"], temperature)
    if key not in known:
        _, logits_nk = run.teacher.logits("train")
        known[key] = entropy(softmax(logits_nk / temperature, axis=1))
    return run.row["soft_weight"] * temperature**2 * known[key]
