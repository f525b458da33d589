"""Shen 2021's stability: eq. 2, Algorithm 1 (which is another number) and the inter-class stability of eq. 5-7.

The paper's tables print 1 - S and do not say by which S. Table 1 (0.289 to 0.336 on ImageNet) is likelier Algorithm 1:
for a calibrated network E||p||^2 = E[p_y] = m, so that by eq. 2 it is 1 - S <= m - m^2, at most 0.25. Table 10 (0.16 to
0.19, falling as accuracy rises) can hardly be eq. 5 on probability vectors, which is about 1/K sum_c (mean p_cc)^2 and
rises with accuracy; it has the size and trend of a standard deviation between classes: `inter_class_std`.
"""

import numpy as np
from scipy.special import softmax

from lskd.errors import UserError
from lskd.metrics.classwise import Moments, class_moments
from lskd.metrics.inputs import Array, Row, RunData


def stability_eq2(labels_n: Array, probabilities_nk: Array) -> float:
    """S = 1 - 1/K sum_c (1/n_c sum_i ||p_ic - mean p_c||^2), Shen 2021, eq. 2; at most 1.

    Labels [N], probabilities [N, K]; means over the classes that have samples.
    """
    return _eq2(_of_all(labels_n, probabilities_nk))


def _eq2(of_all: Moments) -> float:
    there_k = of_all.count_k > 0
    return float(1 - (of_all.scatter_k[there_k] / of_all.count_k[there_k]).mean())


def stability_algorithm1(labels_n: Array, probabilities_nk: Array) -> float:
    """S = 1 - 1/K sum_c std_i(p_i,c), over the samples i of class c: Shen 2021, appendix C, Algorithm 1.

    Labels [N], probabilities [N, K]; std is torch.std's (n_c - 1), so classes with one sample are left out. Raises
    UserError where no class has two.
    """
    return _algorithm1(_of_target(labels_n, probabilities_nk))


def _algorithm1(of_target: Moments) -> float:
    several_k = of_target.count_k > 1
    if not several_k.any():
        raise UserError("stability: no class has two images in this split; give it a larger part of the data")
    return float(1 - np.sqrt(of_target.scatter_k[several_k] / (of_target.count_k[several_k] - 1)).mean())


def stability_inter(labels_n: Array, probabilities_nk: Array) -> float:
    """S = 1 - 1/K sum_c ||mean p_c - mean p||^2, Shen 2021, eq. 5-7, on probability vectors; at most 1.

    Labels [N], probabilities [N, K]; `mean p` is over all samples.
    """
    return _inter(_of_all(labels_n, probabilities_nk), probabilities_nk.mean(0))


def _inter(of_all: Moments, mean_k: Array) -> float:
    apart_k = ((of_all.mean_kh[of_all.count_k > 0] - mean_k) ** 2).sum(1)
    return float(1 - apart_k.mean())


def inter_class_std(labels_n: Array, probabilities_nk: Array) -> float:
    """S = 1 - std_c(mean_i p_i,c): Algorithm 1's form between classes; Shen prints no formula for it (see above).

    Labels [N], probabilities [N, K]; std as torch.std. Raises UserError where fewer than two classes have samples.
    """
    return _inter_std(_of_target(labels_n, probabilities_nk))


def _inter_std(of_target: Moments) -> float:
    there_k = of_target.count_k > 0
    if there_k.sum() < 2:
        raise UserError("stability: this split has fewer than 2 classes; give it images of others")
    return float(1 - of_target.mean_kh[there_k].std(ddof=1))


def _of_all(labels_n: Array, probabilities_nk: Array) -> Moments:
    """Moments of the vectors of all classes' probabilities."""
    return class_moments([(labels_n, probabilities_nk)], probabilities_nk.shape[1])


def _of_target(labels_n: Array, probabilities_nk: Array) -> Moments:
    """Moments of the label's own probability."""
    target_n1 = np.take_along_axis(probabilities_nk, labels_n[:, None], 1)
    return class_moments([(labels_n, target_n1)], probabilities_nk.shape[1])


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, metric, value) of each run and split; metrics stability_eq2, _alg1, _inter and _inter_std."""
    rows = []
    for run in runs:
        for split in ("train", "test"):
            labels_n, logits_nk = run.logits(split)
            probabilities_nk = softmax(logits_nk, axis=1)
            of_all, of_target = _of_all(labels_n, probabilities_nk), _of_target(labels_n, probabilities_nk)
            values = {
                "stability_eq2": _eq2(of_all),
                "stability_alg1": _algorithm1(of_target),
                "stability_inter": _inter(of_all, probabilities_nk.mean(0)),
                "stability_inter_std": _inter_std(of_target),
            }
            rows += [run.row | {"split": split, "metric": name, "value": value} for name, value in values.items()]
    return rows
