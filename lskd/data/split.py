"""Fixed, stratified splits."""

import numpy as np


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
