"""Class-mean probabilities and the minor ones among them (Shen 2021, figure 4 and appendix F; Yuan 2020, figure S1)."""

import numpy as np
from scipy.special import softmax

from lskd.errors import UserError
from lskd.metrics.classwise import class_moments
from lskd.metrics.inputs import Array, Row, RunData

FIRST = 100  # Shen 2021, figure 4: the first 100 classes


def class_means(labels_n: Array, probabilities_nk: Array) -> Array:
    """Mean probabilities [K, K]: row c is the mean over the samples of class c, NaN where it has none; rows sum to 1.

    Labels [N], probabilities [N, K]. Off the diagonal lie Shen's minor probabilities.
    """
    return class_moments([(labels_n, probabilities_nk)], probabilities_nk.shape[1]).mean_kh


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, temperature_at, class, predicted, value): class-mean probabilities of the first 100 classes.

    On train and test, at each T of options.temperatures (1 unless given); minor probabilities have predicted != class.
    """
    rows = []
    for run in runs:
        for split in ("train", "test"):
            labels_n, logits_nk = run.logits(split)
            named = run.classes[:FIRST]
            if len(run.classes) != logits_nk.shape[1]:
                raise UserError(f"{run.row['run']}: logits of {logits_nk.shape[1]} classes, data of {len(run.classes)}")
            for temperature in options.get("temperatures") or [1.0]:
                means_kk = class_means(labels_n, softmax(logits_nk / temperature, axis=1))
                own = run.row | {"split": split, "temperature_at": float(temperature)}
                for c, k in np.ndindex(len(named), len(named)):
                    rows.append(own | {"class": named[c], "predicted": named[k], "value": float(means_kk[c, k])})
    return rows
