import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.metrics.selective import aurc, excess_aurc
from tests.metrics.made import quick

SEEDS = st.integers(0, 2**32 - 1)


def loop(hits):
    """The mean of the errors at each coverage, hits from the most confident down."""
    return sum((i - sum(hits[:i])) / i for i in range(1, len(hits) + 1)) / len(hits)


@quick
@given(SEEDS)
def test_aurc_is_a_loop_over_coverages(seed):
    draw = np.random.default_rng(seed)
    confidence_n, correct_n = draw.uniform(size=30), draw.integers(0, 2, 30)
    ranked = [hit for _, hit in sorted(zip(confidence_n, correct_n, strict=True), reverse=True)]
    assert aurc(confidence_n, correct_n) == pytest.approx(loop(ranked), abs=1e-12)


def test_ties_count_as_the_mean_over_their_orders():
    confidence_n, correct_n = np.array([0.9, 0.5, 0.5, 0.5, 0.2]), np.array([1, 0, 1, 1, 0])
    orders = [loop([1, *middle, 0]) for middle in itertools.permutations([0, 1, 1])]
    assert aurc(confidence_n, correct_n) == pytest.approx(np.mean(orders), abs=1e-12)


@quick
@given(SEEDS)
def test_the_excess_is_over_the_best_of_all_rankings(seed):
    draw = np.random.default_rng(seed)
    correct_n = draw.integers(0, 2, 6)
    best = min(loop(hits) for hits in set(itertools.permutations(correct_n.tolist())))
    confidence_n = draw.uniform(size=6)
    expected = aurc(confidence_n, correct_n) - best
    assert excess_aurc(confidence_n, correct_n) == pytest.approx(expected, abs=1e-12)
    assert excess_aurc(confidence_n, correct_n) >= -1e-12
    assert excess_aurc(correct_n + 0.5 * confidence_n, correct_n) == pytest.approx(0, abs=1e-12)


def test_all_right_has_no_risk_and_all_wrong_has_all():
    confidence_n = np.linspace(0, 1, 9)
    assert aurc(confidence_n, np.ones(9)) == 0
    assert aurc(confidence_n, np.zeros(9)) == 1
    assert excess_aurc(confidence_n, np.zeros(9)) == 0
