"""Runs, their titles and specs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.study import config, runs
from lskd.study import reading as studyfile

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


def students(one):
    return [member.run for member in runs.members(one) if member.role == "student"]


def test_titles_read_as_provenance():
    titles = [member.run.title for member in runs.members(study())]
    assert len(titles) == 4 + 8
    assert titles == sorted(titles)
    assert "digits/mlp-w8/r/ls0.1/seed1" in titles
    assert "digits/plain_cnn/aug/kd-T3-from-mlp-w8-r-ls0.1/seed1" in titles  # its recipe, where it is another
    same = study(students={"s": RAW["students"]["s"] | {"recipe": "r"}})
    assert "digits/plain_cnn/r/kd-T3-from-mlp-w8-ls0.1/seed1" in [run.title for run in students(same)]


def test_order_in_the_config_changes_nothing():
    teacher = RAW["teachers"]["t"] | {"label_smoothing": [0.1, 0.0]}
    again = study(seeds=[1, 0], teachers={"t": teacher})
    assert [m.row for m in runs.members(again)] == [m.row for m in runs.members(study())]


def test_a_spec_is_what_the_weights_depend_on_beside_data_and_teacher():
    """The teacher's own spec is part of a student's address by the job that it reads."""
    student = students(study())[0]
    assert student.spec == {
        "model": {"name": "plain_cnn"},
        "recipe": config.spec(student.recipe),
        "supervision": config.spec(student.supervision),
        "pixels": {"key": "digits", "seed": 0},
        "seed": 0,
    }
    assert student.spec["supervision"]["temperature"] == 1.0
    assert student.identity != students(study(recipes={"r": {"lr": 0.5}}))[0].identity
    assert student.spec == students(study(recipes={"r": {"lr": 0.5}}))[0].spec


def test_the_form_of_no_smoothing_is_in_no_spec_and_no_title():
    others = study(teachers={"t": RAW["teachers"]["t"] | {"smoothing": "others"}})
    hard, smooth = (next(m.run for m in runs.members(others) if m.run.label_smoothing == a) for a in (0.0, 0.1))
    assert (hard.taught, smooth.taught) == ("ls0", "ls0.1-others")
    assert hard.spec["supervision"] == {"label_smoothing": 0.0}
    assert smooth.spec["supervision"] == {"label_smoothing": 0.1, "smoothing": "others"}


def test_torchvision_models_share_a_builder_and_are_told_apart():
    assert runs.model_spec(config.Model(name="resnet18")) == {"name": "resnet18", "arch": "resnet18"}
    assert runs.model_spec(config.Model(name="mlp", width=8)) == {"name": "mlp", "width": 8}


def test_every_variant_has_its_own_name():
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


def test_two_different_runs_or_data_sets_of_one_name_are_refused():
    near = RAW["teachers"]["t"] | {"label_smoothing": [0.1, 0.1000000001]}
    with pytest.raises(UserError, match="recipes.r: two different runs are called digits/mlp-w8/r/ls0.1/seed0"):
        runs.members(study(teachers={"t": near}))
    named = {"t": RAW["teachers"]["t"] | {"data": {"dataset": "digits", "val_fraction": 0.3}}}
    with pytest.raises(UserError, match="two different data sets are called digits"):
        runs.members(study(teachers={"t": RAW["teachers"]["t"]} | {"u": named["t"]}))


def test_a_use_of_other_weights_is_another_run():
    """Best and last epoch are of one training, and of two names' worth of results."""
    assert students(study())[0].identity != students(study(recipes={"r": {"select": "best"}}))[0].identity


def test_students_may_teach_but_not_in_a_circle():
    born_again = {"teacher": "s", "model": "mlp", "recipe": "r", "temperature": [2]}
    chain = study(students={"b": born_again})
    titles = [m.run.title for m in runs.members(chain) if m.group == "b"]
    assert len(titles) == 8
    assert "digits/mlp/r/kd-T2-from-plain_cnn-aug-kd-T3-from-mlp-w8-r-ls0.1/seed1" in titles
    circle = RAW["students"]["s"] | {"teacher": "b"}
    with pytest.raises(UserError, match="circle"):
        runs.members(study(students={"b": born_again, "s": circle}))


def test_teachers_can_be_chosen_by_their_smoothing():
    only = RAW["students"]["s"] | {"label_smoothing": [0.1]}
    chosen = [m.run for m in runs.members(study(students={"s": only})) if m.role == "student"]
    assert {run.label_smoothing for run in chosen} == {0.1}


@pytest.mark.parametrize(
    ("recipe", "views", "draws", "slug"),
    [
        ("r", "epochs", [0], "clean-float32"),
        ("aug", "epochs", [1, 2, 3, 4], "draws4-crop2-flip-float32"),
        ("aug", 2, [1, 2], "draws2-crop2-flip-float32"),
        ("aug", 1, [0], "clean-float32"),
        ("r", 3, [0], "clean-float32"),
    ],
)
def test_stored_draws(recipe, views, draws, slug):
    group = RAW["students"]["s"] | {"recipe": recipe, "views": views}
    student = students(study(students={"s": group}))[0]
    assert runs.stored_draws(student) == draws
    assert runs.store_slug(student) == slug


def test_how_pixels_are_drawn():
    recipes = study().recipes
    assert runs.augment_spec(recipes["aug"]) == {"crop_padding": 2, "flip": True}
    assert runs.augment_spec(recipes["r"]) == {}
    assert runs.augmented(recipes["aug"]) and not runs.augmented(recipes["r"])


@pytest.mark.parametrize(
    ("figure", "count"),
    [({}, 12), ({"groups": ["t"]}, 4), ({"groups": ["s"], "temperatures": [3.0]}, 4), ({"temperatures": [3.0]}, 8)],
)
def test_a_figure_shows_its_groups_and_temperatures(figure, count):
    one = study(figures={"grid": {"kind": "grid"} | figure})
    assert len(runs.select(runs.members(one), one.figures["grid"])) == count


def test_identity_columns():
    member = next(m for m in runs.members(study()) if m.role == "student" and not m.run.label_smoothing)
    assert member.row == {
        "run": member.run.title,
        "group": "s",
        "role": "student",
        "dataset": "digits",
        "model": "plain_cnn",
        "recipe": "aug",
        "teacher": member.run.teacher.title,
        "teacher_model": "mlp-w8",
        "label_smoothing": 0.0,
        "temperature": 1.0,
        "soft_weight": 1.0,
        "variant": "",
        "seed": 0,
    }
