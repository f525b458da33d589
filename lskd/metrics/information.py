"""Mutual information between the index of a training image and a logit difference (Mueller 2019, section 4)."""

import math

import numpy as np
from scipy.special import logsumexp

from lskd.errors import UserError
from lskd.metrics.inputs import Array, Row, RunData


def mutual_information(values_xl: Array) -> float:
    """Estimate of I(X; Y) in nats, 0..log N, from L augmented draws of Y for each of N images; values [N, L].

    X is uniform over N images and p(y | x) Gaussian with mean mu_x and one variance s2 = mean_x,l (y_xl - mu_x)^2:
    I = mean_x,l [log p(y_xl | x) - log(1/N sum_x' p(y_xl | x'))], log p(y | x) = -(y - mu_x)^2 / (2 s2) + const.
    Mueller prints (y - mu_x)^2 / (2 s2) without its minus sign, log sum_x without 1/N and a sum over x for the mean;
    taken literally that is unbounded, while the text bounds I by 0 and log N, as this does. All L draws are used, and
    a negative Monte Carlo estimate counts as 0. Without any variance, Y is discrete and I is its entropy.
    With few draws it is biased upwards: equal images read 0.11 nats at N = 600 and L = 5, where log N is 6.4.
    """
    means_x = values_xl.mean(1)
    values_y = values_xl.ravel()
    variance = float(((values_xl - means_x[:, None]) ** 2).mean())
    squared_yx = (values_y[:, None] - means_x) ** 2
    own_y = np.repeat(np.arange(len(means_x)), values_xl.shape[1])
    log_yx = -squared_yx / (2 * variance) if variance > 0 else np.where(squared_yx == 0, 0.0, -np.inf)
    mixture_y = logsumexp(log_yx, axis=1) - math.log(len(means_x))
    estimate = (log_yx[np.arange(len(values_y)), own_y] - mixture_y).mean()
    return float(np.clip(estimate, 0, math.log(len(means_x))))


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
