"""The figures of gains over classes and of students over teachers: their numbers and words."""

import importlib
import re

import numpy as np
import pytest

from lskd.errors import UserError
from lskd.papers.read import lookup
from lskd.study import registry
from tests.figures.synthetic import frames_for

SEEDS = (0, 1, 2, 3, 4)


def shown(kind, seeds=SEEDS, **options):
    frames, own = frames_for(kind, seeds=seeds)
    module = importlib.import_module(registry.FIGURES[kind].module)
    return module.table(frames, own | options), frames


def test_the_papers_gain_stands_beside_as_many_balanced_classes_alone():
    table, _ = shown("classes_gain")
    printed = table[table["paper"].notna()]
    assert set(zip(printed["role"], printed["dataset"], printed["what"], strict=True)) == {("teacher", "more", "gain")}
    expected = lookup("shen2021", "table4", dataset="ImageNet-100", metric="top1_gain")
    assert printed["paper"].tolist() == [expected] == [0.880]
    assert "Paper" in table.attrs["columns"]
    other, _ = shown("classes_gain", study="mine", figure="gains")
    assert other["paper"].isna().all() and "Paper" not in other.attrs["columns"]


def test_the_words_say_what_was_told_and_how():
    table, _ = shown("classes_gain")
    text = table.attrs["caption"]
    assert "resnet8-w16 (teacher), α = 0.1: +2.9" in text
    assert "points at 100 long-tailed classes (n = 5, makes no difference)" in text
    assert "that at 100 balanced classes is lower than that at 10" in text
    assert "One family of 16 claims (12 effects of smoothing and 4 differences of effects)" in text
    assert "Not registered: this study was explored." in text
    assert len(table.attrs["rows"]) == len(table)
    registered = {"date": "2026-01-02", "file": "registrations/demo/s.json", "differences": []}
    assert "Registered on 2026-01-02, before" in shown("classes_gain", registered=registered)[0].attrs["caption"]


def test_accuracies_of_teachers_and_students_are_those_of_a_loop():
    table, frames = shown("teacher_student")
    top1 = frames["accuracy"].query("split == 'test' and metric == 'top1'")
    known = {row["run"]: 100 * row["value"] for row in top1.to_dict("records")}
    ours = table[table["source"] == "ours"]
    assert len(ours) == 4 and set(ours["n"]) == {5}
    for row in ours.to_dict("records"):
        own = top1[
            (top1["role"] == "student")
            & (top1["temperature"] == 1)
            & (top1["lineage"] == row["lineage"])
            & (top1["label_smoothing"] == row["label_smoothing"])
        ]
        taught = [known[title] for title in own["teacher"]]
        assert row["ours"] == pytest.approx(100 * own["value"].mean(), rel=1e-12)
        assert row["teacher_ours"] == pytest.approx(np.mean(taught), rel=1e-12)
        assert row["teacher_spread"] == pytest.approx(np.std(taught, ddof=1), rel=1e-9)


def test_the_slope_is_that_of_polyfit():
    table, frames = shown("teacher_student")
    top1 = frames["accuracy"].query("split == 'test' and metric == 'top1'")
    known = {row["run"]: 100 * row["value"] for row in top1.to_dict("records")}
    slopes = []
    for seed in SEEDS:
        own = top1[(top1["role"] == "student") & (top1["temperature"] == 1) & (top1["seed"] == seed)]
        slopes.append(np.polyfit([known[title] for title in own["teacher"]], 100 * own["value"], 1)[0])
    match = re.search(r"goes with ([+−][\d.]+) ± ([\d.]+) points", table.attrs["answer"])
    assert match, table.attrs["answer"]
    assert float(match[1].replace("−", "-")) == pytest.approx(np.mean(slopes), abs=0.005)
    assert float(match[2]) == pytest.approx(np.std(slopes, ddof=1), abs=0.005)
    assert "over 4 teachers" in table.attrs["answer"]


def test_a_student_that_follows_its_teacher_is_told():
    frames, options = frames_for("teacher_student", seeds=SEEDS)
    rows = frames["accuracy"]
    top1 = {row["run"]: row["value"] for row in rows.query("split == 'test' and metric == 'top1'").to_dict("records")}
    is_student = rows["role"] == "student"
    noise = 0.0005 * rows["seed"] * rows["label_smoothing"]
    rows.loc[is_student, "value"] = 0.5 * rows["teacher"].map(top1)[is_student] + noise[is_student]
    answer = importlib.import_module("lskd.figures.teacher_student").table(frames, options).attrs["answer"]
    assert "p < 0.001: told from 0" in answer and "rank correlation of the means 1.00" in answer


def test_two_teachers_are_too_few_for_a_slope():
    frames, options = frames_for("teacher_student", seeds=SEEDS)
    rows = frames["accuracy"]
    other = rows["role"].eq("student") & rows["lineage"].ne(rows.loc[rows["role"] == "student", "lineage"].iloc[0])
    few = {"accuracy": rows[~other]}
    answer = importlib.import_module("lskd.figures.teacher_student").table(few, options).attrs["answer"]
    assert "2 teachers, too few for a slope." in answer and "goes with" not in answer


def test_the_papers_students_stand_beside_their_teachers():
    table, _ = shown("teacher_student")
    theirs = table[table["source"] == "paper"]
    assert len(theirs) == 8
    longer = theirs[theirs["taught_by"] == "ResNet-50, Long"].iloc[0]
    assert (longer["teacher_ours"], longer["ours"]) == (77.106, 72.024)
    hard = theirs[theirs["taught_by"].eq("ResNet-50") & ~theirs["smoothed"].astype(bool)].iloc[0]
    assert (hard["teacher_ours"], hard["ours"]) == (76.056, 71.478)


def test_a_hidden_teacher_is_one_line():
    frames, options = frames_for("teacher_student", seeds=SEEDS)
    rows = frames["accuracy"]
    module = importlib.import_module("lskd.figures.teacher_student")
    with pytest.raises(UserError, match=r"teacher_student: the teacher .* is not shown; add its group"):
        module.table({"accuracy": rows[rows["role"] == "student"]}, options)
