"""Each statistic against scipy, a plain loop over its definition, or a closed form; and their invariants."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from lskd.analysis.statistics import (
    LEVEL,
    POWER,
    compare,
    components,
    detectable,
    equivalence,
    half_width,
    look_level,
    omnibus,
    one_sided,
    sign_flips,
)

TOP1 = st.floats(50, 100).map(lambda value: round(value, 3))
PAIRS = st.lists(st.tuples(TOP1, TOP1), min_size=2, max_size=8)


@settings(deadline=None)
@given(PAIRS, st.floats(0.0005, 0.2))
def test_the_paired_t_test_and_its_interval_are_scipys(pairs, tail):
    first, second = np.array(pairs).T
    assume(np.ptp(first - second) > 1e-6)
    ours, oracle = compare(first - second), stats.ttest_rel(first, second)
    assert (ours["t"], ours["p"]) == pytest.approx((oracle.statistic, oracle.pvalue), rel=1e-6, abs=1e-12)
    assert ours["n"] == len(pairs) and ours["spread"] == pytest.approx(np.std(first - second, ddof=1), rel=1e-9)
    half, interval = half_width(ours["spread"], ours["n"], tail), oracle.confidence_interval(1 - 2 * tail)
    ends = ours["mean"] - half, ours["mean"] + half
    assert ends == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)
    assert one_sided(ours) == pytest.approx(stats.ttest_rel(first, second, alternative="greater").pvalue, rel=1e-6)


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
    for other in (shuffled, moved):
        assert list(other.values()) == pytest.approx(list(statistics.values()), rel=1e-6, abs=1e-6)
    assert swapped["p"] == pytest.approx(statistics["p"], rel=1e-9)


@pytest.mark.parametrize("n", range(2, 8))
def test_equal_differences_have_the_exact_sign_tests_p_and_no_interval(n):
    statistics = compare([0.1 + 0.2] * n)
    signs = [sum(s) for s in product((-1, 1), repeat=n)]
    assert statistics["p"] == sum(abs(s) == n for s in signs) / len(signs)
    assert statistics["spread"] == 0 and math.isnan(statistics["t"]) and math.isnan(half_width(0.0, n, 0.025))
    assert one_sided(statistics) == sum(s == n for s in signs) / len(signs)
    assert compare([0.0] * n)["p"] == 1 == one_sided(compare([0.0] * n)) == one_sided(compare([-0.3] * n))
    assert compare(np.full(n, 0.3) + 1e-16 * np.arange(n))["p"] == statistics["p"]  # rounding is no spread
    assert equivalence(0.3, 0.0, n, 0.5) == 2.0**-n and equivalence(-0.5, 0.0, n, 0.5) == 1
    assert math.isnan(detectable(0.0, n, 0.05))


def test_one_pair_and_none():
    one, none = compare([0.4]), compare([])
    assert (one["n"], one["mean"], none["n"]) == (1, 0.4, 0)
    assert all(math.isnan(one[key]) for key in ("spread", "t", "p")) and math.isnan(none["mean"])
    assert math.isnan(half_width(math.nan, 1, 0.025)) and math.isnan(equivalence(0.4, math.nan, 1, 0.5))
    assert math.isnan(detectable(math.nan, 1, 0.05)) and math.isnan(omnibus(np.ones((1, 3)))["p"])


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=3, max_size=10), st.floats(0.05, 2))
def test_equivalence_is_two_of_scipys_one_sided_tests(difference, margin):
    assume(np.ptp(difference) > 1e-6)
    ours = compare(difference)
    above = stats.ttest_1samp(difference, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(difference, margin, alternative="less").pvalue
    p = equivalence(ours["mean"], ours["spread"], ours["n"], margin)
    assert p == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)
    for level in (0.05, 0.003):  # p and the interval that leaves out `level` on each side say the same
        half = half_width(ours["spread"], ours["n"], level)
        assert (p < level) == (abs(ours["mean"]) + half < margin)


@pytest.mark.parametrize("n", [3, 4, 5, 10, 20])
@pytest.mark.parametrize("level", [0.05, 0.05 / 13])
def test_the_detectable_effect_has_the_power_of_scipys_noncentral_t(n, level):
    noncentrality = detectable(0.4, n, level) / 0.4 * math.sqrt(n)
    critical = stats.t.ppf(1 - level / 2, n - 1)
    power = stats.nct.sf(critical, n - 1, noncentrality)
    assert power == pytest.approx(POWER, abs=1e-6)


def test_the_detectable_effect_is_found_as_often_as_it_says():
    random, studies = np.random.default_rng(0), 20000
    difference = random.normal(detectable(0.4, 5, 0.01), 0.4, (studies, 5))
    rejected = int((stats.ttest_1samp(difference, 0, axis=1).pvalue < 0.01).sum())
    low, high = stats.binomtest(rejected, studies).proportion_ci(0.999)
    assert low <= POWER <= high


def anova(difference_nk):
    """F and Greenhouse and Geisser's epsilon by loops over their definitions (Winer 1971, sections 4.3 and 4.4)."""
    n, k = difference_nk.shape
    grand = sum(difference_nk[i][j] for i in range(n) for j in range(k)) / (n * k)
    rows, columns = difference_nk.mean(1), difference_nk.mean(0)
    between = sum(n * (columns[j] - grand) ** 2 for j in range(k))
    error = sum((difference_nk[i][j] - rows[i] - columns[j] + grand) ** 2 for i in range(n) for j in range(k))
    s = np.cov(difference_nk, rowvar=False)
    mean, diagonal, of_row = s.mean(), np.diag(s).mean(), s.mean(1)
    below = (s**2).sum() - 2 * k * (of_row**2).sum() + k**2 * mean**2
    return (between / (k - 1)) / (error / ((k - 1) * (n - 1))), k**2 * (diagonal - mean) ** 2 / ((k - 1) * below)


@pytest.mark.parametrize(("n", "k"), [(3, 4), (4, 3), (10, 4), (5, 5)])
def test_the_omnibus_is_repeated_measures_by_loops(n, k):
    difference_nk = np.random.default_rng(n * k).normal(size=(n, k)) * np.arange(1, k + 1)
    f, epsilon = anova(difference_nk)
    ours = omnibus(difference_nk)
    assert ours["f"] == pytest.approx(f, rel=1e-9)
    assert (ours["df1"], ours["df2"]) == pytest.approx((epsilon * (k - 1), epsilon * (k - 1) * (n - 1)), rel=1e-9)
    assert ours["p"] == pytest.approx(stats.f.sf(f, ours["df1"], ours["df2"]), rel=1e-6)
    shifted = omnibus(difference_nk + np.arange(n)[:, None])  # what a seed adds to all is no difference between them
    assert shifted["p"] == pytest.approx(ours["p"], rel=1e-6)


def test_the_omnibus_of_two_is_the_t_test_and_of_no_spread_the_sign_test():
    difference_nk = np.random.default_rng(1).normal(size=(6, 2))
    oracle = stats.ttest_rel(*difference_nk.T)
    assert omnibus(difference_nk)["p"] == pytest.approx(oracle.pvalue, rel=1e-6)
    assert omnibus(np.tile([1.0, 1.0, 2.0], (4, 1)))["p"] == 2.0**-3
    assert omnibus(np.tile([1.0, 1.0, 1.0], (4, 1)))["p"] == 1


def flipped(difference_nk):
    """Max-T p by all 2^n sign flips, one after the other, by scipy's t."""

    def statistics(values_nk):
        return [abs(stats.ttest_1samp(column[~np.isnan(column)], 0).statistic) for column in values_nk.T]

    observed, counts = statistics(difference_nk), np.zeros(difference_nk.shape[1])
    flips = list(product((-1, 1), repeat=len(difference_nk)))
    for signs in flips:
        largest = max(statistics(difference_nk * np.array(signs)[:, None]))
        counts += [largest >= value - 1e-9 for value in observed]
    return counts / len(flips)


@pytest.mark.parametrize("n", [3, 6])
def test_sign_flips_are_all_of_them(n):
    difference_nk = np.random.default_rng(n).normal(0.5, 1, (n, 3))
    assert sign_flips(difference_nk) == pytest.approx(flipped(difference_nk), abs=1e-12)
    assert sign_flips(difference_nk).min() >= 2.0 ** (1 - n)


def test_sign_flips_of_one_comparison_are_scipys_permutation_test():
    difference_n = np.random.default_rng(4).normal(0.4, 1, 8)
    oracle = stats.permutation_test(
        (difference_n,), lambda x: abs(np.mean(x)), permutation_type="samples", alternative="greater"
    )
    assert sign_flips(difference_n[:, None])[0] == pytest.approx(oracle.pvalue, abs=1e-12)


def test_sign_flips_pass_over_what_is_missing_and_are_drawn_above_sixteen_seeds():
    difference_n = np.random.default_rng(4).normal(0.4, 1, 8)
    padded = np.append(difference_n, np.nan)[:, None]
    assert sign_flips(padded) == pytest.approx(sign_flips(difference_n[:, None]), abs=1e-12)
    assert sign_flips(np.ones((5, 1)))[0] == 2.0**-4 and sign_flips(np.zeros((5, 1)))[0] == 1
    many = np.random.default_rng(1).normal(0.3, 1, (20, 1))
    assert sign_flips(many)[0] == pytest.approx(stats.ttest_1samp(many[:, 0], 0).pvalue, abs=0.02)
    assert sign_flips(many)[0] == sign_flips(many)[0]


def test_components_are_the_one_way_anova_of_loops():
    values = np.array([[1.0, 2.0, np.nan], [4.0, 6.0, 5.0], [2.0, np.nan, np.nan], [7.0, 9.0, np.nan]])
    groups = [[value for value in row if not math.isnan(value)] for row in values]
    sizes = [len(group) for group in groups]
    total = sum(sizes)
    grand = sum(map(sum, groups)) / total
    within = sum((value - np.mean(group)) ** 2 for group in groups for value in group) / (total - len(groups))
    between = sum(len(group) * (np.mean(group) - grand) ** 2 for group in groups) / (len(groups) - 1)
    size = (total - sum(n**2 for n in sizes) / total) / (len(groups) - 1)
    ours = components(values)
    assert ours["between_students"] == pytest.approx(math.sqrt(within), rel=1e-9)
    assert ours["between_seeds"] == pytest.approx(math.sqrt((between - within) / size), rel=1e-9)
    assert stats.f_oneway(*groups).statistic == pytest.approx(between / within, rel=1e-9)


def test_components_find_what_was_put_in_and_are_never_negative():
    random = np.random.default_rng(3)
    ours = components(random.normal(0, 2, (4000, 1)) + random.normal(0, 1, (4000, 3)))
    assert (ours["between_seeds"], ours["between_students"]) == pytest.approx((2, 1), rel=0.05)
    assert components(np.array([[0.0, 1.0], [1.0, 0.0]]))["between_seeds"] == 0
    assert all(math.isnan(value) for value in components(np.ones((4, 1))).values())
    assert all(math.isnan(value) for value in components(np.ones((1, 4))).values())


def test_the_levels_of_all_looks_sum_to_the_bound():
    assert look_level(5) == (LEVEL, LEVEL)
    assert look_level(5, [3]) == (LEVEL / 2, 1.5 * LEVEL)
    assert look_level(10, [3, 5])[1] == pytest.approx(LEVEL * (1 + 1 / 2 + 1 / 4))
    planned = [look_level(n, (), [3, 5, 10]) for n in (3, 5, 10)]
    assert [level for level, _ in planned] == pytest.approx([LEVEL * share for share in (0.3, 0.2, 0.5)])
    assert [bound for _, bound in planned] == pytest.approx([LEVEL * share for share in (0.3, 0.5, 1)])
    level, bound = look_level(4, (), [3, 5, 10])  # between two planned ones
    assert (level, bound) == pytest.approx((LEVEL, LEVEL + 0.3 * LEVEL))
    assert look_level(5, [4], [3, 5, 10]) == pytest.approx((0.2 * LEVEL, 0.5 * LEVEL + LEVEL))
