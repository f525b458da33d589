"""A study's comparisons: their error rates, what is chosen on what, and what they take as the same."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lskd.analysis import comparisons
from lskd.analysis.statistics import LEVEL, compare
from lskd.errors import UserError
from lskd.study import reading, runs
from lskd.study.identity import IDENTITY
from tests.analysis.studies import compared, hurt_at_64, study
from tests.figures import synthetic


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


def test_settings_are_of_identity_columns():
    assert set(comparisons.SETTING) | set(comparisons.CELL) <= set(IDENTITY)


def test_twins_that_teach_share_their_lineage_and_nothing_else_does():
    """Students may teach: theirs, too, is that of their teachers' twins but for smoothing and seed."""
    trained = {"model": "mlp", "recipe": "r", "label_smoothing": [0.0, 0.1]}
    student = {"teacher": "t", "model": "mlp", "recipe": "r", "temperature": [1, 2.5]}
    one = reading.parse(
        {
            "study": "s",
            "seeds": [0, 12],
            "recipes": {"r": {"epochs": 1}},
            "teachers": {"t": trained, "o": trained | {"model": "plain_cnn", "smoothing": "others"}},
            "students": {"s": student, "again": student | {"teacher": "s", "model": "plain_cnn"}},
            "figures": {"grid": {"kind": "grid"}},
        }
    )
    twins = {}
    for member in runs.members(one):
        row = member.row
        assert set(row) == set(IDENTITY)
        twins.setdefault(row["lineage"], set()).add((row["label_smoothing"], row["seed"]))
    assert len(twins) == 1 + 1 + 2  # of t and s, of o, and of again at each T of its teacher
    assert all(cells == set(product((0.0, 0.1), (0, 12))) for cells in twins.values())
