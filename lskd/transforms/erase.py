"""Erase what a teacher tells of an image beyond its class, by degrees."""

import numpy as np

from lskd.study.options import Option, Weight
from lskd.transforms.classes import Array, by_class

OPTIONS = (
    Option(
        "keep",
        Weight,
        0.0,
        "lambda, the share of each image's difference from its class's mean that is kept",
        short="keep",
        axis=True,
        always_named=True,
    ),
)


def transform(logits_nk: Array, labels_n: Array, rng: np.random.Generator, *, keep: float = 0.0) -> Array:
    """m_y + lambda (z - m_y), with m_y the mean logits of the images of class y at this draw.

    At lambda = 1 these are the logits themselves, to the bit; at 0 every image of a class has the same. What a softmax
    makes of them does not depend on shifts of rows: the means of centred rows are the centred means.
    """
    if keep == 1:
        return logits_nk
    out_nk = np.empty_like(logits_nk)
    for images in by_class(labels_n):
        own_ck = logits_nk[images].astype(np.float64)
        mean_k = own_ck.mean(0)
        out_nk[images] = mean_k + keep * (own_ck - mean_k)
    return out_nk
