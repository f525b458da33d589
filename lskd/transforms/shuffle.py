"""Shuffle logits within each class: a class keeps all that is said of it, an image nothing of what is said of it."""

import numpy as np

from lskd.transforms.classes import Array, by_class

OPTIONS = ()


def transform(logits_nk: Array, labels_n: Array, rng: np.random.Generator) -> Array:
    """Each image has the logits of another of its class, by a random cycle through all of them.

    None keeps its own, but in a class of one. Rows are moved whole, so every statistic of a class is what it was.
    """
    out_nk = np.empty_like(logits_nk)
    for images in by_class(labels_n):
        cycle = rng.permutation(images)
        out_nk[cycle] = logits_nk[np.roll(cycle, 1)]
    return out_nk
