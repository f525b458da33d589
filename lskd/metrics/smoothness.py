"""How soft a teacher's targets are: equivalent label smoothing gamma (Mueller 2019, section 4) and entropy."""

import numpy as np
from scipy.special import entr, softmax

from lskd.metrics.inputs import Array, Row, RunData

TEMPERATURES = (1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 16.0)  # Mueller 2019, A.1


def gamma(labels_n: Array, probabilities_nk: Array) -> float:
    """gamma = E[sum_k (1 - y_k) p_k K / (K - 1)]: the mass on wrong classes, as alpha counts it (Mueller 2019, sec. 4).

    Labels [N], probabilities [N, K]. Targets smoothed by alpha (uniformly) have gamma = alpha; uniform ones 1.
    """
    classes = probabilities_nk.shape[1]
    own_n = np.take_along_axis(probabilities_nk, labels_n[:, None], 1)[:, 0]
    return float((1 - own_n).mean() * classes / (classes - 1))


def entropy(probabilities_nk: Array) -> float:
    """Mean over samples of -sum_k p_k ln p_k in nats, 0 to ln K; probabilities [N, K]."""
    return float(entr(probabilities_nk).sum(1).mean())


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, temperature_at, metric, value) of each teacher on train, at T in options.temperatures.

    Metrics gamma, and entropy in nats.
    """
    rows = []
    for run in runs:
        if run.row["role"] != "teacher":
            continue
        labels_n, logits_nk = run.logits("train")
        for temperature in options.get("temperatures") or TEMPERATURES:
            targets_nk = softmax(logits_nk / temperature, axis=1)
            own = run.row | {"split": "train", "temperature_at": float(temperature)}
            rows.append(own | {"metric": "gamma", "value": gamma(labels_n, targets_nk)})
            rows.append(own | {"metric": "entropy", "value": entropy(targets_nk)})
    return rows
