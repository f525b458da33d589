"""What is told of figures and of a user's own data before anything starts."""

import importlib
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lskd.analysis import comparisons, interventions
from lskd.errors import UserError
from lskd.jobs import checks, needs
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.metrics import diffusion, smoothness
from lskd.study import reading, registry, runs, studies
from lskd.study.config import Data

MLP = {"name": "mlp", "width": 8}
STUDENT = {"teacher": "t", "model": MLP, "recipe": "r"}
RAW = {
    "study": "s",
    "seeds": [0, 1],
    "recipes": {"r": {"epochs": 2}, "kept": {"epochs": 1, "snapshot_epochs": [0, 1]}},
    "teachers": {
        "t": {"model": MLP, "recipe": "r", "label_smoothing": [0.0, 0.1]},
        "p": {"model": MLP, "recipe": "kept"},
    },
    "baselines": {"b": {"model": "mlp", "recipe": "r"}},
    "students": {
        "s": STUDENT | {"temperature": [1, 3]},
        "one": STUDENT | {"temperature": 2, "soft_weight": 0.5},
        "hot": STUDENT | {"temperature": 64, "soft_weight": 0.6},
        "smooth": STUDENT | {"temperature": [1, 2], "label_smoothing": 0.1, "soft_weight": 0.7},
        "logits": STUDENT | {"supervision": "logit_mse"},
    },
}


def planned(figure, **changes):
    """A plan of one figure."""
    raw = RAW | {"figures": {"f": figure}} | changes
    study = reading.parse(raw)
    plan = Plan(study, Catalogue({"s": study}, Results("nowhere")), {})
    plan.want(["f"])
    return plan


REFUSED = {
    "grid, teachers alone": ({"kind": "grid", "groups": ["t"]}, "figures.f: found no student, and grid shows students"),
    "grid, another T": ({"kind": "grid", "groups": ["s"], "temperatures": [5]}, "temperatures: found 5, but .* T 1, 3"),
    "curves, teachers alone": ({"kind": "curves", "groups": ["t"]}, "found no student"),
    "a table of nothing": ({"kind": "stability", "groups": ["s"], "temperatures": [5]}, "temperatures: found 5"),
    "clusters, two classes": ({"kind": "clusters", "classes": ["3", "8"]}, "classes: found 3, 8; name three"),
    "projection, a class twice": ({"kind": "projection", "classes": ["3", "8", "3"]}, "found 3, 8, 3; name three"),
    "projection, no such class": (
        {"kind": "projection", "classes": ["3", "8", "three"]},
        "figures.f.classes: no class 'three' in digits; it has 0, 1, .*; or leave classes out",
    ),
    "information, no such class": (
        {"kind": "information", "groups": ["p"], "classes": ["3", "x"]},
        "classes: no class 'x' in digits; it has",
    ),
    "soft_targets, no such class": ({"kind": "soft_targets", "groups": ["t"], "classes": ["x"]}, "no class 'x'"),
    "probabilities, not at 1": ({"kind": "probabilities", "groups": ["t"], "temperatures": [2]}, "shown at 1: add it"),
    "diffusion, no student": ({"kind": "diffusion", "groups": ["t"]}, "found no student, and diffusion shows"),
    "diffusion, one T": ({"kind": "diffusion", "groups": ["one"]}, "found students at T 2 alone, and eta compares two"),
    "diffusion, T of two settings": ({"kind": "diffusion", "groups": ["one", "hot"]}, "same student at both T 2 and T"),
    "diffusion, t1 of none": (
        {"kind": "diffusion", "groups": ["s"], "t1": 2},
        "f.t1: found 2, but its students have T",
    ),
    "diffusion, t2 below": ({"kind": "diffusion", "groups": ["s"], "t1": 3, "t2": 1}, "t2 must be above t1"),
    "diffusion, no such target": ({"kind": "diffusion", "groups": ["s"], "targets": ["x"]}, "targets: no class 'x'"),
    "diffusion, no such similar": (
        {"kind": "diffusion", "groups": ["s"], "similar": {"3": ["x"]}},
        "similar.3: no class",
    ),
    "diffusion, similar to itself": ({"kind": "diffusion", "groups": ["s"], "similar": {"3": ["3"]}}, "and not 3"),
    "diffusion, all similar": (
        {"kind": "diffusion", "groups": ["s"], "similar": {"3": list("012456789")}},
        "name one class or more, not all",
    ),
    "settings, labels alone": ({"kind": "settings", "groups": ["t"]}, "f: found networks trained on labels alone"),
    "best_smoothing, no labels alone": (
        {"kind": "best_smoothing", "groups": ["smooth"]},
        "f: found mlp-w8 on digits by r, but not trained on labels without smoothing; add a group of it",
    ),
    "summary, t1 of none": ({"kind": "summary", "groups": ["s"], "t1": 5}, "f.t1: found 5"),
    "summary, no T 1": (
        {"kind": "summary", "groups": ["one"]},
        "found students at T 2; summary takes students of a smo",
    ),
    "summary, logits": ({"kind": "summary", "groups": ["logits"]}, "found students at T none"),
    "verdict, teachers alone": (
        {"kind": "verdict", "groups": ["t"]},
        "label_smoothing no students; a verdict compares",
    ),
    "verdict, smoothed alone": ({"kind": "verdict", "groups": ["smooth"]}, "label_smoothing 0.1; a verdict compares 0"),
    "causes, smoothed alone": ({"kind": "causes", "groups": ["t", "smooth"]}, "no students by kd of a smoothed and an"),
    "causes, T 1 alone": ({"kind": "causes", "groups": ["t", "s"], "temperatures": [1]}, "at one T above 1; causes"),
    "causes, no teacher": ({"kind": "causes", "groups": ["s"]}, "f.groups: the teacher .* is not shown, whose kind"),
    "causes, another T": (
        {"kind": "causes", "groups": ["t", "s"], "reference_temperature": 2},
        "reference_temperature: found 2, but both teachers' students share 1, 3",
    ),
    "causes, two weights": ({"kind": "causes", "groups": ["t", "s", "smooth"]}, "cannot tell .* from .*; name in gr"),
    "gamma_curve, no teacher": ({"kind": "gamma_curve", "groups": ["s"]}, "f.groups: the teacher .* is not shown"),
    "gamma_curve, T 64": ({"kind": "gamma_curve", "groups": ["t", "hot"]}, r"students have T 64, .* write \[64\]"),
    "gamma_curve, on no curve": (
        {"kind": "gamma_curve", "groups": ["smooth"], "temperatures": [2]},
        "no run is on a curve",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_figure_that_would_fail_is_refused_when_planning(case):
    figure, said = REFUSED[case]
    with pytest.raises(UserError, match=said) as caught:
        checks.asked(planned(figure))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", registry.FIGURES)
def test_every_kind_has_its_needs(kind):
    assert kind in needs.NEEDS


def test_two_classes_are_too_few_for_some(tmp_path):
    pictures(tmp_path, "cat", "dog")
    data = {"dataset": "imagefolder", "root": str(tmp_path)}
    checks.asked(planned({"kind": "verdict", "groups": ["t", "s"]}, data=data))
    for kind in ("projection", "clusters", "projection_muller", "diffusion"):
        with pytest.raises(UserError, match="has 2 classes, and .* takes 3 or more; .*--config 'figures={f: null}'"):
            checks.asked(planned({"kind": kind, "groups": ["s"]}, data=data))
    with pytest.raises(UserError, match="no class 'dgo' in .*; did you mean dog?"):
        checks.asked(planned({"kind": "information", "groups": ["p"], "classes": ["cat", "dgo"]}, data=data))


CLASSES_OF = {
    "too many of digits": (
        {"dataset": "digits", "class_subset": 11},
        "class_subset: found 11, the data have 10 classe",
    ),
    "no such digit": ({"dataset": "digits", "class_subset": ["3", "x"]}, r"no class 'x' in the data; there are 0, 1, "),
    "too many glyphs": ({"dataset": "glyphs", "classes": 20, "class_subset": 21}, "found 21, the data have 20 classes"),
    "a later glyph": ({"dataset": "glyphs", "classes": 10, "class_subset": ["a", "é"]}, "no class 'é' in the data"),
    "no class of the figure": (
        {"dataset": "digits", "class_subset": 5},
        r"figures.f.classes: no class '3' in digits; it has 0, 2, 4, 6, 8",
    ),
    "two for three": ({"dataset": "digits", "class_subset": ["3", "8"]}, "has 2 classes, and projection takes 3 or m"),
}


@pytest.mark.parametrize("case", CLASSES_OF)
def test_a_class_subset_is_held_to_the_data_and_the_figures_to_it(case):
    data, said = CLASSES_OF[case]
    classes = [] if case == "two for three" else ["3", "8", "9"]
    with pytest.raises(UserError, match=said) as caught:
        checks.asked(planned({"kind": "projection", "groups": ["t", "s"], "classes": classes}, data=data))
    assert "\n" not in str(caught.value)


def test_a_class_subset_of_ones_own_images(tmp_path):
    pictures(tmp_path, "cat", "dog", "elk", "fox")
    data = {"dataset": "imagefolder", "root": str(tmp_path), "class_subset": ["cat", "elk", "fox"]}
    checks.asked(planned({"kind": "projection", "groups": ["s"], "classes": ["cat", "elk", "fox"]}, data=data))
    with pytest.raises(UserError, match="no class 'dog' in .*; it has cat, elk, fox"):
        checks.asked(planned({"kind": "projection", "groups": ["s"], "classes": ["cat", "dog", "fox"]}, data=data))
    with pytest.raises(UserError, match="data.class_subset: no class 'cow' in the data; there are cat, dog, elk, fox"):
        checks.asked(planned({"kind": "grid"}, data=data | {"class_subset": ["cat", "cow"]}))


def test_the_figures_of_the_tree_are_fine():
    for scale in reading.SCALES:
        main, known = studies.read_all(reading.read("config.yaml"), {"scale": scale}, [])
        plan = Plan(main, Catalogue(known, Results("nowhere")), {})
        plan.want(known)
        checks.asked(plan)


def test_names_that_both_sides_know():
    assert list(needs.SETTING) == comparisons.SETTING
    assert needs.PAIR == diffusion.SAME
    assert needs.SOFTENED == smoothness.TEMPERATURES
    assert list(needs.NETWORKS) == interventions.NETWORKS


def frames_of(plan):
    """Metrics as the stages would write them, of the families that need no network, with numbers at random."""
    rows = [member.row for member in plan.catalogue.shown("s", "f")]
    rows = [{key: np.nan if value is None else value for key, value in row.items()} for row in rows]
    options = dict(plan.main.figures["f"])
    draw = random.Random(0)
    accuracy = [
        row | {"split": split, "metric": metric, "k": k, "value": draw.random()}
        for row in rows
        for split in ("val", "test")
        for metric, k in (("top1", 1), ("top5", 5))
    ]
    history = [
        row | {"epoch": epoch, "metric": metric, "value": draw.random()}
        for row in rows
        for epoch in (1, 2)
        for metric in ("train_loss", "val_top1")
    ]
    softened = [
        row | {"split": "train", "temperature_at": float(t), "metric": "gamma", "value": draw.random()}
        for row in rows
        if row["role"] == "teacher"
        for t in options.get("temperatures") or smoothness.TEMPERATURES
    ]
    columns = [*runs.members(plan.main)[0].row]
    ways = ["way", "transform", "keep", "teacher_temperature"]
    taught = [
        row
        | {"way": "logit_mse" if row["group"] == "logits" else "kd", "transform": "none", "keep": np.nan}
        | {"teacher_temperature": row["temperature"], "split": "train", "metric": metric, "value": draw.random()}
        for row in rows
        if row["role"] == "student"
        for metric in ("entropy", "gamma", "within_class_std")
    ]
    frames = {"accuracy": accuracy, "history": history, "smoothness": softened, "taught": taught}
    extra = {
        "accuracy": ["split", "metric", "k", "value"],
        "history": ["epoch", "metric", "value"],
        "smoothness": ["split", "temperature_at", "metric", "value"],
        "taught": ["split", *ways, "metric", "value"],
    }
    return {name: pd.DataFrame(each, columns=[*columns, *extra[name]]) for name, each in frames.items()}


def is_drawn(plan):
    """Whether the figure's table has rows, and shows students at the temperatures where some are asked for."""
    options = dict(plan.main.figures["f"]) | {"study": "s", "figure": "f", "scale": "demo"}
    table = importlib.import_module(registry.FIGURES[options["kind"]].module).table
    try:
        rows = table(frames_of(plan), options)
    except (UserError, KeyError, ValueError, IndexError):  # the last three: what a table of nothing ends in
        return False
    roles = {member.role for member in plan.catalogue.members("s") if member.group in options["groups"]}
    of_students = "student" in roles and bool(options["temperatures"]) and options["kind"] != "gamma_curve"
    shows_role = "role" in rows.columns
    return len(rows) > 0 and (not of_students or not shows_role or (rows["role"] == "student").any())


@pytest.mark.parametrize(
    "kind", ["accuracy_table", "causes", "curves", "error_table", "gamma_curve", "grid", "summary", "verdict"]
)
def test_planning_refuses_what_the_table_refuses_and_no_more(kind):
    """Each choice of up to three groups, with and without temperatures."""
    draw = random.Random(kind)
    groups = ["t", "p", "b", "s", "one", "hot", "smooth", "logits"]
    outcomes = set()
    for _ in range(60):
        figure = {"kind": kind, "groups": draw.sample(groups, draw.randint(1, 3))}
        if draw.random() < 0.4:
            figure["temperatures"] = draw.sample([1, 2, 3, 5, 64], draw.randint(1, 2))
        plan = planned(figure)
        try:
            checks.asked(plan)
            passes = True
        except UserError:
            passes = False
        assert passes == is_drawn(plan), figure
        outcomes.add(passes)
    assert outcomes == {True, False}


def pictures(root, *names, number=6):
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(number):
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(root / name / f"{i}.png")


def own(root):
    return Data.model_validate({"dataset": "imagefolder", "root": str(root), "name": "own"})


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("/", "the root of the file system"),
        ("~", "a home"),
        (".", "the folder that snakemake runs in"),
        ("..", "a folder above this checkout"),
        ("/etc", "a folder of the system"),
        ("/usr", "a folder of the system"),
    ],
)
def test_a_place_that_is_no_data_is_not_read_and_nothing_is_to_be_deleted(root, said):
    with pytest.raises(UserError, match=f"data: found .*, {said}; put the images in a folder of their own") as caught:
        checks.own_root(own(root))
    assert "delet" not in str(caught.value)


def test_a_folder_of_code_is_no_data(tmp_path):
    pictures(tmp_path, "cat", "dog")
    checks.own_root(own(tmp_path))
    (tmp_path / ".git").mkdir()  # of a data set that came with git
    checks.own_root(own(tmp_path))
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(UserError, match="a folder of code .it holds pyproject.toml"):
        checks.own_root(own(tmp_path))


def test_a_class_without_an_image_and_a_large_tree(tmp_path, monkeypatch):
    pictures(tmp_path, "cat", "dog")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        UserError, match="empty: no image in this class; put .png or .jpg files there, or give"
    ) as caught:
        checks.own_root(own(tmp_path))
    assert "delet" not in str(caught.value)
    for i in range(30):
        (tmp_path / "empty" / f"{i}.txt").touch()
    monkeypatch.setattr(checks, "MOST_ENTRIES", 20)
    with pytest.raises(UserError, match="no image among the first 30 entries in this class"):
        checks.own_root(own(tmp_path))


def test_a_place_that_cannot_be_looked_at():
    with pytest.raises(UserError, match="which cannot be read .File name too long.; give a folder that can"):
        checks.own_root(own("x" * 5000))
    checks.own_root(own(Path("nosuch")))  # which lskd/data/layouts.py tells, or what was prepared stands for it
