"""What no study names is listed, and only that is removed, and only when asked."""

import fcntl
import json
import os
import re
import socket
import time
from pathlib import Path

import pytest
import xxhash

from lskd.errors import UserError
from lskd.jobs import gc, listing
from lskd.jobs.catalogue import ancestors
from lskd.jobs.results import Results
from tests.jobs import finished as tiny
from tests.jobs.test_adopt import proposal


@pytest.fixture
def results(tmp_path):
    root = tiny.copied(tmp_path)
    for path in (root / ".jobs").iterdir():  # as a job's process does at its end
        path.unlink()
    return root


def named(results, *others, raw=tiny.TINY):
    sources = [("config.yaml", raw, {}), *(("other.yaml", other, {}) for other in others)]
    return gc.named(sources, Results(results))


def garbage(results, *others, raw=tiny.TINY):
    return {
        str(each.path.relative_to(results)): each.reason
        for each in gc.garbage(results, named(results, *others, raw=raw))
    }


OTHER = tiny.study(study="second", seeds=[1], figures={"grid": {"kind": "grid"}})


def test_nothing_of_the_tree_is_garbage(results):
    assert garbage(results) == {}


def test_a_second_config(results):
    before = tiny.files(results)
    tiny.make(results, OTHER)
    for path in (results / ".jobs").iterdir():
        path.unlink()
    added = {entry.below for entry in listing.entries(results)} - {e.below for e in listing.entries(tiny.finished())}
    assert garbage(results, OTHER) == {}
    listed = garbage(results)
    published = {
        f"figures/demo/second/grid.{ending}" for ending in ("csv", "html", "json", "md", "pdf", "png", "svg", "tex")
    }
    published.add("figures/demo/second/index.html")
    assert set(listed) == added | published
    assert set(listed.values()) == {"no study names it", "published of no study"}
    with_all = tiny.files(results)
    everything = named(results)
    items = gc.garbage(results, everything)
    text = gc.lines(items, everything)
    assert text[-1] == f"of no use: {len(listed)}, {listing.bytes_of(sum(each.size for each in items))}"
    assert tiny.files(results) == with_all  # listing removes nothing
    gc.delete(results, items)
    assert tiny.files(results) == before
    assert not [path for path in results.rglob("*") if path.is_dir() and "second" in path.name]
    assert tiny.planned(results).pending == []


def test_other_spec_and_code(results, monkeypatch):
    changed = tiny.study(recipes={"one": tiny.TINY["recipes"]["one"] | {"lr": 0.01}})
    listed = garbage(results, raw=changed)
    stages = {re.match(r"\w+", path)[0] for path in listed}
    assert stages == {"runs", "predictions", "teacher_logits", "snapshots", "metrics", "drawn"}  # not the data
    assert set(listed.values()) == {"other spec or code"}
    tiny.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    assert {path.partition("-")[0] for path in garbage(results)} == {
        *("metrics/demo/tiny/grid/accuracy", "drawn/demo/tiny/grid")
    }


def test_what_stands_by_adoption_is_kept(results, monkeypatch):
    tiny.edit(monkeypatch, "lskd/training/loop.py:Training", "lskd/metrics/accuracy.py:measure")
    assert len(garbage(results)) > 10
    proposal(results).write(results)
    assert garbage(results) == {}
    monkeypatch.undo()
    assert set(garbage(results).values()) == {"adopted for no job"}


def test_what_a_kept_result_was_made_of_is_kept(results):
    """A metric's record names its predictions, and so on up, whether or not today's plan does."""
    metric = next(entry for entry in listing.entries(results) if entry.title == "demo/tiny/grid/accuracy")
    job = tiny.planned(results).catalogue.metrics("tiny", "grid", "accuracy")
    kept = gc._kept(listing.entries(results), gc.Named(jobs={metric.below: job}))
    behind = {str(each.folder.relative_to(results)) for each in ancestors(job)}
    assert kept == behind
    assert len(behind) == 1 + 6 + 6 + 2 + 1


def test_a_scale_that_cannot_be_planned_keeps_what_its_study_names(results, tmp_path):
    missing = tiny.study(
        scales={"demo": {}, "paper": {"data": {"dataset": "imagefolder", "root": str(tmp_path / "none")}}}
    )
    for below in (
        "data/none-0123456789",
        "runs/none/mlp-w8/one/ls0/seed0-0123456789",
        "metrics/paper/tiny/a/b-0123456789",
    ):
        (results / below).mkdir(parents=True)
        (results / below / "x").write_text("?")
    (results / "runs/none/mlp-w9/one/ls0/seed0-0123456789").mkdir(parents=True)
    everything = named(results, raw=missing)
    assert any("tiny at scale paper: kept by name, not planned" in note for note in everything.notes)
    assert set(garbage(results, raw=missing)) == {"runs/none/mlp-w9/one/ls0/seed0-0123456789"}


def test_small_things(results, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    of_root, of_none = (
        xxhash.xxh3_128_hexdigest(os.fsencode(path)) for path in (pictures.resolve(), tmp_path / "none")
    )
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())
    for name in (
        f".cache/content/{of_root}",
        f".cache/content/{of_none}",
        f".gpu/{host}/a.0.lock",
        f".gpu/{host}/b.0.lock",
    ):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("")
    (results / ".jobs/0123456789.json").write_text("{}")
    left = results / "data/.x.abc.otherhost.1.tmp"
    left.write_text("")
    os.utime(left, (time.time() - 2 * 24 * 3600,) * 2)
    with (results / f".gpu/{host}/b.0.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        everything = named(results)
        everything.roots.add(str(pictures))
        listed = {str(each.path.relative_to(results)): each.reason for each in gc.garbage(results, everything)}
    assert listed == {
        f".cache/content/{of_none}": "digests of images that are gone",
        f".gpu/{host}/a.0.lock": "lock of no process",
        ".jobs/0123456789.json": "no pending job",
        "data/.x.abc.otherhost.1.tmp": "left by a killed process",
    }


def test_a_pending_job_file_is_kept(results):
    plan = tiny.planned(results, OTHER)
    plan.write_jobs()
    assert set(garbage(results, OTHER)) == set()
    assert len(garbage(results)) == len(plan.pending)


def test_links_are_never_followed(results, tmp_path):
    outside = tmp_path / "outside"
    (outside / "x-0123456789").mkdir(parents=True)
    (outside / "x-0123456789/precious").write_text("!")
    (results / "runs/linked").symlink_to(outside)
    (results / "runs/y-0123456789").symlink_to(outside / "x-0123456789")
    junk = results / "runs/z-0123456789"
    junk.mkdir()
    (junk / "link").symlink_to(outside)
    assert set(garbage(results)) == {"runs/y-0123456789", "runs/z-0123456789"}
    gc.delete(results, gc.garbage(results, named(results)))
    assert (outside / "x-0123456789/precious").read_text() == "!"
    assert not (results / "runs/y-0123456789").is_symlink()
    assert (results / "runs/linked").is_symlink()
    (results / "snapshots").rename(outside / "snapshots")
    (results / "snapshots").symlink_to(outside / "snapshots")
    assert garbage(results, raw=tiny.study(figures={"grid": {"kind": "grid"}})).keys().isdisjoint({"snapshots"})


def test_nothing_is_removed_while_a_job_runs(results):
    tiny.make(results, OTHER)
    running = results / ".running"
    running.mkdir(exist_ok=True)
    status = {"title": "some run", "address": "0123456789", "host": socket.gethostname(), "pid": os.getpid()}
    (running / "0123456789.json").write_text(json.dumps(status | {"started": time.time(), "updated": time.time()}))
    before = tiny.files(results)
    with pytest.raises(UserError, match="some run: runs on"):
        gc.delete(results, gc.garbage(results, named(results)))
    assert tiny.files(results) == before


def test_the_papers_studies_are_named(results):
    everything = named(results)
    assert everything.studies.keys() >= {"tiny", "muller2019", "shen2021", "yuan2020", "chandrasegaran2022"}
    assert Path(gc.studies.TREE / "workflow/studies").is_dir()
