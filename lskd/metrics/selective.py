"""Selective classification: how well confidence ranks right above wrong (Geifman and El-Yaniv 2017; Geifman 2019).

Legend of suffixes: n samples, from the most confident down where they are sorted.
"""

import numpy as np

from lskd.metrics.inputs import Array


def aurc(confidence_n: Array, correct_n: Array) -> float:
    """Area under the risk-coverage curve (0..1): the mean over i = 1..N of the error of the i most confident samples.

    Confidences [N], hits [N] (0 or 1). Samples of equal confidence count as in random order, in the mean over orders.
    """
    _, place_n, count = np.unique(-confidence_n, return_inverse=True, return_counts=True)
    wrong = np.bincount(place_n, 1 - correct_n) / count  # share of errors at each confidence
    errors_n = np.cumsum(np.repeat(wrong, count))
    return float((errors_n / np.arange(1, len(errors_n) + 1)).mean())


def excess_aurc(confidence_n: Array, correct_n: Array) -> float:
    """AURC less that of the best ranking of these hits [N], which has all errors last (E-AURC; Geifman 2019)."""
    return aurc(confidence_n, correct_n) - aurc(correct_n, correct_n)
