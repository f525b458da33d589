"""What smoothing gains over numbers of classes and forms of data, against loops over made-up runs."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lskd.analysis import class_gains
from lskd.analysis.class_gains import claims
from lskd.errors import UserError
from tests.figures import synthetic

SEEDS = tuple(range(6))


def frames(alphas=(0.0, 0.1), seeds=SEEDS, **how):
    gains = synthetic.class_gains(synthetic.runs(alphas=alphas, temperatures=(1.0,), seeds=seeds), **how)
    return gains["accuracy"], gains["class_sizes"]


def by_seed(accuracy, dataset, role, alpha, seed):
    own = accuracy.query("dataset == @dataset and role == @role and label_smoothing == @alpha and seed == @seed")
    return 100 * float(own["value"].mean())


def test_gains_and_their_differences_are_those_of_a_loop():
    accuracy, sizes = frames()
    numbers = claims(accuracy, sizes, {})
    gain = {
        (dataset, role): np.array(
            [by_seed(accuracy, dataset, role, 0.1, s) - by_seed(accuracy, dataset, role, 0.0, s) for s in SEEDS]
        )
        for dataset in synthetic.OF_CLASSES
        for role in ("teacher", "student")
    }
    checked = 0
    for row in numbers.to_dict("records"):
        expected = gain[row["dataset"], row["role"]]
        if row["what"] in ("classes", "tail"):
            expected = expected - gain[row["other_dataset"], row["role"]]
        test = stats.ttest_1samp(expected, 0)
        assert row["mean"] == pytest.approx(expected.mean(), rel=1e-9)
        assert row["spread"] == pytest.approx(expected.std(ddof=1), rel=1e-9)
        assert (row["p"], row["n"]) == (pytest.approx(test.pvalue, rel=1e-6), 6)
        checked += 1
    assert checked == 2 * (4 + 2 + 2)  # of teachers and students: gains, by classes, by tail


def test_what_is_compared_with_what():
    numbers = claims(*frames(), {}).query("role == 'teacher'")
    pairs = {
        (row["what"], row["dataset"], row["other_dataset"])
        for row in numbers.to_dict("records")
        if row["what"] in ("classes", "tail")
    }
    assert pairs == {
        ("classes", "more", "few"),
        ("classes", "tail_more", "tail_few"),
        ("tail", "tail_few", "few"),
        ("tail", "tail_more", "more"),
    }


def test_the_words_are_those_of_what_was_put_in():
    numbers = claims(*frames(), {}).query("role == 'teacher'").set_index(["what", "dataset"])["verdict"]
    assert numbers["gain", "few"] == numbers["gain", "tail_few"] == "helps"  # 3 and 1 points
    assert numbers["gain", "tail_more"] == "no difference"  # 0 points
    assert numbers["classes", "more"] == numbers["tail", "tail_more"] == "lower"
    hurt = claims(*frames(tail=6.0), {}).query("role == 'teacher'").set_index(["what", "dataset"])["verdict"]
    assert hurt["gain", "tail_few"] == "hurts"


def test_differences_of_students_are_no_claims():
    numbers = claims(*frames(), {})
    beside = numbers[numbers["weight"] == 0]
    assert set(zip(beside["role"], beside["question"], strict=True)) == {("student", class_gains.DIFFERENCE)}
    assert set(numbers["claims"]) == {4 + 4 + 4}
    assert set(beside["verdict"]) <= {"higher, no claim", "lower, no claim", "equal, no claim"}


def test_several_networks_have_an_average_without_a_claim():
    rows = synthetic.runs(temperatures=(1.0,), seeds=SEEDS, students=False)
    wide = [row | {"model": "resnet8-w32", "run": f"w/{row['run']}", "lineage": "w"} for row in rows]
    class_gains = synthetic.class_gains([*rows, *wide])
    numbers = claims(class_gains["accuracy"], class_gains["class_sizes"], {})
    average = numbers[numbers["what"] == "average"].set_index("dataset")
    assert set(average["model"]) == {"average of 2"} and set(average["weight"]) == {0.0}
    gains = numbers[(numbers["what"] == "gain") & (numbers["dataset"] == "few")]
    assert average.loc["few", "mean"] == pytest.approx(gains["mean"].mean())


@pytest.mark.parametrize(
    ("largest", "smallest", "form"), [(2, 1, "balanced"), (1300, 732, "balanced"), (5, 2, "long-tailed")]
)
def test_the_form_of_data(largest, smallest, form):
    assert class_gains.form_of({"largest": largest, "smallest": smallest}) == form


def test_planned_looks_and_the_margin_are_the_studys():
    numbers = claims(*frames(), {"planned_looks": [6, 12], "margin": 0.25})
    assert list(numbers["level"]) == pytest.approx([0.025] * len(numbers)) and set(numbers["margin"]) == {0.25}


def test_two_seeds_cannot_tell():
    numbers = claims(*frames(seeds=(0, 1)), {})
    assert set(numbers["verdict"]) == {"cannot tell"}


def test_without_both_kinds_it_is_one_line():
    accuracy, sizes = frames(alphas=(0.1,))
    with pytest.raises(
        UserError, match=r"classes_gain: found networks with label_smoothing 0, 0.1; it takes 0 and anot"
    ):
        claims(accuracy, sizes, {})
    nothing = accuracy[accuracy["role"] == "teacher"]
    with pytest.raises(UserError, match=r"label_smoothing 0.1; it takes"):
        claims(nothing, sizes, {})


def test_a_missing_seed_is_left_out_of_its_pairs():
    accuracy, sizes = frames()
    lost = accuracy.query("dataset == 'few' and role == 'teacher' and label_smoothing == 0.1 and seed == 3").index
    numbers = claims(accuracy.drop(lost), sizes, {}).query("role == 'teacher'").set_index(["what", "dataset"])
    assert numbers.loc[("gain", "few"), "n"] == 5 and numbers.loc[("classes", "more"), "n"] == 5
    assert numbers.loc[("gain", "more"), "n"] == 6
    assert not math.isnan(numbers.loc[("tail", "tail_few"), "mean"])
    assert isinstance(numbers, pd.DataFrame)
