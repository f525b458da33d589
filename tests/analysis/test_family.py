"""Words, p and intervals of one family of claims say the same."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lskd.analysis.family import BESIDE, CANNOT_TELL, NO_DIFFERENCE, NOT_APART, judged
from lskd.analysis.statistics import LEVEL, compare, one_sided

ROW = {"question": "same T", "sign": 1, "weight": 1.0, "is_one_sided": False, "margin": 0.5}
DIFFERENCES = st.lists(st.floats(-1, 1).map(lambda v: round(v, 2)), min_size=3, max_size=6)


def rows(differences, **about):
    return [ROW | about | compare(difference) for difference in differences]


@settings(deadline=None, max_examples=200)
@given(st.lists(DIFFERENCES, min_size=1, max_size=4), st.sampled_from([0.05, 0.0125]))
def test_a_word_is_what_its_interval_says(differences, level):
    for row in judged(rows(differences), level):
        if row["spread"] == 0:
            continue
        differs = row["low"] > 0 or row["high"] < 0
        same = row["low_equivalence"] > -0.5 and row["high_equivalence"] < 0.5
        word = ("helps" if row["mean"] > 0 else "hurts") if differs else NO_DIFFERENCE if same else CANNOT_TELL
        assert row["verdict"] == word
        assert (row["p_adj"] < level) == differs and (row["p_equivalence"] < level) == same
        assert row["low"] < row["low_equivalence"] < row["high_equivalence"] < row["high"]


def test_p_and_interval_are_bonferronis():
    differences = np.random.default_rng(0).normal(0.3, 0.2, (4, 6))
    for row, difference_n in zip(judged(rows(differences)), differences, strict=True):
        oracle = stats.ttest_1samp(difference_n, 0)
        interval = oracle.confidence_interval(1 - LEVEL / 4)
        assert row["claims"] == 4 and row["p_adj"] == pytest.approx(min(1, 4 * oracle.pvalue), rel=1e-6)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), rel=1e-6)


def test_rows_that_share_a_claim_are_one():
    shared = rows([[0.3, 0.4, 0.5, 0.4]] * 4, question="best on val", weight=1 / 4, is_one_sided=True, margin=math.nan)
    shared = [row | {"p": one_sided(row)} for row in shared]
    both = judged(rows([[0.3, 0.4, 0.5, 0.4]]) + shared)
    assert {row["claims"] for row in both} == {2}
    p = stats.ttest_1samp([0.3, 0.4, 0.5, 0.4], 0, alternative="greater").pvalue
    assert both[1]["p_adj"] == pytest.approx(2 * 4 * p, rel=1e-6) and both[1]["verdict"] == "left out"
    bound = stats.ttest_1samp([0.3, 0.4, 0.5, 0.4], 0, alternative="greater").confidence_interval(1 - LEVEL / 8).low
    assert both[1]["low"] == pytest.approx(bound, rel=1e-6) and math.isnan(both[1]["high"])
    weak = judged([row | {"p": 0.3} for row in shared])
    assert {row["verdict"] for row in weak} == {NOT_APART}


def test_rows_beside_claim_nothing_and_burden_no_other():
    beside = rows([[5.0, 5.1, 5.2], [-1.0, -2.0, -1.0], [0.0, 0.0, 0.0]], question="prediction", weight=0.0)
    both = judged(rows([[5.0, 5.1, 5.2]]) + beside)
    assert both[0]["claims"] == 1 and both[0]["p_adj"] == both[0]["p"]
    assert [row["verdict"] for row in both[1:]] == [BESIDE[0], BESIDE[1], BESIDE[2]]
    interval = stats.ttest_1samp([5.0, 5.1, 5.2], 0).confidence_interval(0.95)
    assert (both[1]["low"], both[1]["high"]) == pytest.approx((interval.low, interval.high))
    assert math.isnan(both[1]["p_adj"])


def test_too_few_pairs_claim_nothing_and_do_not_burden_the_others():
    few, enough = judged(rows([[5.0, 5.001], [5.0, 5.001, 5.0]]))
    assert (few["verdict"], enough["verdict"], enough["claims"]) == (CANNOT_TELL, "helps", 1)


def test_a_prediction_has_its_sign_and_small_told_differences_stay_told():
    by_sign = [judged(rows([[0.3, 0.31, 0.32]], question="prediction", sign=sign))[0] for sign in (1, -1)]
    assert [row["verdict"] for row in by_sign] == ["seen", "opposite seen"]
    small = judged(rows([[0.3, 0.301, 0.302]]))[0]
    assert small["verdict"] == "helps" and small["p_equivalence"] < LEVEL
