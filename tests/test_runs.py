"""Runs, their folders and specs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd import config, runs, studyfile
from lskd.errors import UserError

RAW = {
    "study": "s",
    "seeds": [0, 1],
    "recipes": {"r": {"epochs": 4}, "aug": {"epochs": 4, "crop_padding": 2, "flip": True}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 8}, "recipe": "r", "label_smoothing": [0.0, 0.1]}},
    "students": {"s": {"teacher": "t", "model": "plain_cnn", "recipe": "aug", "temperature": [1, 3]}},
    "figures": {"grid": {"kind": "grid"}},
}


def study(**over):
    return studyfile.parse(studyfile.merge(RAW, over))


def test_paths_read_as_provenance():
    paths = [member.run.path for member in runs.members(study())]
    assert len(paths) == 4 + 8
    assert paths == sorted(paths)
    assert "digits/mlp-w8/r/ls0.1/seed1" in paths
    assert "digits/mlp-w8/r/ls0.1/seed1/kd/plain_cnn/aug/T3/seed1" in paths


def test_order_in_the_config_changes_nothing():
    teacher = RAW["teachers"]["t"] | {"label_smoothing": [0.1, 0.0]}
    again = study(seeds=[1, 0], teachers={"t": teacher})
    assert [m.row for m in runs.members(again)] == [m.row for m in runs.members(study())]


def test_a_students_spec_holds_its_teachers():
    student = next(m.run for m in runs.members(study()) if m.role == "student")
    assert student.spec["teacher"] == student.teacher.spec
    assert student.spec["distill"] == {"temperature": 1.0}


def test_every_variant_has_its_own_path():
    slugs = {
        runs.distill_slug(config.Distill(temperature=3, **variant))
        for variant in (
            {},
            {"t_squared": False},
            {"soften_student": False},
            {"reduction": "mean"},
            {"views": 2},
            {"views": "online"},
            {"dtype": "float16"},
            {"soft_weight": 0.5},
            {"loss": "logit_mse"},
        )
    }
    assert len(slugs) == 9
    assert "T3" in slugs
    assert "T3-w0.5" in slugs


@given(st.floats(0, 0.99), st.floats(0.01, 100))
def test_slugs_tell_values_apart_to_six_digits(alpha, temperature):
    assert float(runs.labels_slug(config.Labels(label_smoothing=alpha))[2:]) == pytest.approx(alpha, rel=1e-5)
    assert float(runs.distill_slug(config.Distill(temperature=temperature))[1:]) == pytest.approx(temperature, rel=1e-5)


def test_two_different_runs_in_one_folder_are_refused():
    near = RAW["teachers"]["t"] | {"label_smoothing": [0.1, 0.1000000001]}
    with pytest.raises(UserError, match="two different runs would share results/digits/mlp-w8/r/ls0.1"):
        runs.members(study(teachers={"t": near}))


def test_students_may_teach_but_not_in_a_circle():
    born_again = {"teacher": "s", "model": "mlp", "recipe": "r", "temperature": [2]}
    chain = study(students={"b": born_again})
    paths = [m.run.path for m in runs.members(chain) if m.group == "b"]
    assert len(paths) == 8
    assert all(path.count("/kd/") == 2 for path in paths)
    circle = RAW["students"]["s"] | {"teacher": "b"}
    with pytest.raises(UserError, match="circle"):
        runs.members(study(students={"b": born_again, "s": circle}))


def test_teachers_can_be_chosen_by_their_smoothing():
    only = RAW["students"]["s"] | {"label_smoothing": [0.1]}
    chosen = [m.run for m in runs.members(study(students={"s": only})) if m.role == "student"]
    assert {run.label_smoothing for run in chosen} == {0.1}


@pytest.mark.parametrize(
    ("recipe", "views", "stored"),
    [("r", "epochs", [0]), ("aug", "epochs", [1, 2, 3, 4]), ("aug", 2, [1, 2]), ("aug", 1, [0]), ("r", 3, [0])],
)
def test_stored_views(recipe, views, stored):
    group = RAW["students"]["s"] | {"recipe": recipe, "views": views}
    student = next(m.run for m in runs.members(study(students={"s": group})) if m.role == "student")
    assert runs.stored_views(student) == stored


def test_students_of_one_teacher_share_its_views():
    students = [m.run for m in runs.members(study()) if m.role == "student"]
    assert len({runs.views_file(run) for run in students}) == 4
    assert len({config.canonical(runs.views_spec(run)) for run in students}) == 4


def test_smoothing_loss_is_code_of_smoothed_teachers_alone():
    hard, smooth = (next(m.run for m in runs.members(study()) if m.run.label_smoothing == a) for a in (0.0, 0.1))
    assert "lskd.losses:cross_entropy" in runs.entry_points("train", hard.spec)
    assert "lskd.losses:smoothed_cross_entropy" in runs.entry_points("train", smooth.spec)
    assert "lskd.losses:smoothed_cross_entropy" not in runs.entry_points("train", hard.spec)
