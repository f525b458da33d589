"""Mutual information between the index of a training image and a logit difference (Mueller 2019, section 4)."""

import math

import numpy as np
from scipy.special import entr, logsumexp

from lskd.errors import UserError
from lskd.metrics.inputs import Array, Row, RunData


def mutual_information(values_xl: Array) -> float:
    """Estimate of I(X; Y) in nats, 0..log N, from L >= 3 augmented draws of Y for each of N images; values [N, L].

    X is uniform over N images and p(y | x) Gaussian with mean mu_x and one variance s2 (Mueller 2019, section 4):
    I = h(Y) - h(Y | X), with h(Y | X) = log(2 pi e s2) / 2 and h(Y) = -E log p(y), p(y) = mean_x p(y | x).
    Means are taken without the draw at hand, as the image that a draw helped to place would always look close; s2 has
    L - 1 in its denominator; and the kernels of p(y) have the variance s2 (1 - 1 / (L - 1)): a mean of L - 1 draws is
    off by s2 / (L - 1), and with these the mean over many images tends to p(y) itself. So equal images read 0 and two
    tight clusters log 2 at any L. Mueller prints (y - mu_x)^2 / (2 s2) without its minus sign, log sum_x without 1/N
    and a sum over x for the mean: taken literally that is unbounded, while the text bounds I by 0 and log N, as this
    does. Its means contain the draw at hand, which at L = 5 reads 0.11 for equal images and 0.80 for two clusters.
    Without any variance, Y is discrete and I is its entropy.
    """
    images, draws = values_xl.shape
    variance = float(values_xl.var(1, ddof=1).mean())
    if variance == 0:
        _, counts = np.unique(values_xl[:, 0], return_counts=True)
        return float(entr(counts / images).sum())
    kernel = variance * (1 - 1 / (draws - 1))
    total_x = values_xl.sum(1)
    log_p_lx = []
    for value_x in values_xl.T:
        mean_x = (total_x - value_x) / (draws - 1)
        log_p_lx.append(logsumexp(-((value_x[:, None] - mean_x) ** 2) / (2 * kernel), axis=1))
    entropy = 0.5 * math.log(2 * math.pi * kernel) + math.log(images) - float(np.mean(log_p_lx))
    return float(np.clip(entropy - 0.5 * math.log(2 * math.pi * math.e * variance), 0, math.log(images)))


def differences(probe: dict[str, Array], epoch: int, one: int, two: int) -> Array:
    """Logit `one` minus logit `two` [N, L] at an epoch: a row for each probed image of these classes, a column a draw.

    Raises UserError where an image lacks a draw.
    """
    chosen_r = (probe["epoch"] == epoch) & np.isin(probe["label"], (one, two))
    order_r = np.lexsort((probe["draw"][chosen_r], probe["sample"][chosen_r]))
    difference_r = (probe["logits"][:, one] - probe["logits"][:, two])[chosen_r][order_r]
    images, draws = (len(np.unique(probe[key][chosen_r])) for key in ("sample", "draw"))
    if not len(difference_r) or len(difference_r) != images * draws:
        raise UserError(
            f"information: epoch {epoch} lacks a draw of some image of its classes; make its snapshots again"
        )
    return difference_r.reshape(images, draws)


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (epoch, samples, metric, value): mutual_information in nats of N samples at each probed epoch.

    The difference is that of the logits of options.classes, two names; unless given, of the two classes that were
    probed. Raises UserError for other than two, and for one that was not probed.
    """
    rows = []
    for run in runs:
        probe = run.snapshots()
        labels = [run.class_index(name, "classes") for name in options.get("classes") or []]
        probed = sorted({int(label) for label in probe["label"]})
        labels = labels or probed
        if len(labels) != 2 or len(set(labels) & set(probed)) != 2:
            known = ", ".join(run.classes[label] for label in probed)
            raise UserError(
                f"classes: found {len(labels)}, mutual information takes 2 that differ and were probed ({known})"
            )
        for epoch in np.unique(probe["epoch"]):
            values_xl = differences(probe, epoch, labels[0], labels[1])
            at = {"epoch": int(epoch), "samples": len(values_xl)}
            rows.append(run.row | at | {"metric": "mutual_information", "value": mutual_information(values_xl)})
    return rows
