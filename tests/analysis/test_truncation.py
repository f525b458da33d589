"""Truncation or smoothing: the claims against scipy, and the words against studies whose cause is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lskd.analysis import truncation

STORES = {"full": (math.nan, False, math.nan), "top-4": (4.0, False, math.nan), "top-32": (32.0, False, math.nan)}
STORES |= {"top-4 + tail": (4.0, True, math.nan), "64 samples": (math.nan, False, 64.0)}


def study(cut=0.0, smooth=0.0, alone=0.0, noise=0.1, seeds=6, degrees=(1.0, 64.0), stores=("full", "top-4", "top-32")):
    """BLEU 26 less what top-4, alpha = 0.1 and T itself take at the highest T; `noise` is the spread of seeds."""
    draw = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for alpha in (0.0, 0.1):
            for t in degrees:
                for store in stores:
                    kept, tail, sampled = STORES[store]
                    value = 26 + draw.normal(0, noise)
                    if t == max(degrees):
                        value -= alone + cut * (store == "top-4") + smooth * (alpha > 0)
                    own = {
                        "dataset": "help",
                        "teacher_model": "big",
                        "model": "small",
                        "recipe": "r",
                        "soft_weight": 1.0,
                    }
                    own |= {"label_smoothing": alpha, "temperature": t, "seed": seed, "student": 0, "value": value}
                    rows.append(own | {"kept": kept, "tail": tail, "sampled": sampled})
    return pd.DataFrame(rows)


def answer(**how) -> str:
    (text,) = truncation.sentences(truncation.claims(study(**how)))
    return text


@pytest.mark.parametrize("store", STORES)
def test_a_store_in_words(store):
    kept, tail, sampled = STORES[store]
    assert truncation.store_text({"kept": kept, "tail": tail, "sampled": sampled}) == store


def test_the_claims_are_scipys_paired_tests_of_one_family():
    values = study(cut=3, smooth=0.4)
    numbers = truncation.claims(values)
    at = {
        key: part.sort_values("seed")["value"].to_numpy()
        for key, part in values[values["temperature"] == 64].groupby(["label_smoothing", values["kept"].fillna(0)])
    }
    claims = numbers[numbers["question"] != "fall"]
    assert len(claims) == 2 * 2 + 3  # each cut store at each alpha, and the smoothing at each store
    assert (claims["claims"] == 7).all()
    for row in claims.to_dict("records"):
        alpha, kept = row["label_smoothing"], np.nan_to_num(row["kept"])
        one, two = at[alpha, 0.0], at[alpha, kept]
        if row["question"] == "smoothing":
            one, two = at[alpha, kept], at[0.0, kept]
        expected = stats.ttest_rel(one, two)
        assert row["mean"] == pytest.approx((one - two).mean())
        assert [row["this"], row["other"]] == pytest.approx([one.mean(), two.mean()])
        assert row["p_adj"] == pytest.approx(min(1, 7 * expected.pvalue))
        interval = expected.confidence_interval(1 - 0.05 / 7)
        assert [row["low"], row["high"]] == pytest.approx([interval.low, interval.high])
    verdicts = claims.set_index(["question", "label_smoothing", "store"])["verdict"]
    assert verdicts["truncation", 0.0, "top-4"] == verdicts["truncation", 0.1, "top-4"] == "higher"
    assert set(verdicts["truncation"][:, "top-32"]) == {"no difference"}


def test_falls_stand_beside_and_burden_no_claim():
    numbers = truncation.claims(study(cut=3))
    falls = numbers[numbers["question"] == "fall"]
    assert len(falls) == 6
    assert (falls["weight"] == 0).all()
    assert falls.loc[falls["store"] == "top-4", "mean"].tolist() == pytest.approx([3, 3], abs=0.3)


CAUSES = {
    "truncation": ({"cut": 15}, "So the fall is the truncation's, and not the smoothing's."),
    "smoothing": ({"smooth": 15}, "So the fall is the smoothing's, and not the truncation's."),
    "both": ({"cut": 8, "smooth": 5}, "So the fall is both the truncation's and the smoothing's"),
    "smoothing unknown": ({"cut": 40, "noise": 1.5}, "the truncation's; whether smoothing adds to it cannot be told"),
    "truncation unknown": ({"smooth": 40, "noise": 1.5}, "the smoothing's; whether truncation adds to it cannot be"),
    "no fall": ({}, "So there is no fall to explain: BLEU of top-4 does not fall by more than 0.5."),
    "T alone": ({"alone": 9}, "The 9.0 points that full distributions of the unsmoothed teacher lose are of neither."),
    "noise": ({"cut": 1, "noise": 4}, "So it cannot be told whether the fall is the truncation's or the smoothing's."),
}


@pytest.mark.parametrize("case", CAUSES)
def test_the_answer_is_the_cause_and_no_more_than_can_be_told(case):
    how, said = CAUSES[case]
    text = answer(**how)
    assert said in text
    others = {words for name, (_, words) in CAUSES.items() if name not in (case, "T alone")} - {said}
    assert not [words for words in others if words in text and case != "T alone"]


def test_when_t_alone_takes_bleu_nothing_else_is_blamed():
    text = answer(alone=9)
    assert "So the fall is neither" in text
    assert "truncation's, " not in text


def test_few_seeds_tell_nothing():
    for seeds in (1, 2):
        text = answer(cut=15, seeds=seeds)
        assert f"with {seeds} seed{'s' * (seeds > 1)} nothing can be told; run 3 seeds or more" in text


def test_samples_that_share_no_high_t_are_compared_where_they_are():
    values = study(stores=("full", "64 samples"), degrees=(1.0, 64.0))
    values = values[~((values["sampled"] > 0) & (values["temperature"] == 64))]
    numbers = truncation.claims(values)
    assert set(numbers["temperature"]) == {1.0}
    (text,) = truncation.sentences(numbers)
    assert "64 samples" in text


def test_nothing_to_compare_is_said():
    values = study(stores=("full",))
    assert truncation.claims(values).empty
    assert truncation.sentences(truncation.claims(values)) == [
        "Students of full and of truncated distributions share no T, so nothing is compared."
    ]


def test_the_order_of_rows_changes_nothing():
    values = study(cut=2, smooth=1)
    shuffled = values.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(truncation.claims(values), truncation.claims(shuffled))


def test_studies_without_an_effect_seldom_tell_one():
    """The family's level is 5 %; of 120 studies more than 13 would come by chance once in a hundred."""
    draw = np.random.default_rng(1)
    values = study(seeds=5)
    false = 0
    for _ in range(120):
        numbers = truncation.claims(values.assign(value=draw.normal(20, 1, len(values))))
        false += numbers["verdict"].isin(["higher", "lower", "helps", "hurts"]).any()
    assert false <= stats.binom.ppf(0.99, 120, 0.05)
