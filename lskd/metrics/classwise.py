"""Means and scatter by class, in one pass over batches: memory grows with the classes, not with the samples."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from lskd.errors import UserError
from lskd.metrics.inputs import Array, Batch


class Moments(NamedTuple):
    """By class: count [K], mean [K, H], and scatter [K], the sum of squared distances from the class's own mean."""

    count_k: Array
    mean_kh: Array
    scatter_k: Array


def class_moments(batches: Iterable[Batch], classes: int) -> Moments:
    """Moments of batches of labels [B] in 0..classes-1 and vectors [B, H].

    Batches are merged pairwise (Chan, Golub and LeVeque 1979), so that a tight cluster far from the origin keeps its
    digits. The mean of a class without samples is NaN. Raises UserError without any sample.
    """
    merged = None
    for labels_n, vectors_nh in batches:
        part = _moments(labels_n, vectors_nh, classes)
        merged = part if merged is None else _merge(merged, part)
    if merged is None:
        raise UserError("no sample to measure; give this split a larger part of the data")
    count_k, mean_kh, scatter_k = merged
    return Moments(count_k, np.where(count_k[:, None] > 0, mean_kh, np.nan), scatter_k)


def _moments(labels_n: Array, vectors_nh: Array, classes: int) -> Moments:
    count_k = np.bincount(labels_n, minlength=classes).astype(np.float64)
    samples = len(labels_n)
    member_kn = csr_array((np.ones(samples), (labels_n, np.arange(samples))), shape=(classes, samples))
    mean_kh = (member_kn @ vectors_nh) / np.maximum(count_k, 1)[:, None]
    squared_n = ((vectors_nh - mean_kh[labels_n]) ** 2).sum(1)
    return Moments(count_k, mean_kh, np.bincount(labels_n, squared_n, classes))


def _merge(one: Moments, two: Moments) -> Moments:
    count_k = one.count_k + two.count_k
    share_k = two.count_k / np.maximum(count_k, 1)
    step_kh = two.mean_kh - one.mean_kh
    between_k = (step_kh**2).sum(1) * one.count_k * share_k
    return Moments(count_k, one.mean_kh + step_kh * share_k[:, None], one.scatter_k + two.scatter_k + between_k)
