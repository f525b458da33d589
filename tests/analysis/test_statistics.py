"""The paired comparison against scipy, Holm's correction against brute force, and their invariants."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from lskd.analysis.statistics import compare, holm

TOP1 = st.floats(50, 100).map(lambda value: round(value, 3))


@settings(deadline=None)
@given(st.lists(st.tuples(TOP1, TOP1), min_size=2, max_size=8))
def test_the_paired_t_test_is_scipys(pairs):
    first, second = np.array(pairs).T
    assume(np.ptp(first - second) > 1e-6)
    ours, oracle = compare(first - second), stats.ttest_rel(first, second)
    interval = oracle.confidence_interval(0.95)
    assert ours["n"] == len(pairs)
    assert (ours["t"], ours["p"]) == pytest.approx((oracle.statistic, oracle.pvalue), rel=1e-6, abs=1e-12)
    assert (ours["low"], ours["high"]) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)
    assert ours["spread"] == pytest.approx(np.std(first - second, ddof=1), rel=1e-9)


@settings(deadline=None)
@given(st.lists(TOP1, min_size=2, max_size=7), st.lists(TOP1, min_size=7, max_size=7), st.floats(-20, 20), st.randoms())
def test_swap_order_and_a_common_shift(first, second, shift, random):
    first_n, second_n = np.array(first), np.array(second[: len(first)])
    assume(np.ptp(first_n - second_n) > 1e-3)
    statistics = compare(first_n - second_n)
    swapped, moved = compare(second_n - first_n), compare((first_n + shift) - (second_n + shift))
    order = random.sample(range(len(first)), len(first))
    shuffled = compare((first_n - second_n)[order])
    for key in ("mean", "t"):
        assert swapped[key] == pytest.approx(-statistics[key], rel=1e-9, abs=1e-12)
    assert (swapped["low"], swapped["high"]) == pytest.approx(
        (-statistics["high"], -statistics["low"]), rel=1e-9, abs=1e-12
    )
    for other in (shuffled, moved):
        assert list(other.values()) == pytest.approx(list(statistics.values()), rel=1e-6, abs=1e-6)
    assert swapped["p"] == pytest.approx(statistics["p"], rel=1e-9)


@pytest.mark.parametrize("n", range(2, 8))
def test_equal_differences_have_the_exact_sign_tests_p_and_no_interval(n):
    statistics = compare([0.1 + 0.2] * n)
    signs = [sum(s) for s in product((-1, 1), repeat=n)]
    assert statistics["p"] == sum(abs(s) == n for s in signs) / len(signs)
    assert statistics["spread"] == 0 and math.isnan(statistics["t"]) and math.isnan(statistics["low"])
    assert compare([0.0] * n)["p"] == 1
    assert compare(np.full(n, 0.3) + 1e-16 * np.arange(n))["p"] == statistics["p"]  # rounding is no spread


def test_one_pair_and_none():
    one, none = compare([0.4]), compare([])
    assert (one["n"], one["mean"], none["n"]) == (1, 0.4, 0)
    assert all(math.isnan(one[key]) for key in ("spread", "low", "high", "t", "p")) and math.isnan(none["mean"])


def brute_holm(p):
    """The least level at which the step-down procedure rejects each hypothesis, tried at every candidate level."""
    levels = sorted({min(1.0, q * k) for q in p for k in range(1, len(p) + 1)} | {1.0})
    adjusted = [1.0] * len(p)
    for level in reversed(levels):
        left = list(range(len(p)))
        while left and min(p[i] for i in left) * len(left) <= level:
            rejected = min(left, key=lambda i: p[i])
            left.remove(rejected)
            adjusted[rejected] = min(adjusted[rejected], level)
    return adjusted


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=6))
def test_holm_is_the_step_down_procedure(p):
    assert holm(p) == pytest.approx(brute_holm(p), rel=1e-12)


def test_holm_is_the_same_in_any_order_and_passes_over_nan():
    p = [0.01, 0.04, 0.03, 0.02]
    assert holm(p) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    for order in permutations(range(4)):
        assert holm(np.array(p)[list(order)]) == pytest.approx(holm(p)[list(order)])
    assert holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
