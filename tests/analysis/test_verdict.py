"""The verdict's statistics against scipy and brute force, its invariants, its error rates, and its words."""

import math
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from lskd.analysis import comparisons, wording
from lskd.analysis.statistics import LEVEL, compare, holm
from lskd.errors import UserError
from lskd.study.identity import IDENTITY
from tests.figures import synthetic

TOP1 = st.floats(50, 100).map(lambda value: round(value, 3))


def study(effects, seeds=(0, 1, 2), val=None, noise=0.0):
    """accuracy rows whose students have `effects`: (alpha, T) -> test top-1 in percent, moved by a seed's own offset.

    `val` overrides the same on val; `noise` is the difference between seeds that is not shared.
    """
    alphas, degrees = (sorted({cell[i] for cell in effects}) for i in (0, 1))
    rows = []
    for row in synthetic.runs(alphas=alphas, temperatures=degrees, seeds=seeds):
        for split in ("val", "test"):
            cell = (row["label_smoothing"], row["temperature"])
            means = (val or effects) if split == "val" else effects
            if row["role"] == "student" and cell in effects:
                own = noise * (0.3, -1.0, 0.7, 0.4, -0.4)[row["seed"] % 5] * (1 + cell[1] / 10) * (cell[0] > 0)
                value = (means[cell] + row["seed"] + own) / 100
                rows.append(row | {"split": split, "metric": "top1", "k": 1, "value": value})
    return pd.DataFrame(rows)


def compared(accuracy):
    return comparisons.verdict({"accuracy": accuracy})


def by_t(numbers):
    rows = numbers[numbers["question"] == "same T"]
    return dict(zip(rows["temperature"], rows["verdict"], strict=True))


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


def judged_words(difference_mn):
    rows = [{"question": "same T", "sign": 1} | compare(row_n) for row_n in difference_mn]
    return list(comparisons.judged(pd.DataFrame(rows))["verdict"])


@pytest.mark.parametrize("n", [3, 5])
def test_without_a_difference_few_studies_claim_one(n):
    random = np.random.default_rng(n)
    studies = 600
    false = sum(
        set(judged_words(random.normal(0, 1, (4, n)))) != {comparisons.NOT_SHOWN} for _ in range(studies)
    )  # a study errs if any of its 4 comparisons does
    assert false <= stats.binom.ppf(0.999, studies, LEVEL)
    assert false >= stats.binom.ppf(0.001, studies, LEVEL)  # independent: nor is it far too careful


@pytest.mark.parametrize(("mean", "word"), [(2.0, "helps"), (-2.0, "hurts")])
def test_a_large_difference_is_told(mean, word):
    random = np.random.default_rng(7)
    words = [w for _ in range(50) for w in judged_words(random.normal(mean, 0.05, (4, 3)))]
    assert np.mean([w == word for w in words]) > 0.95
    assert set(words) <= {word, comparisons.NOT_SHOWN}


def test_too_few_pairs_claim_nothing_and_do_not_burden_the_others():
    assert judged_words([[5.0, 5.001], [5.0, 5.001, 5.0]]) == [comparisons.CANNOT_TELL, "helps"]


def hurt_at_64(**how):
    hard = {(0.0, 1.0): 90.0, (0.0, 2.0): 91.0, (0.0, 64.0): 90.0}
    return study(hard | {(0.1, 1.0): 90.0, (0.1, 2.0): 90.9, (0.1, 64.0): 85.0}, **how)


def test_the_sentence_where_it_hurts():
    numbers = compared(hurt_at_64(noise=0.05))
    assert by_t(numbers) == {1.0: comparisons.NOT_SHOWN, 2.0: comparisons.NOT_SHOWN, 64.0: "hurts"}
    (text,) = wording.sentences(numbers)
    low, high = (-numbers.loc[numbers["verdict"] == "hurts", key].iloc[0] for key in ("high", "low"))
    assert text == (
        "On digits, smoothing the teacher resnet8-w16 (α = 0.1) hurts its student resnet8-w4 at T = 64 by 5.0 points"
        f" (95 % interval {low:.1f} to {high:.1f}, 3 seeds) and makes no difference that 3 seeds can show at T = 1 and"
        " 2: leave the teacher unsmoothed, and distil at T = 2."
    )


def test_the_sentence_where_it_helps():
    effects = {(0.0, 1.0): 90.0, (0.0, 3.0): 90.0, (0.1, 1.0): 94.0, (0.1, 3.0): 92.0}
    (text,) = wording.sentences(compared(study(effects, noise=0.02)))
    assert "helps its student resnet8-w4 at T = 1 by 4.0 points" in text and " and at T = 3 by 2.0 points" in text
    assert text.endswith(": smooth the teacher (α = 0.1), and distil at T = 1.")


def test_the_sentence_with_no_difference_never_says_no_effect():
    numbers = compared(study({(0.0, 1.0): 90.0, (0.1, 1.0): 90.0}))
    (text,) = wording.sentences(numbers)
    assert "makes no difference to its student resnet8-w4 that 3 seeds can show at T = 1" in text
    assert text.endswith("leave the teacher unsmoothed, and distil at T = 1.") and "no effect" not in text
    equal = wording.sentences(compared(study({(0.0, 1.0): 90.0, (0.1, 1.0): 92.0})))[0]  # the same in all 3: p = 0.25
    assert "makes no difference to its student resnet8-w4 that 3 seeds can show" in equal
    assert equal.endswith(
        "the best choice on val, not shown to be better, is to smooth it (α = 0.1) and distil at T = 1."
    )
    six = wording.sentences(compared(study({(0.0, 1.0): 90.0, (0.1, 1.0): 92.0}, seeds=range(6))))[0]
    assert "helps its student resnet8-w4 at T = 1 by 2.0 points (in each of 6 seeds)" in six


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_sentence_with_too_few_seeds(seeds):
    numbers = compared(hurt_at_64(seeds=seeds, noise=0.01))
    assert set(numbers["verdict"]) == {comparisons.CANNOT_TELL}
    (text,) = wording.sentences(numbers)
    assert text.startswith(f"With {len(seeds)} seed{'s' * (len(seeds) > 1)} it cannot be told whether smoothing")
    assert "run 3 seeds or more" in text and not set(text.split()) & {"leave", "smooth"}


def test_two_smoothings_stand_in_one_sentence():
    effects = {(0.0, 1.0): 90.0, (0.1, 1.0): 95.0, (0.3, 1.0): 80.0}
    (text,) = wording.sentences(compared(study(effects, noise=0.02)))
    assert text.index("(α = 0.1) helps its student") < text.index("; with α = 0.3 it hurts that student")
    assert text.count("resnet8-w4") == 1


def test_the_choice_is_made_on_val_and_never_sees_test():
    test = {(0.0, 1.0): 99.0, (0.0, 2.0): 90.0, (0.1, 1.0): 70.0, (0.1, 2.0): 80.0}
    val = {(0.0, 1.0): 10.0, (0.0, 2.0): 50.0, (0.1, 1.0): 60.0, (0.1, 2.0): 20.0}
    row = compared(study(test, val=val)).query("question == 'choice'").iloc[0]
    assert (row["label_smoothing"], row["temperature"]) == (0.1, 1.0)
    assert (row["other_label_smoothing"], row["other_temperature"]) == (0.0, 2.0)
    assert (row["this"], row["other"], row["val"]) == pytest.approx((71.0, 91.0, 61.0))  # the seeds add 1 on average
    same = dict.fromkeys(test, 50.0)
    tie = compared(study(test, val=same)).query("question == 'choice'").iloc[0]
    assert (tie["label_smoothing"], tie["temperature"]) == (0.0, 1.0)


def test_the_rule_is_tested_against_the_best_other_choice_on_test():
    effects = {(0.0, 1.0): 90.0, (0.0, 2.0): 92.0, (0.1, 1.0): 93.0, (0.1, 2.0): 70.0}
    row = compared(study(effects, noise=0.02)).query("what == 'ls_t1_best'").iloc[0]
    assert (row["other_label_smoothing"], row["other_temperature"], row["verdict"]) == (0.0, 2.0, "seen")
    assert row["mean"] == pytest.approx(1.0, abs=0.02)
    beaten = compared(study(effects | {(0.1, 2.0): 99.0}, noise=0.02)).query("what == 'ls_t1_best'").iloc[0]
    assert (beaten["other_temperature"], beaten["verdict"]) == (2.0, "opposite seen")
    none = compared(study({cell: top1 for cell, top1 in effects.items() if cell[1] > 1}))
    assert "ls_t1_best" not in set(none["what"])
    without_t = study(effects, noise=0.02).assign(variant="logit_mse")
    assert "ls_t1_best" not in set(compared(without_t)["what"])


@settings(deadline=None, max_examples=15)  # a study each
@given(st.permutations([0, 1, 2, 3]), st.sampled_from([0.0, 5.0]))
def test_renamed_seeds_and_a_shift_of_all_change_no_verdict(order, shift):
    accuracy = hurt_at_64(seeds=(0, 1, 2, 3), noise=0.05)
    moved = accuracy.assign(seed=[order[s] for s in accuracy["seed"]], value=accuracy["value"] + shift / 100)
    before, after = compared(accuracy), compared(moved.sample(frac=1, random_state=3))
    assert list(before["verdict"]) == list(after["verdict"])
    assert before["mean"].to_numpy() == pytest.approx(after["mean"].to_numpy(), abs=1e-9)


def test_swapped_teachers_turn_helps_into_hurts():
    accuracy = hurt_at_64(noise=0.05)
    swapped = accuracy.assign(label_smoothing=0.1 - accuracy["label_smoothing"])
    before, after = (compared(frame).query("question == 'same T'") for frame in (accuracy, swapped))
    assert after["mean"].to_numpy() == pytest.approx(-before["mean"].to_numpy(), abs=1e-9)
    turned = {"hurts": "helps"}
    assert list(after["verdict"]) == [turned.get(word, word) for word in before["verdict"]]


def test_what_the_papers_predict_is_seen_with_its_numbers():
    rows = synthetic.runs(seeds=(0, 1, 2, 3))
    diffusion = synthetic.diffusion(rows)
    stability = synthetic.stability(rows)
    stability["value"] += np.random.default_rng(0).normal(0, 1e-5, len(stability))
    numbers = comparisons.verdict({"accuracy": hurt_at_64(), "diffusion": diffusion, "stability": stability})
    by_what = {row["what"]: row for row in numbers.to_dict("records")}
    own = diffusion[(diffusion["split"] == "val") & (diffusion["label_smoothing"] == 0.1)]
    for name in ("S1", "S2"):
        values = own[own["set"] == name].groupby("seed")["value"].mean()
        assert by_what[f"eta_{name}"]["verdict"] == "seen"
        assert by_what[f"eta_{name}"]["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert by_what[f"eta_{name}"]["n"] == 4
    for metric in ("stability_eq2", "stability_alg1"):
        assert by_what[metric]["verdict"] == "seen"
        assert by_what[metric]["mean"] == pytest.approx(-0.005, abs=2e-5)
    others = stability[stability["label_smoothing"] > 0]
    others = others.assign(run=others["run"].str.replace("ls0.1/", "ls0.1-others/"), smoothing="others")
    others = others.assign(value=others["value"] - 0.1)
    both = pd.concat([stability, others]).sample(frac=1, random_state=0)
    again = comparisons.verdict({"accuracy": hurt_at_64(), "stability": both}).set_index("what")["mean"]
    assert again["stability_eq2"] == by_what["stability_eq2"]["mean"]  # of two forms of smoothing, the uniform one
    opposite = comparisons.eta({"diffusion": diffusion.assign(value=-diffusion["value"])})
    assert set(opposite["verdict"]) == {"opposite seen"}
    assert comparisons.eta({}).empty and comparisons.eta({"diffusion": pd.DataFrame()}).empty


def test_direction_alone_is_not_seen():
    rows = [{"question": "prediction", "sign": -1} | compare(d) for d in ([-3.0, -0.1, 0.5], [3.0, 0.1, -0.5])]
    assert list(comparisons.judged(pd.DataFrame(rows))["verdict"]) == ["direction only", "not seen"]


@pytest.mark.parametrize(
    ("title", "lineage", "smoothing"),
    [
        ("digits/resnet8-w16/short/ls0.1/seed0", "digits/resnet8-w16/short", "uniform"),
        ("digits/resnet8-w16/short/ls0.1-others/seed12", "digits/resnet8-w16/short", "others"),
        ("digits/a-ls2/short/ls1e-05/seed0", "digits/a-ls2/short", "uniform"),
        ("digits/b/short/kd-T3-from-a-long-ls0.1/seed0", "digits/b/short/kd-T3-from-a-long", "uniform"),
        ("digits/b/short/kd-T3-from-a-ls0.1-others/seed0", "digits/b/short/kd-T3-from-a", "others"),
        ("d/c/r/kd-T1-from-b-kd-T3-w0.5-from-a-ls0/seed3", "d/c/r/kd-T1-from-b-kd-T3-w0.5-from-a", "uniform"),
    ],
)
def test_rows_that_were_stored_without_lineage_and_smoothing_get_them(title, lineage, smoothing):
    rows = pd.DataFrame(
        [{"run": title, "role": "teacher", "teacher": ""}, {"run": "x", "role": "student", "teacher": title}]
    )
    identified = comparisons.identified(rows)
    assert identified["lineage"].tolist() == [lineage] * 2
    assert identified["smoothing"].tolist() == [smoothing] * 2


def test_the_columns_of_a_row_are_taken_as_they_are():
    rows = pd.DataFrame([{"run": "a/ls0/seed0", "role": "teacher", "teacher": "", "lineage": "l", "smoothing": "s"}])
    pd.testing.assert_frame_equal(comparisons.identified(rows), rows)


def test_older_metrics_give_the_same_comparisons():
    rows = synthetic.runs()
    frames = {name: getattr(synthetic, name)(rows) for name in ("accuracy", "diffusion", "stability")}
    older = {name: frame.drop(columns=["lineage", "smoothing"]) for name, frame in frames.items()}
    pd.testing.assert_frame_equal(comparisons.verdict(older), comparisons.verdict(frames))


def test_twins_of_another_recipe_are_no_twins():
    """The lineage is what pairs a smoothed teacher with its alpha = 0 twin."""
    accuracy = hurt_at_64()
    other_recipe = accuracy.assign(lineage=accuracy["lineage"].where(accuracy["label_smoothing"] == 0, "other"))
    with pytest.raises(UserError, match="whose students share a T"):
        compared(other_recipe)


def test_a_run_in_two_groups_counts_once():
    accuracy = hurt_at_64(noise=0.05)
    pd.testing.assert_frame_equal(compared(accuracy), compared(pd.concat([accuracy, accuracy.assign(group="again")])))


def test_mistakes_are_one_line():
    accuracy = hurt_at_64()
    with pytest.raises(UserError, match="found teachers with label_smoothing 0.1; it takes 0 and another"):
        compared(accuracy[accuracy["label_smoothing"] > 0])
    with pytest.raises(UserError, match="accuracy: found no student"):
        compared(accuracy[accuracy["role"] == "teacher"])
    twin = accuracy.assign(run=accuracy["run"].str.replace("ls0.1", "ls0.1-others"), smoothing="others")
    with pytest.raises(UserError, match=r"tell (\S+)ls0.1-others(\S+) from \1ls0.1\2; name"):
        compared(pd.concat([accuracy, twin]))
    with pytest.raises(UserError, match="summary: found T 2, 64; it takes a smoothed teacher's student at T = 1"):
        comparisons.rule({"accuracy": accuracy[accuracy["temperature"] > 1]})


@pytest.mark.parametrize(
    ("top1", "expected"), [(95.0, "bears the rule out"), (80.0, "contradicts the rule"), (91.05, "without proof")]
)
def test_the_rules_sentence(top1, expected):
    effects = {(0.0, 1.0): 90.0, (0.0, 2.0): 91.0, (0.1, 1.0): top1, (0.1, 2.0): 70.0}
    rows = comparisons.rule({"accuracy": study(effects, noise=0.1)})
    assert len(rows) == 3
    assert expected in wording.rule_sentence(rows)
    few = comparisons.rule({"accuracy": study(effects, noise=0.1, seeds=(0, 1))})
    assert wording.rule_sentence(few).startswith("With 2 seeds it cannot be told on digits")


def test_settings_are_of_identity_columns():
    assert set(comparisons.SETTING) | set(comparisons.CELL) <= set(IDENTITY)
