"""Fixed, stratified splits."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lskd.data.arrays import Arrays, Samples
from lskd.errors import UserError

_TEST_SEED = 20200


def stratified_mask(labels_n: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose about `fraction` of each class; True [N] marks the chosen samples.

    Of a class with n samples, round(fraction * n) are chosen, but at least 1 and at most n - 1: both sides keep every
    class that has two samples (of a class with one sample, none is chosen). The choice depends on the labels, the
    fraction and the seed alone, and in each class on that class alone.
    """
    chosen = np.zeros(len(labels_n), dtype=bool)
    for label in np.unique(labels_n):
        members = np.flatnonzero(labels_n == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        # RandomState, for NumPy promises that its stream never changes
        order = np.random.RandomState([seed, int(label)]).permutation(len(members))
        chosen[members[order[:count]]] = True
    return chosen


def check_labels(root: Path, split: str, labels_n: np.ndarray, classes: int) -> None:
    """UserError unless all labels are in 0..classes-1."""
    if len(labels_n) and (labels_n.min() < 0 or labels_n.max() >= classes):
        hint = "; -1 means unlabelled: leave that part out" if labels_n.min() == -1 else ""
        raise UserError(
            f"{root}: {split} labels run from {labels_n.min()} to {labels_n.max()}; with {classes} classes "
            f"0 to {classes - 1} are allowed{hint}"
        )


def with_test(
    root: Path,
    parts: Mapping[str, Samples],
    classes: tuple[str, ...],
    test_fraction: float | None,
    skipped: Mapping[tuple[str, str], Mapping[str, int]] | None = None,
) -> Arrays:
    """A data set of the parts "train" and, where they are given, "test" and "val".

    Without test, a fixed, stratified `test_fraction` of train becomes it. Raises UserError, which names `root`, for
    labels of no class.
    """
    for split, samples in parts.items():
        check_labels(root, split, samples.labels, len(classes))
    train, test = parts["train"], parts.get("test")
    if test is None:
        if test_fraction is None:
            raise UserError(f"{root}: no test split any more, which was there when this job was planned; run again")
        mask_n = stratified_mask(train.labels, test_fraction, _TEST_SEED)
        train, test = train.where(~mask_n), train.where(mask_n)
    return Arrays(train, test, classes, parts.get("val"), skipped or {})
