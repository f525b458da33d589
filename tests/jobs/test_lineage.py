"""A file's lineage names every job behind it."""

import shutil

import pytest

from lskd.errors import UserError
from lskd.io.seal import RECORD
from lskd.jobs.catalogue import ancestors
from lskd.jobs.lineage import Lineage, lines
from lskd.jobs.listing import result_of
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
    monkeypatch.setattr("lskd.training.loop._line", lambda row: '{"other": 1}\n')
    (job.folder / RECORD).unlink()
    tiny.make_one(results, job)
    changed_bytes = {node["address"]: node["other_bytes"] for node in nodes(tree(results)) if node.get("other_bytes")}
    assert changed_bytes == {job.address: ["history.jsonl"]}
