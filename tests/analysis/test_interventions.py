"""The students of a pair of networks, from their metrics."""

import numpy as np
import pandas as pd
import pytest

from lskd.analysis.interventions import HARD, NETWORKS, SMOOTH, Taught, pairs, plain
from lskd.errors import UserError
from tests.analysis import taught


def flat(*how):
    return 75.0


def by_t(kind, way, transform, keep, teachers_t, t, soft):
    return 70 + t + 2 * (kind == "LS")


def test_numbers_are_those_of_the_frames_by_a_loop():
    frames = taught.study(by_t, seeds=(3, 5), students=2, noise=1.0)
    (pair,) = pairs(frames)
    assert (pair.seeds, pair.students, pair.alpha, pair.alone) == ([3, 5], [0, 1], 0.1, pytest.approx(74.0))
    assert list(pair.networks) == NETWORKS
    top1 = frames["accuracy"].query("split == 'test' and role == 'student'")
    known = frames["taught"].query("metric == 'entropy'").set_index("run")
    assert len(pair.all_taught()) * 4 == len(top1) == len(known)
    for row in top1.to_dict("records"):
        how = known.loc[row["run"]]
        kind = SMOOTH if row["label_smoothing"] else HARD
        if any(rival in row["teacher"] for rival in taught.RIVALS):
            kind = row["teacher"].split("/")[3]
        keep = None if np.isnan(how["keep"]) else how["keep"]
        key = Taught(kind, how["way"], how["transform"], keep, how["teacher_temperature"], row["temperature"])
        place = pair.seeds.index(row["seed"]), int(row["student"])
        assert pair.get("test", key)[place] == pytest.approx(100 * row["value"], abs=1e-12)
        assert pair.get("entropy", key)[place] == how["value"]
        assert pair.get("ece", key)[place] == pytest.approx(100 * taught.ECE[kind] + 0.1 * row["seed"])


def test_plain_distillation_is_kd_at_one_t():
    (pair,) = pairs(taught.study(by_t, seeds=(0,)))
    assert pair.temperatures(SMOOTH) == list(taught.DEGREES)
    assert pair.temperatures("squared_error") == [1.0, taught.T0] and pair.temperatures("none such") == []
    assert sum(each.is_plain for each in pair.all_taught()) == 2 * 9 + 3 * 2
    assert pair.mean("test", plain(HARD, 2.0)) == pytest.approx(72, abs=0.1)
    assert np.isnan(pair.mean("test", plain(HARD, 5.0))) and not pair.has(plain(HARD, 5.0))


def test_a_missing_student_is_nan_and_its_seed_has_the_mean_of_the_others():
    frames = taught.study(by_t, seeds=(0, 1), students=2, noise=0.0)
    gone = frames["accuracy"].query("variant == '' and temperature == 2 and label_smoothing == 0 and student == 1")
    frames["accuracy"] = frames["accuracy"].drop(gone[gone["seed"] == 1].index)
    (pair,) = pairs(frames)
    assert np.isnan(pair.get("test", plain(HARD, 2.0))).tolist() == [[False, False], [False, True]]
    assert pair.mean("test", plain(HARD, 2.0)) == pytest.approx(72.5)


def test_networks_make_pairs_and_those_without_both_teachers_none():
    networks = (("a", "b"), ("c", "d"))
    frames = taught.study(flat, seeds=(0,), networks=networks)
    assert [pair.networks["model"] for pair in pairs(frames)] == ["b", "d"]
    smooth = frames["accuracy"].query("teacher_model == 'c' and label_smoothing > 0")
    fewer = frames | {"accuracy": frames["accuracy"].drop(smooth.index)}
    assert [pair.networks["model"] for pair in pairs(fewer)] == ["b"]
    assert pairs(taught.study(flat, seeds=(0,), only=lambda kind, *how: kind == "hard")) == []


def test_without_calibration_there_is_no_ece():
    frames = taught.study(flat, seeds=(0,))
    for empty in (None, pd.DataFrame()):
        (pair,) = pairs({name: frames[name] for name in ("accuracy", "taught")} | {"calibration": empty})
        assert np.isnan(pair.get("ece", plain(HARD, 1.0))).all()


def test_what_cannot_be_compared_is_told():
    frames = taught.study(flat, seeds=(0,), students=1)
    accuracy, known = frames["accuracy"], frames["taught"]
    one = accuracy.query("variant == '' and temperature == 2 and label_smoothing == 0")
    twin = frames | {
        "accuracy": pd.concat([accuracy, one.assign(run="twin", variant="noT2")]),
        "taught": pd.concat([known, known[known["run"].isin(one["run"])].assign(run="twin")]),
    }
    with pytest.raises(UserError, match="cannot tell digits/.* from twin; name in `groups`"):
        pairs(twin)
    with pytest.raises(UserError, match="teacher digits/.* is not shown, whose kind is needed"):
        pairs(frames | {"accuracy": accuracy[accuracy["role"] == "student"]})
    smoother = accuracy.assign(run=accuracy["run"] + "s", teacher=accuracy["teacher"] + "s", label_smoothing=0.2)
    other = smoother[accuracy["label_smoothing"] > 0]
    both = pd.concat([known, known[known["label_smoothing"] > 0].assign(run=lambda frame: frame["run"] + "s")])
    with pytest.raises(UserError, match="found label_smoothing 0.1, 0.2; it compares one with 0"):
        pairs(frames | {"accuracy": pd.concat([accuracy, other]), "taught": both})
