"""Top-k accuracy and negative log-likelihood."""

import numpy as np

from lskd.metrics.inputs import Array, Row, RunData


def top_k_accuracy(labels_n: Array, logits_nk: Array, k: int) -> float:
    """The share (0..1) of samples whose label is among the k highest logits.

    Labels [N], logits [N, K]. Among equal logits the class with the lower index comes first, as in argmax.
    """
    own_n1 = np.take_along_axis(logits_nk, labels_n[:, None], 1)
    before_nk = np.arange(logits_nk.shape[1]) < labels_n[:, None]
    ahead_n = ((logits_nk > own_n1) | ((logits_nk == own_n1) & before_nk)).sum(1)
    return float((ahead_n < k).mean())


def hits(labels_n: Array, logits_nk: Array) -> Array:
    """Whether each label [N] is the argmax of its logits [N, K], as bool [N]."""
    return logits_nk.argmax(1) == labels_n


def nll(labels_n: Array, logits_nk: Array) -> float:
    """Mean negative log-likelihood of the labels in nats: mean_n(log sum_k exp(z_nk) - z_n,y). Shapes [N], [N, K]."""
    below_nk = logits_nk - logits_nk.max(1, keepdims=True)  # the highest becomes 0, so that no exponential overflows
    own_n = np.take_along_axis(below_nk, labels_n[:, None], 1)[:, 0]
    return float((np.log(np.exp(below_nk).sum(1)) - own_n).mean())


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, metric, k, value): top1, top5 (top-k with k = min(5, K - 1)) and nll (k = 0) by run and split."""
    rows = []
    for run in runs:
        for split in ("val", "test"):
            labels_n, logits_nk = run.logits(split)
            k = max(1, min(5, logits_nk.shape[1] - 1))
            values = [
                ("top1", 1, top_k_accuracy(labels_n, logits_nk, 1)),
                ("top5", k, top_k_accuracy(labels_n, logits_nk, k)),
                ("nll", 0, nll(labels_n, logits_nk)),
            ]
            rows += [run.row | {"split": split, "metric": name, "k": k, "value": value} for name, k, value in values]
    return rows


def of_teachers(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, metric, value): top1 of each student's teacher, as it was when it taught, on val and test."""
    rows = []
    for run in runs:
        if run.teacher is not None:
            for split in ("val", "test"):
                value = top_k_accuracy(*run.teacher.logits(split), 1)
                rows.append(run.row | {"split": split, "metric": "top1", "value": value})
    return rows


def correct(runs: list[RunData], options: Row) -> list[Row]:
    """A row (split, images, correct) a run: which test images it classifies right, for paired tests over images.

    `correct` is in hexadecimal what np.packbits makes of the hits, in the order of the samples; `images` is their
    number, as the last byte is filled up with zeros.
    """
    rows = []
    for run in runs:
        hit_n = hits(*run.logits("test"))
        packed = np.packbits(hit_n).tobytes().hex()
        rows.append(run.row | {"split": "test", "images": len(hit_n), "correct": packed})
    return rows
