"""A study's comparisons: which there are, what is chosen on what, the margin, and what they take as the same."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd.analysis import comparisons, students
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE
from lskd.errors import UserError
from lskd.study import reading, runs
from lskd.study.identity import IDENTITY
from tests.analysis.studies import by_t, compared, hurt_at_64, study
from tests.figures import synthetic

FOUR = {(0.0, 1.0): 90.0, (0.0, 2.0): 92.0, (0.1, 1.0): 93.0, (0.1, 2.0): 70.0}


def of_question(numbers, question):
    return numbers[numbers["question"] == question]


def test_the_family_is_every_row_that_can_claim():
    accuracy = hurt_at_64(seeds=range(5), noise=0.05)
    rows = synthetic.runs(seeds=range(5))
    frames = {name: getattr(synthetic, name)(rows) for name in ("diffusion", "stability", "calibration")}
    numbers = comparisons.verdict({"accuracy": accuracy} | frames)
    claims = numbers[numbers["weight"] > 0]
    counts = claims.groupby("question")["weight"].sum().round().astype(int).to_dict()
    assert counts == {"same T": 3, "interaction": 2, "omnibus": 1, "best on val": 1, "choice": 1, "prediction": 3}
    assert set(numbers["claims"]) == {sum(counts.values())}
    corrected = np.minimum(1, claims["p"] * 11 / claims["weight"])
    assert claims["p_adj"].to_numpy() == pytest.approx(corrected.to_numpy(), rel=1e-9)


def test_each_row_is_a_difference_by_a_loop():
    accuracy = hurt_at_64(seeds=range(4), noise=0.05, students=2)
    top1 = {
        (r["split"], r["label_smoothing"], r["temperature"], r["seed"], r["student"]): 100 * r["value"]
        for r in accuracy.to_dict("records")
    }

    def effect(seed, student, t):
        return top1["test", 0.1, t, seed, student] - top1["test", 0.0, t, seed, student]

    for row in compared(accuracy).to_dict("records"):
        this, other = (tuple(row[f"{p}{name}"] for name in students.CELL) for p in ("", "other_"))
        by_seed = []
        for seed in range(4):
            if row["question"] == "interaction":
                values = [effect(seed, j, this[1]) - effect(seed, j, other[1]) for j in range(2)]
            else:
                split = row["split"]
                values = [
                    top1.get((split, *this, seed, j), 0) - top1.get((split, *other, seed, j), 0) for j in range(2)
                ]
            by_seed.append(np.mean(values))
        if row["question"] != "omnibus":
            assert row["n"] == 4 and row["mean"] == pytest.approx(np.mean(by_seed), abs=1e-9)
            assert row["spread"] == pytest.approx(np.std(by_seed, ddof=1), abs=1e-9)
            assert row["this"] - row["other"] == pytest.approx(row["mean"], abs=1e-9)


def test_the_interaction_is_against_the_lowest_shared_t_and_two_t_need_no_omnibus():
    effects = {(0.0, 2.0): 90.0, (0.1, 1.0): 91.0, (0.1, 2.0): 91.0, (0.0, 3.0): 90.0, (0.1, 3.0): 85.0}
    numbers = compared(study(effects, seeds=range(5), noise=0.01))
    (row,) = numbers[numbers["question"] == "interaction"].to_dict("records")
    assert (row["temperature"], row["other_temperature"], row["verdict"]) == (3.0, 2.0, "lower")
    assert row["mean"] == pytest.approx(-6, abs=0.01) and "omnibus" not in set(numbers["question"])
    three = compared(hurt_at_64(seeds=range(5), noise=0.01))
    assert list(three.loc[three["question"] == "omnibus", "verdict"]) == ["differ"]


def test_the_choice_is_made_on_val_and_never_sees_test():
    test = {(0.0, 1.0): 99.0, (0.0, 2.0): 90.0, (0.1, 1.0): 70.0, (0.1, 2.0): 80.0}
    val = {(0.0, 1.0): 10.0, (0.0, 2.0): 50.0, (0.1, 1.0): 60.0, (0.1, 2.0): 20.0}
    numbers = compared(study(test, val=val))
    row = numbers.query("question == 'choice'").iloc[0]
    assert (row["label_smoothing"], row["temperature"]) == (0.1, 1.0)
    assert (row["other_label_smoothing"], row["other_temperature"]) == (0.0, 2.0)
    assert (row["this"], row["other"], row["val"]) == pytest.approx((71.0, 91.0, 61.0))  # the seeds add 1 on average
    against = numbers.query("question == 'best on val'")
    assert set(against["split"]) == {"val"} and list(against["mean"]) == pytest.approx([50, 10, 40])


def test_what_is_left_out_of_the_best_is_what_val_tells():
    val = FOUR | {(0.0, 2.0): 92.99}
    numbers = compared(study(FOUR, val=val, seeds=range(8), noise=0.05)).query("question == 'best on val'")
    words = {(r["other_label_smoothing"], r["other_temperature"]): r["verdict"] for r in numbers.to_dict("records")}
    assert words == {(0.0, 1.0): "left out", (0.0, 2.0): "not told apart", (0.1, 2.0): "left out"}


def test_the_margin_is_given_or_half_a_point_or_a_fifth_of_the_gain_on_val():
    accuracy = study(
        FOUR, val={cell: top1 + 1 for cell, top1 in FOUR.items()}
    )  # seeds add 1; hard students' best is 94
    alone = synthetic.runs(seeds=(0, 1, 2), students=False)
    rows = [r | {"split": s, "metric": "top1", "value": v} for r in alone for s, v in (("val", 0.84), ("test", 0.1))]
    baseline = pd.DataFrame(rows).query("role == 'baseline'")
    margins = [
        compared(frame, **options)["margin"].max()
        for frame, options in (
            (accuracy, {}),
            (pd.concat([accuracy, baseline]), {}),
            (pd.concat([accuracy, baseline.assign(recipe="another")]), {}),
            (pd.concat([accuracy, baseline.assign(value=0.99)]), {}),
            (accuracy, {"margin": 0.1}),
        )
    ]
    assert margins == pytest.approx([0.5, 0.2 * (94 - 84), 0.5, 0.5, 0.1])


def test_no_difference_takes_the_margin():
    accuracy = study({(0.0, 1.0): 90.0, (0.1, 1.0): 90.05}, seeds=range(8), noise=0.1)
    assert by_t(compared(accuracy)) == {1.0: NO_DIFFERENCE}
    assert by_t(compared(accuracy, margin=0.05)) == {1.0: CANNOT_TELL}


def test_looks_lower_the_level_and_turn_a_word():
    accuracy = study({(0.0, 1.0): 90.0, (0.1, 1.0): 90.8}, seeds=range(5), noise=0.5)
    first, third = compared(accuracy), compared(accuracy, looks=[3, 4])
    assert by_t(first) == {1.0: "helps"} and by_t(third) == {1.0: CANNOT_TELL}
    assert set(first["level"]) == {0.05} and set(third["level"]) == {0.0125}
    assert set(compared(accuracy, planned_looks=[3, 5])["level"]) == {0.05 * 2 / 5}


def test_the_rule_is_tested_against_every_other_choice():
    numbers = comparisons.rule({"accuracy": study(FOUR, noise=0.02)})
    assert set(numbers["claims"]) == {3} and list(numbers["mean"]) == pytest.approx([3, 1, 23], abs=0.05)
    with_eta = comparisons.rule({"accuracy": study(FOUR), "diffusion": synthetic.diffusion(synthetic.runs())})
    assert set(with_eta["claims"]) == {4}


def test_beside_the_claims_the_rule_meets_the_best_other_choice_on_val():
    row = compared(study(FOUR, val=FOUR | {(0.1, 2.0): 99.0}, noise=0.02)).query("what == 'ls_t1_best'").iloc[0]
    assert (row["other_label_smoothing"], row["other_temperature"], row["verdict"]) == (0.1, 2.0, "higher, no claim")
    none = compared(study({cell: top1 for cell, top1 in FOUR.items() if cell[1] > 1}))
    assert "ls_t1_best" not in set(none["what"])
    without_t = study(FOUR, noise=0.02).assign(variant="logit_mse")
    assert "ls_t1_best" not in set(compared(without_t)["what"])


def test_a_loss_without_t_is_compared_without():
    accuracy = study({(0.0, 1.0): 90.0, (0.1, 1.0): 95.0}, seeds=range(6), noise=0.1).assign(temperature=np.nan)
    numbers = compared(accuracy)
    assert list(numbers["question"]) == ["same T", "best on val", "choice"]
    assert list(numbers["verdict"]) == ["helps", "left out", "better"]


@settings(deadline=None, max_examples=15)  # a study each
@given(st.permutations([0, 1, 2, 3]), st.sampled_from([0.0, 5.0]))
def test_renamed_seeds_and_a_shift_of_all_change_no_verdict(order, shift):
    accuracy = hurt_at_64(seeds=(0, 1, 2, 3), noise=0.05)
    moved = accuracy.assign(seed=[order[s] for s in accuracy["seed"]], value=accuracy["value"] + shift / 100)
    before, after = compared(accuracy), compared(moved.sample(frac=1, random_state=3))
    assert list(before["verdict"]) == list(after["verdict"])
    assert before["mean"].to_numpy() == pytest.approx(after["mean"].to_numpy(), abs=1e-9, nan_ok=True)


def test_swapped_teachers_turn_helps_into_hurts():
    accuracy = hurt_at_64(seeds=range(5), noise=0.05)
    swapped = accuracy.assign(label_smoothing=0.1 - accuracy["label_smoothing"])
    for question in ("same T", "interaction"):
        before, after = (of_question(compared(frame), question) for frame in (accuracy, swapped))
        assert after["mean"].to_numpy() == pytest.approx(-before["mean"].to_numpy(), abs=1e-9)
        turned = {"hurts": "helps", "lower": "higher"}
        assert list(after["verdict"]) == [turned.get(word, word) for word in before["verdict"]]
        assert set(turned) & set(before["verdict"])


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
    with pytest.raises(UserError, match="summary: found T 2, 64; it takes a smoothed teacher's student at T = 1"):
        comparisons.rule({"accuracy": accuracy[accuracy["temperature"] > 1]})


def test_settings_are_of_identity_columns():
    assert set(students.SETTING) | set(students.CELL) <= set(IDENTITY)


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
