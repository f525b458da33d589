"""What makes an address, and where a job's result lies."""

import json
from dataclasses import replace

import pytest

from lskd.io.layout import FILES, ROOMS
from lskd.jobs import job as module
from lskd.jobs.job import Job, digest
from lskd.jobs.results import Results
from tests.jobs import finished


@pytest.fixture
def above(tmp_path):
    return Job("data", "digits", {"val": 0.1}, {}, {"run": "lskd.data.prepare:run"}, Results(tmp_path))


@pytest.fixture
def job(above):
    functions = {"run": "lskd.metrics.measure:run", "measure": "lskd.metrics.accuracy:measure"}
    return Job("metrics", "demo/s/f/accuracy", {"a": 1, "b": [1.5]}, {"data": above}, functions, above.results)


def test_every_stage_has_a_room_and_files():
    assert ROOMS.keys() == FILES.keys()
    assert len(set(ROOMS.values())) == len(ROOMS)


def test_an_address_is_ten_hex_digits_of_stage_spec_code_and_inputs(job, above):
    assert len(job.address) == 10 and int(job.address, 16) >= 0
    assert replace(job).address == job.address
    others = [
        replace(job, stage="figure"),
        replace(job, spec={"a": 1, "b": [1.25]}),
        replace(job, spec={"a": 1}),
        replace(job, functions=job.functions | {"measure": "lskd.metrics.calibration:measure"}),
        replace(job, inputs={"data": replace(above, spec={"val": 0.2})}),
        replace(job, inputs={"other": above}),
        replace(job, inputs={}),
    ]
    assert len({one.address for one in (job, *others)}) == len(others) + 1


def test_an_address_is_of_one_name_and_of_any_place(job):
    same = [replace(job, place="elsewhere"), replace(job, spec={"b": [1.5], "a": 1})]
    assert {one.address for one in same} == {job.address}
    assert replace(job, title="other").address != job.address
    assert replace(job, title="other").plain != job.plain


def test_the_plain_address_is_that_without_code(job, above, monkeypatch):
    plain, address = job.plain, job.address
    finished.edit(monkeypatch, "lskd/metrics/accuracy.py:measure")
    edited = replace(job, inputs={"data": replace(above)})
    assert edited.plain == plain
    assert edited.address != address
    assert replace(job, spec={}).plain != plain
    assert replace(job, inputs={"data": replace(above, spec={})}).plain != plain


def test_code_above_changes_what_reads_it(job, above, monkeypatch):
    address, definitions = job.address, job.definitions
    finished.edit(monkeypatch, "lskd/data/prepare.py:prepare")
    edited = replace(job, inputs={"data": replace(above)})
    assert edited.definitions == definitions
    assert edited.address != address


def test_every_job_depends_on_the_process_that_runs_it(job, above):
    for one in (job, above):
        assert {"lskd/jobs/execute.py:execute", "lskd/io/seal.py:read_record"} <= one.definitions.keys()


def test_the_folder_reads_as_its_provenance(job, tmp_path):
    assert job.folder == tmp_path / "metrics" / f"demo/s/f/accuracy-{job.address}"
    assert [path.name for path in job.paths] == ["metrics.parquet", "record.json"]


def test_what_is_described_is_json_and_enough(job, above):
    described = job.described()
    assert json.loads(json.dumps(described)) == described
    assert described["inputs"] == {"data": f"data/digits-{above.address}"}
    assert described["files"] == ["metrics.parquet"]
    assert described["definitions"] == job.definitions
    assert described["folder"] == f"metrics/demo/s/f/accuracy-{job.address}"


def test_a_digest_is_of_values():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert len({digest(value) for value in (1, 1.5, "1", [1], None, {"a": 1}, True)}) == 7


def test_code_is_looked_up_once_a_planning(job, monkeypatch):
    assert job.address
    monkeypatch.setattr(module.fingerprint, "definitions", lambda *_: pytest.fail("looked up again"))
    assert replace(job, spec={}).address != job.address
