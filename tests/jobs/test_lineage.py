"""A file's lineage names every job behind it."""

import csv
import io
import math
import shutil
from importlib import import_module

import pandas as pd
import pytest

from lskd.errors import UserError
from lskd.io.seal import RECORD
from lskd.jobs.catalogue import ancestors
from lskd.jobs.lineage import OF_ONE_SETTING, Lineage, _is_of, lines
from lskd.jobs.listing import result_of
from lskd.study import registry
from lskd.study.identity import IDENTITY
from tests.figures.synthetic import frames_for
from tests.jobs import finished as tiny


@pytest.fixture
def results(tmp_path):
    return tiny.copied(tmp_path)


def tree(results, path="figures/demo/tiny/grid.png"):
    return Lineage(results).of(result_of(results, results / path))


def nodes(node):
    yield node
    for below in node.get("inputs", {}).values():
        yield from nodes(below)


@pytest.mark.parametrize("figure", ["grid", "information", "diffusion", "curves"])
def test_every_job_once(results, figure):
    jobs = ancestors(tiny.planned(results).catalogue.figure("tiny", figure))
    whole = [node for node in nodes(tree(results, f"figures/demo/tiny/{figure}.csv")) if "see" not in node]
    assert sorted(node["address"] for node in whole) == sorted(job.address for job in jobs)
    text = lines(tree(results, f"figures/demo/tiny/{figure}.csv"))
    for job in jobs:
        (line,) = [line for line in text if f" {job.title} {job.address}" in line and "see above" not in line]
        assert line.strip().startswith(job.stage)
    assert not [line for line in text if "code since" in line or "other bytes" in line or "no longer" in line]


def test_what_a_node_says(results):
    (train,) = [
        node
        for node in nodes(tree(results))
        if node["title"] == "digits/mlp-w8/one/ls0.1/seed0" and node["stage"] == "train" and "see" not in node
    ]
    assert (train["seeds"], train["device"][0][:3], train["precision"]) == ([0], "CPU", ["float32"])
    assert train["versions"]["torch"] and train["commit"] and train["made"] and train["seconds"] > 0
    assert train["spec"]["seed"] == 0


def test_code_that_is_not_todays(results, monkeypatch):
    tiny.edit(monkeypatch, "lskd/training/loop.py:Training")
    changed = {node["stage"] for node in nodes(tree(results)) if node.get("code_since")}
    assert changed == {"train"}
    assert any(line.endswith("| code since: lskd/training/loop.py:Training changed") for line in lines(tree(results)))


def test_files_that_are_gone(results):
    train = next((results / "runs/digits/mlp-w8/one/ls0").glob("seed0-*"))
    (train / "model.safetensors").unlink()
    assert [node["missing"] for node in nodes(tree(results)) if node.get("missing")] == [["model.safetensors"]]
    shutil.rmtree(train)
    (gone,) = [node for node in nodes(tree(results)) if "gone" in node]
    assert (gone["title"], gone["address"]) == ("digits/mlp-w8/one/ls0/seed0", train.name[-10:])
    assert "model.safetensors" in gone["files"]
    assert any(
        "is no longer there; of its files only the digests are known: best.safetensors" in line
        for line in lines(tree(results))
    )
    (results / "drawn").rename(results / "elsewhere")
    with pytest.raises(UserError, match="equals no file"):
        tree(results)


def test_an_input_made_again_with_other_bytes(results, monkeypatch):
    plan = tiny.planned(results)
    job = next(job for job in plan.catalogue.everything() if job.stage == "train" and "teacher" not in job.inputs)
    monkeypatch.setattr("lskd.training.outputs._line", lambda row: '{"other": 1}\n')
    (job.folder / RECORD).unlink()
    tiny.make_one(results, job)
    changed_bytes = {node["address"]: node["other_bytes"] for node in nodes(tree(results)) if node.get("other_bytes")}
    assert changed_bytes == {job.address: ["history.jsonl"]}


def rows(results, figure="grid"):
    with (results / f"figures/demo/tiny/{figure}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def of_row(results, number, figure="grid"):
    path = results / f"figures/demo/tiny/{figure}.csv"
    return Lineage(results).of_row(result_of(results, path), number)


def test_behind_a_row_are_its_runs_and_their_teachers(results):
    for number, row in enumerate(rows(results), 1):
        whole = [node for node in nodes(of_row(results, number)) if "see" not in node]
        measured = {node["title"] for node in whole if node["stage"] == "predict"}
        alpha = row["label_smoothing"]
        teacher = f"digits/mlp-w8/one/ls{alpha}/seed0"
        student = f"digits/mlp-w4/one/kd-T{row['temperature']}-from-mlp-w8-ls{alpha}/seed0"
        assert measured == ({teacher} if row["role"] == "teacher" else {teacher, student})
        assert {node["stage"] for node in whole} >= {"figure", "metrics", "train", "data"}


def test_behind_a_row_that_compares_are_all_runs(results):
    row, whole = of_row(results, 1, "diffusion"), tree(results, "figures/demo/tiny/diffusion.csv")
    assert [node["address"] for node in nodes(row)] == [node["address"] for node in nodes(whole)]
    assert lines(row)[1].endswith("; it compares runs, so all of the figure's follow")
    with pytest.raises(UserError, match="is no figure"):
        Lineage(results).of_row(result_of(results, next(results.rglob("metrics.parquet"))), 1)
    with pytest.raises(UserError, match="this figure has rows 1 to 12"):
        of_row(results, 13)


@pytest.mark.parametrize("kind", OF_ONE_SETTING)
def test_the_runs_that_a_row_names_suffice_for_its_numbers(kind):
    """The table of these runs, and of those that a kind cannot be without, holds the row as it is."""
    frames, options = frames_for(kind)
    table = import_module(registry.FIGURES[kind].module).table
    numbers = as_csv(table(frames, options))
    for row in numbers[:: max(1, len(numbers) // 6)]:
        named = {name: row[name] for name in IDENTITY if row.get(name)}
        behind = {
            family: frame[[_is_of(blanks(run), named) or run["role"] == kept for run in frame.to_dict("records")]]
            for family, frame in frames.items()
            for kept in ["student" if kind == "grid" and row["role"] == "teacher" else ""]  # a grid is of students
        }
        assert sum(map(len, behind.values())) < sum(map(len, frames.values()))
        assert row in as_csv(table(behind, options))


def as_csv(numbers: pd.DataFrame) -> list[dict[str, str]]:
    numbers.attrs = {}
    return list(csv.DictReader(io.StringIO(numbers.to_csv(index=False, float_format="%.10g"))))


def blanks(run: dict) -> dict:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in run.items()}
