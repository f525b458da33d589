"""A verdict errs no more often than it says, and finds what it says: a fast part of workflow/bench/error_rates.py."""

import numpy as np
import pytest
from scipy import stats

from lskd.analysis.statistics import LEVEL, POWER
from workflow.bench.error_rates import MARGIN, Population, claims, false_claims, power, rate

STUDIES = 400


@pytest.mark.parametrize(
    "population",
    [
        Population(3),
        Population(5, students=2),
        Population(10),
        Population(5, noise="heavy tails"),
        Population(5, shared=0.7, growth=4.0),
        Population(10, effects=(MARGIN, -MARGIN, MARGIN, -MARGIN), spread=0.2),
        Population(10, effects=(0.0, 0.0, 0.0, -3.0)),
    ],
    ids=str,
)
def test_few_studies_claim_anything_that_is_not_so(population):
    random = np.random.default_rng(1)
    hits = sum(bool(false_claims(population, claims(population, random))) for _ in range(STUDIES))
    assert hits <= stats.binom.ppf(0.999, STUDIES, LEVEL)


def test_the_false_claims_are_not_far_fewer_for_want_of_any_claim():
    """Four equal effects at the edge of the margin, and noise small enough to claim much."""
    population, random = Population(10, effects=(MARGIN, 0.0, MARGIN, 0.0), spread=0.1), np.random.default_rng(1)
    words = [row["verdict"] for _ in range(50) for row in claims(population, random) if row["question"] == "same T"]
    assert words.count("helps") > 90 and words.count("no difference") > 60


def test_an_error_is_seen_as_one():
    """Judged at level 1/2, as if it were 5 %, a null population claims much: the count above could fail."""
    random = np.random.default_rng(1)
    wrong = [false_claims(Population(5), claims(Population(5), random, level=0.5)) for _ in range(100)]
    assert sum(map(bool, wrong)) > 25


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_an_effect_is_found_as_often_as_is_printed(seeds):
    said, hits = power(Population(seeds), STUDIES)
    _, low, high = rate(hits, STUDIES)
    assert said > 0 and low - 0.02 <= POWER <= high + 0.02
