"""Results of other code stand for today's once they are adopted, and no longer than they are there."""

import json
import shutil

import pytest

from lskd.errors import UserError
from lskd.io.layout import ROOMS
from lskd.io.seal import RECORD, is_sealed
from lskd.jobs import adopt, lineage
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.listing import result_of
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study import reading
from tests.jobs import finished as tiny

EVERY_JOB = "lskd/io/seal.py:read_record"  # a definition that each process runs


@pytest.fixture
def results(tmp_path):
    return tiny.copied(tmp_path)


def proposal(root, raw=tiny.TINY, targets=()):
    study = reading.parse(raw)

    def planner(records):
        return Plan(study, Catalogue({study.study: study}, Results(root, proposed=records)), {})

    return adopt.Proposal(planner, targets)


def test_every_result_of_other_code_is_adopted_once(results, monkeypatch):
    before = tiny.files(results)
    tiny.edit(monkeypatch, EVERY_JOB)
    pending = tiny.planned(results).pending
    assert len(pending) == len(tiny.planned(tiny.finished() / "none").pending)  # all of them
    proposed = proposal(results)
    assert tiny.files(results) == before  # nothing is written until it is said
    assert (len(proposed.records), proposed.left) == (len(pending), [])
    assert all("lskd/io/seal.py:read_record changed" in line for line in proposed.lines()[1:])
    proposed.write(results)
    assert tiny.planned(results).pending == []
    assert proposal(results).lines() == ["nothing to adopt"]
    for address, record in proposed.records.items():
        written = json.loads((results / "adopted" / f"{address}.json").read_text())
        assert written == record
        assert is_sealed(written)
        assert written["code"]["of"] != written["code"]["for"]
        assert (results / ROOMS[record["stage"]] / f"{record['title']}-{record['stands']}").is_dir()
    assert len(adopt.listed(results)) == len(pending) + 1


def test_only_what_changed_is_adopted_and_what_reads_it_is_found(results, monkeypatch):
    tiny.edit(monkeypatch, "lskd/training/loop.py:Training")
    jobs = {job.stage for job in tiny.planned(results).pending}
    assert jobs == {"train", "predict", "teacher_logits", "snapshots", "metrics", "figure"}
    proposed = proposal(results)
    assert {record["stage"] for record in proposed.records.values()} == {"train"}  # all others have their own address
    proposed.write(results)
    assert tiny.planned(results).pending == []


def test_targets_alone(results, monkeypatch):
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure", "lskd/metrics/information.py:measure")
    assert {record["title"] for record in proposal(results, targets=["grid"]).records.values()} == {
        "demo/tiny/grid/accuracy"
    }


def test_lineage_names_both_codes(results, monkeypatch):
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    proposal(results).write(results)
    entry = result_of(results, results / "figures/demo/tiny/grid.csv")
    node = lineage.Lineage(results).of(entry)["inputs"]["accuracy"]
    (each,) = node["adopted"]
    assert node["code_since"] == each["differences"] == ["lskd/metrics/accuracy.py:measure changed"]
    assert each["code"]["of"] == node["code"] != each["code"]["for"]
    text = "\n".join(lineage.lines(lineage.Lineage(results).of(entry)))
    assert f"code {each['code']['of']} stands for {each['code']['for']}" in text
    assert each["by"] in text


def test_undo(results, monkeypatch):
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    proposed = proposal(results)
    proposed.write(results)
    (address,) = [key for key, record in proposed.records.items() if record["title"] == "demo/tiny/grid/accuracy"]
    assert adopt.undo(results, address) == 1
    assert {job.title for job in tiny.planned(results).pending} == {"demo/tiny/grid/accuracy", "demo/tiny/grid"}
    with pytest.raises(UserError, match="nothing was adopted for it"):
        adopt.undo(results, address)
    proposal(results).write(results)
    assert adopt.undo(results, "all") == len(proposed.records)
    assert len(tiny.planned(results).pending) == 2 * len(proposed.records)
    assert adopt.undo(results, "all") == 0


@pytest.mark.parametrize("gone", ["folder", RECORD, "metrics.parquet"])
def test_a_result_that_vanished_stands_for_nothing(results, monkeypatch, gone):
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    proposed = proposal(results, targets=["grid"])
    proposed.write(results)
    assert tiny.planned(results, tiny.TINY, "grid").pending == []
    (record,) = proposed.records.values()
    folder = results / "metrics" / f"{record['title']}-{record['stands']}"
    shutil.rmtree(folder) if gone == "folder" else (folder / gone).unlink()
    plan = tiny.planned(results, tiny.TINY, "grid")
    assert [job.address for job in plan.pending][0] == record["address"]
    assert plan.pending[0].folder.name.endswith(record["address"])
    assert tiny.make(results, tiny.TINY, "grid").pending == []


def test_a_damaged_result_is_not_adopted(results, monkeypatch):
    path = next((results / "metrics/demo/tiny/grid").rglob("metrics.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    proposed = proposal(results, targets=["grid"])
    assert {record["stage"] for record in proposed.records.values()} == {"figure"}  # which is whole
    assert proposed.lines()[0].startswith(f"note: not adopted: {path}: damaged")
    for drawn in (results / "drawn/demo/tiny").glob("grid-*"):
        shutil.rmtree(drawn)
    proposed = proposal(results, targets=["grid"])
    assert proposed.lines()[1:] == ["nothing to adopt; jobs that have none and stay to do: 2"]


def test_another_spec_is_not_adopted(results, monkeypatch):
    tiny.edit(monkeypatch, EVERY_JOB)
    other = tiny.study(recipes={"one": tiny.TINY["recipes"]["one"] | {"lr": 0.01}})
    assert {record["stage"] for record in proposal(results, other).records.values()} == {"data"}


def test_what_was_made_of_the_standing_inputs_is_preferred(results, monkeypatch):
    """Of two results of other code the one that reads what stands, though the other is newer."""
    first = tiny.planned(results).catalogue.metrics("tiny", "grid", "accuracy").address
    with monkeypatch.context() as patch:
        tiny.edit(patch, "lskd/training/loop.py:Training", to="second")
        tiny.make(results, tiny.TINY, "grid")
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    (record,) = proposal(results, targets=["grid"]).records.values()
    assert record["stands"] == first


def test_a_damaged_adopted_record_is_told(results, monkeypatch):
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    proposal(results).write(results)
    path = next((results / "adopted").iterdir())
    path.write_text(path.read_text().replace("accuracy", "accuracx", 1))
    with pytest.raises(UserError, match="damaged; delete it and adopt again"):
        tiny.planned(results)
    assert adopt.undo(results, path.stem) == 1
    tiny.planned(results)
