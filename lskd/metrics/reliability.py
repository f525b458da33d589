"""The bins of reliability diagrams (Mueller 2019, figures 2 and 3)."""

import math
from collections.abc import Iterator

from lskd.metrics.calibration import binned, confidences, fit_temperature, mass_edges, width_edges
from lskd.metrics.inputs import Array, Row, RunData


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, scaled, binning, bin, lower, upper, confidence, accuracy, count): 15 bins of the test images.

    `scaled` tells whether the logits were divided by the temperature fitted on val (no such rows where val has no error
    and nothing could be fitted); `binning` is width or mass.
    `lower` and `upper` are the bin's edges; confidence and accuracy are means in 0..1, NaN in an empty bin.
    """
    rows = []
    for run in runs:
        fitted = fit_temperature(*run.logits("val"))
        labels_n, logits_nk = run.logits("test")
        for scaled in (False,) if math.isnan(fitted) else (False, True):
            bins = bin_rows(*confidences(labels_n, logits_nk, fitted if scaled else 1.0))
            rows += [run.row | {"split": "test", "scaled": scaled} | each for each in bins]
    return rows


def bin_rows(confidence_n: Array, correct_n: Array) -> Iterator[Row]:
    """The columns binning, bin, lower, upper, confidence, accuracy and count of predictions, of both binnings.

    Confidences [N] in 0..1, hits [N] (0 or 1).
    """
    for binning, edges_of in (("width", width_edges), ("mass", mass_edges)):
        bins = binned(confidence_n, correct_n, edges_of(confidence_n))
        parts = zip(bins.edges, bins.edges[1:], bins.confidence_b, bins.accuracy_b, strict=False)
        for i, (lower, upper, confidence, accuracy) in enumerate(parts):
            edges = {"bin": i, "lower": float(lower), "upper": float(upper)}
            means = {"confidence": float(confidence), "accuracy": float(accuracy)}
            yield {"binning": binning} | edges | means | {"count": int(bins.count_b[i])}
