"""Calibration and selective classification, before and after temperature scaling (Guo et al. 2017; Mueller 2019)."""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from lskd.metrics.accuracy import nll
from lskd.metrics.inputs import Array, Batch, Row, RunData
from lskd.metrics.selective import aurc, excess_aurc

BINS = 15  # Mueller 2019, figure 2
LOWEST, HIGHEST = 0.01, 100.0  # temperatures
SCORES = ("ece", "ece_mass", "ece_classwise", "brier", "nll", "aurc", "e_aurc")


class Bins(NamedTuple):
    """By bin: samples [B], mean confidence [B] and accuracy [B] (0..1; NaN in an empty bin); edges [B + 1]."""

    count_b: Array
    confidence_b: Array
    accuracy_b: Array
    edges: Array


def confidences(labels_n: Array, logits_nk: Array, temperature: float = 1.0) -> Batch:
    """The highest probability [N] of softmax(logits / temperature), and whether its class is the label [N] (0 or 1)."""
    return _of_highest(labels_n, logits_nk, softmax(logits_nk / temperature, axis=1))


def _of_highest(labels_n: Array, logits_nk: Array, probabilities_nk: Array) -> Batch:
    return probabilities_nk.max(1), (logits_nk.argmax(1) == labels_n).astype(np.float64)


def width_edges(confidence_n: Array, bins: int = BINS) -> Array:
    """Edges [bins + 1] of bins of equal width over 0..1."""
    return np.linspace(0, 1, bins + 1)


def mass_edges(confidence_n: Array, bins: int = BINS) -> Array:
    """Edges [bins + 1] of bins with equally many samples: the quantiles of the confidences.

    Equal confidences share a bin, so the result does not depend on the order of the samples.
    """
    return np.quantile(confidence_n, np.linspace(0, 1, bins + 1))


def binned(confidence_n: Array, correct_n: Array, edges: Array) -> Bins:
    """Samples by bin (lower, upper], as in Guo et al. 2017; the first bin holds its lower edge too."""
    index_n = np.searchsorted(edges[1:-1], confidence_n, side="left")
    bins = len(edges) - 1
    count_b = np.bincount(index_n, minlength=bins)
    filled_b = np.where(count_b > 0, count_b, np.nan)
    confidence_b = np.bincount(index_n, confidence_n, bins) / filled_b
    return Bins(count_b, confidence_b, np.bincount(index_n, correct_n, bins) / filled_b, edges)


def expected_error(bins: Bins) -> float:
    """Expected calibration error (0..1): sum_b n_b / N |accuracy_b - confidence_b| (Guo et al. 2017, eq. 3)."""
    gap_b = np.abs(bins.accuracy_b - bins.confidence_b)
    return float(np.nansum(gap_b * bins.count_b) / bins.count_b.sum())


def ece(confidence_n: Array, correct_n: Array) -> float:
    """Expected calibration error over 15 bins of equal width; confidences [N] and hits [N] (0 or 1)."""
    return expected_error(binned(confidence_n, correct_n, width_edges(confidence_n)))


def ece_mass(confidence_n: Array, correct_n: Array) -> float:
    """Expected calibration error over 15 bins with equally many samples; confidences [N] and hits [N] (0 or 1)."""
    return expected_error(binned(confidence_n, correct_n, mass_edges(confidence_n)))


def ece_classwise(labels_n: Array, probabilities_nk: Array) -> float:
    """Class-wise calibration error (0..1): the mean over classes k of sum_b n_kb / N |share of k in bin b - mean p_k|.

    15 bins of equal width of each class's own probabilities, over all samples (Kull 2019, section 2; Nixon 2019, SCE).
    Labels [N], probabilities [N, K].
    """
    samples, classes = probabilities_nk.shape
    index_nk = np.searchsorted(width_edges(probabilities_nk)[1:-1], probabilities_nk, side="left")
    index_nk += BINS * np.arange(classes)  # a bin of each class
    gap_nk = probabilities_nk.copy()
    gap_nk[np.arange(samples), labels_n] -= 1
    gap_kb = np.bincount(index_nk.ravel(), gap_nk.ravel(), BINS * classes)  # n_kb times share less mean
    return float(np.abs(gap_kb).sum() / (samples * classes))


def brier(labels_n: Array, probabilities_nk: Array) -> float:
    """Brier score (0..2): mean over samples of sum_k (p_k - y_k)^2 (Brier 1950); labels [N], probabilities [N, K]."""
    own_n = np.take_along_axis(probabilities_nk, labels_n[:, None], 1)[:, 0]
    return float(((probabilities_nk**2).sum(1) - 2 * own_n + 1).mean())


def fit_temperature(labels_n: Array, logits_nk: Array) -> float:
    """The T in 0.01..100 that minimises the NLL of softmax(logits / T) (Guo et al. 2017, section 4.2).

    Labels [N], logits [N, K]. The NLL is convex in 1 / T, so it has one minimum along log T, where it is searched.
    Where no label lies below another logit it falls all the way to T = 0: nothing can be fitted, and T is NaN.
    """
    if (np.take_along_axis(logits_nk, labels_n[:, None], 1) >= logits_nk).all():
        return math.nan

    def loss(log_t: float) -> float:
        return nll(labels_n, logits_nk / np.exp(log_t))

    minimum = minimize_scalar(loss, bounds=np.log([LOWEST, HIGHEST]), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(minimum.x))


def scores(labels_n: Array, logits_nk: Array, temperature: float) -> dict[str, float]:
    """SCORES of logits [N, K] divided by a temperature; NaN where that is."""
    if math.isnan(temperature):
        return dict.fromkeys(SCORES, math.nan)
    probabilities_nk = softmax(logits_nk / temperature, axis=1)
    both = _of_highest(labels_n, logits_nk, probabilities_nk)
    of_both = {"ece": ece(*both), "ece_mass": ece_mass(*both), "aurc": aurc(*both), "e_aurc": excess_aurc(*both)}
    return of_both | {
        "ece_classwise": ece_classwise(labels_n, probabilities_nk),
        "brier": brier(labels_n, probabilities_nk),
        "nll": nll(labels_n, logits_nk / temperature),
    }


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, metric, value) on val and test, before and after scaling by the temperature that was fitted on val.

    Metrics: SCORES, the same with _scaled, and temperature. Those with _scaled and the temperature are NaN where none
    could be fitted because val has no error, ties aside.
    """
    rows = []
    for run in runs:
        fitted = fit_temperature(*run.logits("val"))
        for split in ("val", "test"):
            labels_n, logits_nk = run.logits(split)
            values = {"temperature": fitted}
            for suffix, temperature in (("", 1.0), ("_scaled", fitted)):
                values |= {name + suffix: value for name, value in scores(labels_n, logits_nk, temperature).items()}
            rows += [run.row | {"split": split, "metric": name, "value": values[name]} for name in sorted(values)]
    return rows
