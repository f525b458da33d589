"""What a result's record says."""

import platform
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch

from lskd.io.layout import FILES
from lskd.io.seal import file_digest, read_record, seal
from lskd.jobs import provenance
from lskd.jobs.catalogue import ancestors
from lskd.jobs.environment import gathered
from lskd.jobs.work import Work
from tests.jobs import finished
from tests.jobs.finished import OF_TRANSLATION

MADE_ON = {"compile", "device", "memory format", "numpy", "precision", "python", "threads", "torch", "training"}


@pytest.fixture(scope="module")
def jobs():
    return {f"{job.stage} {job.title}": job for job in finished.planned(finished.finished()).catalogue.everything()}


@pytest.fixture(scope="module")
def one_each(jobs):
    """A job of each stage; the training is a student's."""
    each = {job.stage: job for job in jobs.values()}
    return each | {"train": next(job for job in jobs.values() if "teacher" in job.inputs)}


@pytest.mark.parametrize("stage", sorted(FILES.keys() - OF_TRANSLATION))
def test_every_record_holds_all_that_it_should(one_each, stage):
    job = one_each[stage]
    record = read_record(job.folder)
    described = job.described()
    for key in ("stage", "title", "address", "plain", "spec", "functions", "definitions"):
        assert record[key] == described[key], key
    assert record["files"] == {name: file_digest(job.folder / name) for name in FILES[stage]}
    assert record["inputs"].keys() == job.inputs.keys()
    for role, above in job.inputs.items():
        of_above = read_record(above.folder)
        assert record["inputs"][role] == {
            "folder": str(above.folder.relative_to(job.results.root)),
            "address": above.address,
            "seal": of_above["files"],
        }
    students = {above.spec["seed"] for above in ancestors(job) if above.stage == "train" and "teacher" in above.inputs}
    assert record["seeds"] == ([] if stage == "data" else sorted({0, *students}))
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["lskd"]
    assert {"numpy", "safetensors"} & record["versions"].keys()
    assert re.fullmatch(r"unknown|[0-9a-f]{40}\+?", record["commit"])
    assert 0 <= record["seconds"] < 600
    assert abs((datetime.now(UTC) - datetime.fromisoformat(record["made"])).total_seconds()) < 86400
    assert record["made_on"].keys() == (set() if stage == "data" else MADE_ON)


def test_made_on_says_what_moves_numbers_by_rounding(one_each):
    for stage in ("train", "metrics", "figure"):
        made_on = read_record(one_each[stage].folder)["made_on"]
        assert made_on["device"] == [f"CPU ({platform.machine()})"]
        assert (made_on["precision"], made_on["threads"]) == (["float32"], ["1"])
        assert made_on["torch"] == [torch.__version__]


def test_upstream_holds_every_definition_above(jobs):
    figure = jobs["figure demo/tiny/grid"]
    record = read_record(figure.folder)
    above = {name for job in jobs.values() if job.stage in ("data", "train", "predict") for name in job.definitions}
    assert above <= record["upstream"].keys()
    assert record["upstream"]["lskd/training/loop.py:Training"] == [
        next(job.definitions["lskd/training/loop.py:Training"] for job in jobs.values() if job.stage == "train")
    ]
    assert "lskd/figures/grid.py:draw" in record["definitions"]
    assert "lskd/figures/grid.py:draw" not in record["upstream"]


def folder(root, name, **record):
    """The sealed, empty folder of an input."""
    path = root / f"{name}-{name * 10}"
    path.mkdir()
    base = {"address": name * 10, "definitions": {}, "upstream": {}, "seeds": [], "made_on": {}}
    seal(path, [], base | record)
    return path


def test_what_mixes_above_is_gathered(tmp_path):
    inputs = {
        "a": folder(tmp_path, "a", made_on={"device": ["CPU"], "torch": ["1"]}, seeds=[3], definitions={"f": "0"}),
        "b": folder(tmp_path, "b", made_on={"device": ["CPU", "GPU"]}, seeds=[1, 3], upstream={"f": ["1"], "g": ["2"]}),
    }
    work = Work("t", "0123456789", {"seed": 2}, tmp_path, inputs, {}, environment={"device": "TPU"})
    described = dict.fromkeys(("stage", "title", "address", "plain", "spec", "functions", "definitions"), "")
    above = [read_record(path) for path in inputs.values()]
    made_on = gathered(work, above)
    record = provenance.record(described | {"inputs": {"a": "x", "b": "y"}}, work, provenance.Clock(), made_on)
    assert record["made_on"] == {"device": ["CPU", "GPU", "TPU"], "torch": ["1"]}
    assert record["upstream"] == {"f": ["0", "1"], "g": ["2"]}
    assert record["seeds"] == [1, 2, 3]


def test_a_figure_whose_runs_mix_says_so(tmp_path):
    """From one prediction on another device to the caption."""
    root = finished.copied(tmp_path)
    jobs = finished.planned(root).catalogue
    metric, figure = jobs.metrics("tiny", "grid", "accuracy"), jobs.figure("tiny", "grid")
    prediction = next(above for role, above in metric.inputs.items() if role.startswith("predict "))
    record = read_record(prediction.folder)
    record = {key: value for key, value in record.items() if key not in ("seal", "files")}
    seal(prediction.folder, FILES["predict"], record | {"made_on": record["made_on"] | {"device": ["Abacus"]}})
    assert "These runs mix" not in (figure.folder / "figure.md").read_text()
    for job in (metric, figure):
        (job.folder / "record.json").unlink()
        finished.make_one(root, replace(job))
    text = (figure.folder / "figure.md").read_text().replace("\\_", "_")
    assert f"These runs mix device Abacus and CPU ({platform.machine()})." in text


def test_versions_are_of_what_was_imported():
    code = "from lskd.jobs.provenance import versions; print(*versions('predict'))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert names[:2] == ["python", "lskd"] and "torch" not in names
    assert provenance.versions("predict")["torch"] == str(torch.__version__)
    assert "torch" not in provenance.versions("figure")


def test_a_commit_is_told_where_there_is_git(monkeypatch):
    assert re.fullmatch(r"unknown|[0-9a-f]{40}\+?", provenance.commit())
    provenance._commit.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() == "unknown"
    provenance._commit.cache_clear()


def test_a_process_tells_a_commit_that_is_made_meanwhile(tmp_path, monkeypatch):
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    (tmp_path / "lskd/jobs").mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "lskd/jobs/provenance.py"))
    (tmp_path / "lskd/code.py").write_text("")
    git("init")
    commits = []
    for _ in range(2):
        git("add", ".")
        git("commit", "--allow-empty", "-m", "m")
        commits += [provenance.commit(), provenance.commit()]
        assert commits[-2:] == [git("rev-parse", "HEAD")] * 2
    assert len(set(commits)) == 2


def test_a_clock_counts_seconds():
    clock = provenance.Clock()
    assert 0 <= clock.seconds() < 5


def test_a_resumed_job_keeps_what_it_was_begun_on(tmp_path):
    work = Work("t", "0123456789", {}, tmp_path, {}, {}, environment={"threads": "2"}, begun_on=[{"threads": "1"}])
    assert gathered(work, []) == {"threads": ["1", "2"]}
