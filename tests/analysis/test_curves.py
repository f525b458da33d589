"""Curves against dense sums, closed forms and SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, spearmanr

from lskd.analysis.curves import at_equal, at_x, crossing, slope, spearman

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=40, deadline=None)


def line(xs, ys, x):
    """The value at x of straight lines between points, by hand."""
    points = sorted(zip(xs, ys, strict=True))
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        if x0 <= x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return np.nan


@quick
@given(SEEDS)
def test_both_gaps_are_dense_means_over_the_common_range(seed):
    random = np.random.default_rng(seed)
    x_hard, x_ls = (np.sort(random.uniform(0, 4, 5)) for _ in range(2))
    hard, ls = random.normal(size=(2, 5))
    low, high = max(x_hard[0], x_ls[0]), min(x_hard[-1], x_ls[-1])
    same_x, same_t = at_equal(x_hard, hard, x_ls, ls)
    if low >= high:
        assert np.isnan([same_x, same_t]).all()
        return
    middles = low + (high - low) * (np.arange(4000) + 0.5) / 4000
    dense_x = np.mean([line(x_ls, ls, x) - line(x_hard, hard, x) for x in middles])
    dense_t = np.mean([line(x_ls, ls - hard, x) for x in middles])
    assert (same_x, same_t) == pytest.approx((dense_x, dense_t), abs=2e-3)


def test_accuracy_of_softness_alone_has_no_gap_at_the_same_softness():
    x_hard, x_ls = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.5, 2.5, 4.0])
    same_x, same_t = at_equal(x_hard, 90 - x_hard, x_ls, 90 - x_ls)
    assert same_x == pytest.approx(0, abs=1e-12) and same_t < -0.4


def test_accuracy_of_t_alone_has_no_gap_at_the_same_t():
    x_hard, x_ls, top1 = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.5, 2.5, 4.0]), np.array([9.0, 8, 6, 3])
    same_x, same_t = at_equal(x_hard, top1, x_ls, top1)
    assert same_t == 0 and same_x > 0.5


@quick
@given(SEEDS)
def test_the_order_of_t_does_not_matter_and_the_gap_shifts_with_accuracy(seed):
    random = np.random.default_rng(seed)
    x_hard, x_ls, hard, ls = random.uniform(0, 4, (4, 6))
    order = random.permutation(6)
    expected = at_equal(x_hard, hard, x_ls, ls)
    assert at_equal(x_hard[order], hard[order], x_ls[order], ls[order]) == pytest.approx(expected, nan_ok=True)
    more = tuple(value + 2 for value in expected)
    assert at_equal(x_hard, hard, x_ls, ls + 2) == pytest.approx(more, nan_ok=True)


def test_no_common_range_or_nothing_measured_is_unknown():
    assert np.isnan(at_equal(np.array([0.0, 1]), np.ones(2), np.array([2.0, 3]), np.ones(2))).all()
    assert np.isnan(at_equal(np.array([0.0, np.nan]), np.ones(2), np.array([0.0, 3]), np.ones(2))).all()


def test_a_value_between_points_and_none_outside():
    xs, ys = np.array([2.0, 0.0, 1.0]), np.array([5.0, 1.0, 2.0])
    assert at_x(xs, ys, 1.5) == line(xs, ys, 1.5) == 3.5
    assert at_x(xs, ys, 2.0) == 5 and np.isnan(at_x(xs, ys, 2.1)) and np.isnan(at_x(xs, ys, np.nan))


@quick
@given(SEEDS)
def test_the_slope_is_scipys(seed):
    random = np.random.default_rng(seed)
    keeps, top1_sjk = np.array([0, 0.25, 0.5, 1]), random.normal(size=(3, 2, 4))
    slopes = slope(keeps, top1_sjk)
    for place in np.ndindex(3, 2):
        assert slopes[place] == pytest.approx(linregress(keeps, top1_sjk[place]).slope, abs=1e-9)


@pytest.mark.parametrize(
    ("wanted", "expected"), [(75.0, 0.5), (74.5, 0.375), (77.0, 1.0), (74.0, 0.25), (73.0, np.nan), (78.0, np.nan)]
)
def test_the_lambda_of_a_level_is_the_largest(wanted, expected):
    keeps, top1 = np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.array([76.0, 74.0, 75.0, 76.0, 77.0])
    assert crossing(keeps, top1, wanted) == pytest.approx(expected, nan_ok=True)


@quick
@given(SEEDS)
def test_rank_correlation_is_scipys(seed):
    random = np.random.default_rng(seed)
    x_k, y_k = random.integers(0, 5, (2, 7)).astype(float)  # with ties
    if np.ptp(x_k) and np.ptp(y_k):
        assert spearman(x_k, y_k) == pytest.approx(spearmanr(x_k, y_k).statistic, abs=1e-12)
    assert np.isnan(spearman(np.ones(4), y_k[:4]))
