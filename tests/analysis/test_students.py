"""Students as arrays: who is paired with whom, what is averaged, what is missing."""

import math

import numpy as np
import pandas as pd
import pytest

from lskd.analysis.students import by_seed, settings_of
from lskd.errors import UserError
from tests.analysis.studies import hurt_at_64, study

EFFECTS = {(0.0, 1.0): 90.0, (0.1, 1.0): 91.0}


def test_each_number_stands_at_its_seed_student_and_cell():
    accuracy = study(EFFECTS, seeds=(3, 7), val={(0.0, 1.0): 80.0, (0.1, 1.0): 81.0}, students=2)
    (students,) = settings_of(accuracy.sample(frac=1, random_state=0))
    assert students.seeds == [3, 7] and students.cells == [(0.0, 1.0), (0.1, 1.0)]
    for row in accuracy.to_dict("records"):
        cell = row["label_smoothing"], row["temperature"]
        place = students.seeds.index(row["seed"]), row["student"], students.cells.index(cell)
        assert students.points[row["split"]][place] == pytest.approx(100 * row["value"])
        assert students.titles[row["seed"], row["student"], cell] == row["run"]


def test_a_difference_is_of_students_with_the_same_seed_and_averaged_by_the_teachers_seed():
    accuracy = study(EFFECTS, students=3)
    (students,) = settings_of(accuracy)
    difference_sj = students.differences("test", {(0.1, 1.0): 1, (0.0, 1.0): -1})
    assert difference_sj == pytest.approx(np.tile(1 + 0.8 * np.array([-1, 0, 1]), (3, 1)))
    assert by_seed(difference_sj) == pytest.approx([1.0] * 3)
    lost = accuracy[~((accuracy["seed"] == 1) & (accuracy["student"] == 2) & (accuracy["label_smoothing"] == 0))]
    lost = lost[lost["seed"] != 2]
    (students,) = settings_of(lost)
    assert by_seed(students.differences("test", {(0.1, 1.0): 1, (0.0, 1.0): -1})) == pytest.approx([1.0, 0.6])


def test_frames_from_before_students_had_seeds_of_their_own():
    accuracy = hurt_at_64()
    (old,), (new,) = settings_of(accuracy.drop(columns="student")), settings_of(accuracy)
    assert np.array_equal(old.points["test"], new.points["test"]) and old.seeds == new.seeds


def test_a_loss_without_t_or_weight_is_a_setting_of_its_own():
    """A missing value equals itself here, as it does not in floating point."""
    accuracy = study(EFFECTS)
    without = accuracy.assign(variant="logits", temperature=math.nan, soft_weight=math.nan, run=accuracy["run"] + "x")
    one, two = settings_of(pd.concat([without, accuracy]))
    assert (one.setting["variant"], two.setting["variant"]) == ("", "logits")
    assert two.cells == [(0.0, None), (0.1, None)] and math.isnan(two.setting["soft_weight"])
    assert two.points["test"] == pytest.approx(one.points["test"])


def test_the_best_on_val_of_equals_is_the_least_smoothed_at_the_lowest_t():
    (students,) = settings_of(study({(0.0, 2.0): 1.0, (0.0, 1.0): 1.0, (0.1, 1.0): 1.0}))
    assert students.best_on_val() == (0.0, 1.0) and students.best_on_val(lambda cell: cell[0] > 0) == (0.1, 1.0)
    (students,) = settings_of(study({(0.0, 2.0): 1.0, (0.0, 1.0): 1.0}, val={(0.0, 2.0): 5.0, (0.0, 1.0): 1.0}))
    assert students.best_on_val() == (0.0, 2.0)


def test_mistakes_are_one_line():
    accuracy = hurt_at_64()
    with pytest.raises(UserError, match="accuracy: found no student"):
        settings_of(accuracy.assign(role="teacher"))
    twin = accuracy.assign(run=accuracy["run"].str.replace("ls0.1", "ls0.1-others"), smoothing="others")
    with pytest.raises(UserError, match=r"tell (\S+)ls0.1-others(\S+) from \1ls0.1\2; name"):
        settings_of(pd.concat([accuracy, twin]))
    settings_of(pd.concat([accuracy, accuracy.assign(group="again")]))  # a run in two groups counts once
