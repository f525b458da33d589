import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.metrics.classwise import class_moments
from lskd.metrics.clusters import cluster_distances
from lskd.metrics.diffusion import centroids
from lskd.metrics.projection import first_of_each
from tests.metrics.made import quick

SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def split(labels_n, vectors_nh, sizes):
    edges = np.cumsum(sizes)[:-1]
    return zip(np.split(labels_n, edges), np.split(vectors_nh, edges), strict=True)


@quick
@given(st.integers(0, 2**32 - 1), SIZES)
def test_batches_give_what_all_samples_give_at_once(seed, sizes):
    draw = np.random.default_rng(seed)
    labels_n, vectors_nh = draw.integers(0, 4, sum(sizes)), draw.normal(size=(sum(sizes), 3)) + 5
    found = class_moments(split(labels_n, vectors_nh, sizes), 4)
    for c in range(4):
        own = vectors_nh[labels_n == c]
        assert found.count_k[c] == len(own)
        if len(own):
            np.testing.assert_allclose(found.mean_kh[c], own.mean(0), atol=1e-9)
            assert found.scatter_k[c] == pytest.approx(((own - own.mean(0)) ** 2).sum(), abs=1e-9)
        else:
            assert np.isnan(found.mean_kh[c]).all()


def test_a_tight_cluster_far_away_keeps_its_digits():
    draw = np.random.default_rng(1)
    offsets = draw.normal(size=(1000, 2)) * 1e-4
    found = class_moments(split(np.zeros(1000, dtype=int), 1e6 + offsets, [10] * 100), 1)
    assert found.scatter_k[0] == pytest.approx(((offsets - offsets.mean(0)) ** 2).sum(), rel=1e-4)


def test_no_batch_is_told():
    with pytest.raises(UserError, match="no sample"):
        class_moments([], 3)


def stream(batches):
    draw = np.random.default_rng(0)
    for _ in range(batches):
        yield np.arange(64) % 4, draw.normal(size=(64, 256))


@pytest.mark.parametrize(
    "reader",
    [
        lambda batches: centroids(batches, 4),
        lambda batches: cluster_distances(batches, [0, 1, 2], 4),
        lambda batches: first_of_each(batches, [0, 1, 2], 20),
        lambda batches: first_of_each(batches, [0, 1, 5], 20),  # reads to the end for a class that never comes
    ],
)
def test_memory_does_not_grow_with_the_samples(reader):
    reader(stream(2))  # first calls import and cache
    peaks = []
    for batches in (4, 400):
        tracemalloc.start()
        reader(stream(batches))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 20_000  # one batch is 131 072 bytes
