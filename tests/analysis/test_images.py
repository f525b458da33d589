"""The bootstrap of seeds x images against a loop, the variance that it must have, and what it leaves alone."""

import time

import numpy as np
import pandas as pd
import pytest

from lskd.analysis import comparisons, images
from lskd.analysis.students import settings_of
from tests.analysis.studies import study
from tests.figures.synthetic import hits_of

EFFECTS = {(0.0, 1.0): 60.0, (0.1, 1.0): 70.0}


def intervals(accuracy, correct):
    rows = comparisons.verdict({"accuracy": accuracy, "correct": correct})
    return rows.loc[rows["question"] == "same T", ["low_images", "high_images"]].to_numpy()[0]


def loop(hit_sci, draws, random):
    """Differences in points of two cells with seeds and images drawn anew, one draw after the other."""
    seeds, _, count = hit_sci.shape
    values = []
    for _ in range(draws):
        own, shown = random.integers(0, seeds, seeds), random.integers(0, count, count)
        values.append(100 * np.mean([hit_sci[s, 1, shown] - hit_sci[s, 0, shown] for s in own]))
    return np.array(values)


def test_the_draws_are_those_of_a_loop_in_mean_and_spread():
    accuracy = study(EFFECTS, seeds=range(5))
    correct = hits_of(accuracy, 200, np.random.default_rng(0))
    (students,) = settings_of(accuracy)
    hits = {row["run"]: (row["images"], row["correct"]) for row in correct.to_dict("records")}
    accuracy_bsc, weight_bs = images._draws(students, hits)
    ours = ((accuracy_bsc[:, :, 1] - accuracy_bsc[:, :, 0]) * weight_bs).sum(1)
    packed = correct.set_index("run")["correct"]
    bits = {run: np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=200) for run, text in packed.items()}
    titles = students.titles
    hit_sci = np.array([[bits[titles[s, 0, cell]].astype(float) for cell in students.cells] for s in students.seeds])
    theirs = loop(hit_sci, 4000, np.random.default_rng(1))
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.2)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.06)
    assert np.percentile(ours, images.TAILS) == pytest.approx(np.percentile(theirs, images.TAILS), abs=0.6)


def test_equal_students_have_no_width_over_images_of_equal_hits():
    """All right on the same images in both cells: whatever is drawn, the difference is 0."""
    accuracy = study({(0.0, 1.0): 60.0, (0.1, 1.0): 60.0})
    correct = hits_of(accuracy, 100, np.random.default_rng(0))
    correct["correct"] = correct["correct"].iloc[0]
    assert list(intervals(accuracy, correct)) == [0.0, 0.0]


def test_students_of_a_seed_are_averaged_and_incomplete_seeds_left_out():
    accuracy = study(EFFECTS, seeds=range(4), students=2)
    correct = hits_of(accuracy, 300, np.random.default_rng(0))
    low, high = intervals(accuracy, correct)
    assert low < 10 < high
    lost = correct[~((correct["seed"] == 0) & (correct["label_smoothing"] == 0))]
    kept = correct[correct["seed"] != 0]
    assert list(intervals(accuracy, lost)) == list(intervals(accuracy, kept)) != [low, high]
    assert np.isnan(intervals(accuracy, correct[correct["label_smoothing"] == 0])).all()
    assert np.isnan(intervals(accuracy, None)).all()


def test_the_same_rows_in_any_order_give_the_same_interval():
    accuracy = study(EFFECTS)
    correct = hits_of(accuracy, 100, np.random.default_rng(0))
    shuffled = correct.sample(frac=1, random_state=1)
    assert list(intervals(accuracy, correct)) == list(intervals(accuracy, shuffled))


def test_ten_thousand_images_ten_seeds_and_eight_cells_take_seconds():
    accuracy = study({(a, t): 90.0 + a for a in (0.0, 0.1) for t in (1.0, 2.0, 3.0, 64.0)}, seeds=range(10))
    correct = hits_of(accuracy, 10_000, np.random.default_rng(0))
    start = time.perf_counter()
    rows = comparisons.verdict({"accuracy": accuracy, "correct": correct})
    assert time.perf_counter() - start < 10
    assert rows.loc[rows["question"] == "interaction", "low_images"].notna().all()
    assert rows.loc[rows["split"] == "val", "low_images"].isna().all()
    pd.testing.assert_frame_equal(rows, comparisons.verdict({"accuracy": accuracy, "correct": correct}))
