"""What a student was taught, against the functions that teach it and loops over images."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy as scipys

from lskd.io.seal import seal
from lskd.jobs.work import Work
from lskd.metrics import taught
from lskd.metrics.calibration import fit_temperature
from lskd.metrics.stability import stability_eq2
from lskd.study import registry
from lskd.supervision.standardized_kd import standardized
from lskd.training.distill import fitted
from lskd.transforms.of_student import transform_of
from tests.metrics.made import drawn, folder, study

KD = {"way": "kd", "draws": "epochs", "temperature": 3.0, "soft_weight": 1.0}
SEED = 7


def record(supervision, transform=None, seed=SEED):
    """What a student's record says of how it was taught."""
    functions = {"loss": f"lskd.supervision.{supervision['way']}:loss"}
    spec = {"supervision": supervision, "seed": seed}
    if transform:
        known = registry.transforms()[transform["name"]]
        functions |= {role: entry for role, entry in (("transform", known.entry), ("fit", known.fits)) if entry}
        spec["transform"] = transform
    return {"spec": spec, "functions": functions}


def student(root: Path, supervision, transform=None, seed=SEED, runs=None):
    """A student of the first made teacher that was taught so."""
    first = next(run for run in (runs or study(root)) if run.teacher)
    path = folder(root, "runs", str((supervision, transform, seed)))
    seal(path, [], {"address": path.name[-10:]} | record(supervision, transform, seed))
    return replace(first, folders=first.folders | {"train": path})


def values(run):
    return {row["metric"]: row["value"] for row in taught.measure([run], {})}


def test_plain_distillation_is_the_teachers_softmax_at_t(tmp_path):
    run = student(tmp_path, KD)
    labels_n, logits_nk = run.teacher.logits("train")
    p_nk = softmax(logits_nk / 3, axis=1)
    measured = values(run)
    assert measured["entropy"] == pytest.approx(scipys(p_nk, axis=1).mean(), abs=1e-12)
    wrong = sum(p_nk[i, k] for i in range(len(p_nk)) for k in range(5) if k != labels_n[i])
    assert measured["gamma"] == pytest.approx(wrong / len(p_nk) * 5 / 4, abs=1e-12)
    squares = [((p - p_nk[labels_n == label].mean(0)) ** 2).sum() for p, label in zip(p_nk, labels_n, strict=True)]
    assert measured["within_class_std"] == pytest.approx(np.sqrt(np.mean(squares)), abs=1e-12)


def test_the_deviation_within_classes_of_one_size_is_that_of_shens_stability():
    labels_n, logits_nk = drawn(3, 60, 5)
    p_nk = softmax(logits_nk, axis=1)
    assert taught.within_class_std(labels_n, p_nk) ** 2 == pytest.approx(1 - stability_eq2(labels_n, p_nk), abs=1e-12)


def test_the_rows_tell_how_it_was_taught(tmp_path):
    runs = study(tmp_path)
    about = [
        taught.measure([student(tmp_path, supervision, transform, runs=runs)], {})[0]
        for supervision, transform in (
            (KD, None),
            (KD | {"teacher_temperature": 8.0}, {"name": "erase", "keep": 0.25}),
            (KD | {"way": "logit_mse"}, {"name": "shuffle"}),
        )
    ]
    columns = ("way", "transform", "keep", "teacher_temperature")
    taught_rows = [tuple(row[name] for name in columns) for row in about]
    assert taught_rows[0] == ("kd", "none", pytest.approx(math.nan, nan_ok=True), 3.0)
    assert taught_rows[1] == ("kd", "erase", 0.25, 8.0)
    assert taught_rows[2] == ("logit_mse", "shuffle", pytest.approx(math.nan, nan_ok=True), 3.0)
    assert about[0]["temperature"] == 1.0  # the identity's own columns stand as they are


def test_the_teachers_own_t_is_what_counts(tmp_path):
    runs = study(tmp_path)
    apart = values(student(tmp_path, KD | {"teacher_temperature": 8.0}, runs=runs))
    assert apart == values(student(tmp_path, KD | {"temperature": 8.0}, runs=runs))


def test_a_way_without_t_gives_no_distribution(tmp_path):
    supervision = {name: value for name, value in KD.items() if name != "temperature"} | {"way": "logit_mse"}
    rows = taught.measure([student(tmp_path, supervision)], {})
    assert len(rows) == 3 and all(math.isnan(row["value"]) for row in rows)


@pytest.mark.parametrize(
    "transform",
    [{"name": "erase", "keep": 0.25}, {"name": "shuffle"}, {"name": "randomize"}, {"name": "calibrate"}],
    ids=lambda transform: transform["name"],
)
def test_logits_are_changed_as_training_changes_them(tmp_path, transform):
    run = student(tmp_path, KD, transform)
    labels_n, logits_nk = run.teacher.logits("train")
    about = record(KD, transform)
    functions = {role: taught._function(entry) for role, entry in about["functions"].items() if role != "loss"}
    inputs = {"teacher predict": run.teacher.folders["predict"]}
    work = Work("student", "0" * 10, about["spec"], tmp_path, inputs, functions)
    fit = fitted(work) if "fit" in functions else None
    expected = transform_of(work.spec, functions["transform"], fit)(logits_nk.astype(np.float32), labels_n)
    changed = taught.transformed(logits_nk, labels_n, about, run.teacher)
    assert np.array_equal(changed, expected.astype(np.float64)) and not np.array_equal(changed, logits_nk)
    p_nk = softmax(expected.astype(np.float64) / 3, axis=1)
    assert values(run)["entropy"] == pytest.approx(scipys(p_nk, axis=1).mean(), abs=1e-12)


def test_what_is_erased_or_calibrated(tmp_path):
    runs = study(tmp_path)
    plain = values(student(tmp_path, KD, runs=runs))
    erased = values(student(tmp_path, KD, {"name": "erase", "keep": 0.0}, runs=runs))
    assert erased["within_class_std"] < 1e-6 < plain["within_class_std"]
    shuffled = values(student(tmp_path, KD, {"name": "shuffle"}, runs=runs))
    assert shuffled == pytest.approx(plain, abs=1e-9)  # classes keep all that is measured
    fitted = fit_temperature(*runs[0].logits("val"))
    at_fitted = values(student(tmp_path, KD | {"temperature": 3 * fitted}, runs=runs))
    assert values(student(tmp_path, KD, {"name": "calibrate"}, runs=runs)) == pytest.approx(at_fitted, rel=1e-5)


def test_random_transforms_follow_the_students_seed(tmp_path):
    runs, noise = study(tmp_path), {"name": "randomize"}
    ours, again, others = (
        values(student(tmp_path, KD, noise, seed, runs))["entropy"] for seed in (SEED, SEED, SEED + 1)
    )
    assert ours == again != others


def test_standardised_logits_are_those_of_the_loss(tmp_path):
    supervision = KD | {"way": "standardized_kd"}
    run = student(tmp_path, supervision)
    _, logits_nk = run.teacher.logits("train")
    expected = standardized(torch.from_numpy(logits_nk)).numpy()
    assert taught.standardized(logits_nk) == pytest.approx(expected, abs=1e-9)
    assert values(run)["entropy"] == pytest.approx(scipys(softmax(expected / 3, 1), axis=1).mean(), abs=1e-9)
    assert not taught.standardized(np.full((2, 5), 0.1)).any()


def test_each_student_has_its_rows_whoever_shares_its_teacher(tmp_path):
    runs = study(tmp_path)
    first, second = (student(tmp_path, KD | {"temperature": t}, runs=runs) for t in (1.0, 2.0))
    twin = replace(first, row=first.row | {"run": "twin"})
    rows = taught.measure([runs[0], first, second, twin], {})
    assert [row["run"] for row in rows] == [first.row["run"]] * 6 + ["twin"] * 3
    entropies = [row["value"] for row in rows if row["metric"] == "entropy"]
    assert entropies[0] == entropies[2] != entropies[1]
    assert taught.measure([runs[0]], {}) == []
