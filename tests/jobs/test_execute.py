"""A job's process: made once, sealed last, told in one line."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.io.atomic import HOST
from lskd.io.layout import FILES, JOBS, TRACE
from lskd.io.seal import RECORD, checked, read_record, sealed
from lskd.jobs import execute as module
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.execute import alone, check_code, execute, main, read_job, results_of
from lskd.jobs.results import Results
from lskd.study.config import Data, canonical
from tests import small
from tests.jobs import finished
from tests.jobs.finished import OF_TRANSLATION

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("LSKD_RUNTIME", '{"device": "cpu"}')
    monkeypatch.setenv("LSKD_RUNNING", str(tmp_path / "running"))


@pytest.fixture
def job(tmp_path):
    """A job of a second: the digits."""
    return Catalogue({}, Results(tmp_path / "results")).data(Data())


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_job_is_made_once(job, capsys):
    execute(job.described(), job.results.root)
    assert all(path.exists() for path in job.paths)
    assert [checked(path, job.folder) for path in job.paths[:-1]]
    before = bytes_of(job.folder)
    execute(job.described(), job.results.root)
    assert bytes_of(job.folder) == before
    assert f"{job.title}: is there" in capsys.readouterr().err


def test_every_stage_makes_its_files_and_no_other_and_the_same_bytes_again(tmp_path):
    again = tmp_path / "results"
    plan = finished.make(again)
    first, second = finished.files(finished.finished()), finished.files(again)
    assert first.keys() == second.keys()
    for name, content in second.items():
        if not name.endswith((RECORD, ".log")):
            assert content == first[name], name
    varying = {"seconds", "made", "seal", "versions"}  # versions: of what this test's one process has imported so far
    for name in (name for name in second if name.endswith(RECORD)):
        one, two = (json.loads(files[name]) for files in (first, second))
        assert {key for key in one if one[key] != two[key]} <= varying, name
    jobs = set(plan.catalogue.everything())
    for job in jobs:
        kept = {TRACE} if job.stage == "train" else set()
        assert {path.name for path in job.folder.iterdir() if path.is_file()} == {*FILES[job.stage], RECORD, *kept}
    assert {job.stage for job in jobs} == set(FILES) - OF_TRANSLATION


@pytest.mark.parametrize("damage", ["file gone", "record gone", "record damaged", "record of another"])
def test_what_is_not_whole_is_made_again(job, damage):
    execute(job.described(), job.results.root)
    before = bytes_of(job.folder)
    if damage == "file gone":
        job.paths[0].unlink()
    elif damage == "record gone":
        job.paths[-1].unlink()
    elif damage == "record damaged":
        small.flip(job.paths[-1], 50)
    else:
        job.paths[-1].write_text(job.paths[-1].read_text().replace(job.address, "aaaaaaaaaa"))
    execute(job.described(), job.results.root)
    assert read_record(job.folder)["files"] == json.loads(before[RECORD])["files"]
    assert bytes_of(job.folder)["data.safetensors"] == before["data.safetensors"]


def test_a_failed_making_leaves_no_record(job, monkeypatch):
    execute(job.described(), job.results.root)
    job.paths[0].unlink()
    monkeypatch.setattr("lskd.data.prepare.run", lambda work: (_ for _ in ()).throw(UserError("no")))
    with pytest.raises(UserError, match="no"):
        execute(job.described(), job.results.root)
    assert not (job.folder / RECORD).exists()
    assert not Results(job.results.root).is_complete(job)


def test_a_stage_that_leaves_a_file_out_is_not_sealed(job, monkeypatch):
    monkeypatch.setattr("lskd.data.prepare.run", lambda work: None)
    with pytest.raises(OSError, match=r"data\.safetensors"):
        execute(job.described(), job.results.root)
    assert not (job.folder / RECORD).exists()


def test_a_second_process_waits_and_finds_it_made(job, capsys):
    job.folder.mkdir(parents=True)
    second = threading.Thread(target=execute, args=(job.described(), job.results.root))
    with alone(job.folder) as is_alone:
        assert is_alone
        second.start()
        time.sleep(0.3)
        assert second.is_alive() and list(job.folder.iterdir()) == []
        small.place(job)
        before = bytes_of(job.folder)
    second.join(30)
    assert not second.is_alive()
    assert bytes_of(job.folder) == before
    assert "is there" in capsys.readouterr().err


def test_two_processes_at_once_make_it_once(job):
    log = small.write_job(job)
    command = [sys.executable, "-m", "lskd.jobs.run", str(log)]
    processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=120)[1] for process in processes] == [""] * 3
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert all(checked(path, job.folder) for path in job.paths[:-1])
    assert not list((job.results.root / ".jobs").iterdir())


def test_without_locks_of_the_file_system_it_is_made_all_the_same(job, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", refuse)
    execute(job.described(), job.results.root)
    assert all(path.exists() for path in job.paths)


def test_code_that_changed_since_the_planning_is_told(job, monkeypatch):
    described = job.described()
    check_code(described)
    finished.edit(monkeypatch, "lskd/data/prepare.py:prepare")
    line = r"digits: the code changed since this job was planned \(lskd/data/prepare.py:prepare\); run again"
    with pytest.raises(UserError, match=line):
        execute(described, job.results.root)
    assert list(job.folder.iterdir()) == []
    missing = described | {"definitions": {"lskd/gone.py:f": "0"} | described["definitions"]}
    with pytest.raises(UserError, match="code changed"):
        check_code(missing)


def test_what_a_killed_process_left_is_swept(job):
    job.folder.mkdir(parents=True)
    left = job.folder / f".data.safetensors.abc.{HOST}.{os.getpid()}.tmp"  # even of a number that lives again
    left.touch()
    execute(job.described(), job.results.root)
    assert not left.exists()


def test_what_is_made_is_told_to_the_live_line_meanwhile(job, tmp_path, monkeypatch):
    seen = []
    run = module.resolve("lskd.data.prepare:run")

    def noting(work):
        seen.extend(json.loads(path.read_text())["title"] for path in (tmp_path / "running").iterdir())
        run(work)

    monkeypatch.setattr("lskd.data.prepare.run", noting)
    execute(job.described(), job.results.root)
    assert seen == ["digits"]
    assert not list((tmp_path / "running").iterdir())


def exit_of(log: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(log)])
    return ended.value.code


@pytest.mark.parametrize(
    ("error", "said", "status"),
    [
        (UserError("x: do y"), "error: x: do y", 1),
        (KeyboardInterrupt(), "error: digits: interrupted (Ctrl-C); run again to go on", 130),
        (MemoryError(), f"error: digits: out of memory; {module.MORE_MEMORY}", 1),
        (OSError(28, "No space left on device", "/disk/x"), "error: /disk/x: No space left on device", 1),
        (OSError("odd"), "error: digits: odd", 1),
        (ZeroDivisionError("a\nb"), "error: digits: ZeroDivisionError: a b; a mistake of lskd: please report it", 1),
    ],
)
def test_every_error_is_one_line_and_the_log_has_the_rest(job, monkeypatch, capsys, error, said, status):
    def fail(*_):
        raise error

    log = small.write_job(job)
    monkeypatch.setattr(module, "execute", fail)
    assert exit_of(log) == status
    assert capsys.readouterr().err == f"{said}\n"
    text = log.read_text()
    assert text.endswith(f"{said}\n")
    assert ("Traceback" in text) == isinstance(error, ZeroDivisionError)
    assert list((job.results.root / ".jobs").iterdir())  # it is still to be done


def test_the_log_is_appended_to_and_the_job_file_goes_when_it_is_done(job, capsys):
    log = small.write_job(job)
    log.parent.mkdir(parents=True)
    log.write_text("before\n")
    assert exit_of(log) == 0
    assert capsys.readouterr().err == ""
    assert log.read_text().startswith("before\n")
    assert not list((job.results.root / ".jobs").iterdir())
    assert exit_of(log) == 0  # a second one, started beside the first


def test_without_a_job_file_it_is_one_line(job, tmp_path, capsys):
    log = small.write_job(job)
    path = job.results.root / ".jobs" / f"{job.address}.json"
    path.write_text(path.read_text()[:-10])
    assert exit_of(log) == 1
    assert f"error: {path}: no job to read" in capsys.readouterr().err
    path.unlink()
    assert exit_of(log) == 1
    assert f"error: {path}: no job to read" in capsys.readouterr().err
    path.parent.rmdir()
    assert exit_of(log) == 1
    assert "nothing is planned; run snakemake again" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"no \.jobs above it"):
        results_of(tmp_path / "elsewhere")


def test_a_changed_job_file_is_told(job, capsys):
    """One flipped byte in it must not make another thing under this address."""
    log = small.write_job(job)
    path = job.results.root / ".jobs" / f"{job.address}.json"
    path.write_text(path.read_text().replace('"val_fraction":0.15', '"val_fraction":0.25'))
    assert exit_of(log) == 1
    assert (
        capsys.readouterr().err == f"error: {path}: no job to read (it is not what was written); run snakemake again\n"
    )
    assert not (job.folder / RECORD).exists()


def test_a_log_that_cannot_be_written_is_one_line(job, capsys):
    small.write_job(job)
    job.folder.parent.mkdir(parents=True)
    job.folder.write_text("a file")
    with pytest.raises(SystemExit, match="data.log: cannot be written"):
        main([str(job.folder / "data.log")])


def test_a_log_on_a_full_disk_hides_no_error(job, capsys):
    log = small.write_job(job)
    path = job.results.root / ".jobs" / f"{job.address}.json"
    path.write_text("")
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    assert exit_of(log) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}: no job to read")


def test_a_damaged_input_stops_what_reads_it(tmp_path):
    root = finished.copied(tmp_path)
    plan = finished.planned(root)
    job = plan.catalogue.metrics("tiny", "grid", "accuracy")
    shutil.rmtree(job.folder)
    role = next(role for role in job.inputs if role.startswith("predict "))
    small.flip(job.inputs[role].folder / "test.logits.parquet", 100)
    with pytest.raises(UserError, match=r"test\.logits\.parquet: damaged, .*; make it anew: rm -rf "):
        execute(job.described(), root)
    assert not (job.folder / RECORD).exists()


def test_a_job_file_is_a_function_of_its_address(job):
    again = Catalogue({}, Results(job.results.root)).data(Data())
    assert canonical(again.described()) == canonical(job.described())


@pytest.mark.parametrize(
    "changes",
    [
        {"functions": {"run": "os:getcwd"}},
        {"functions": {"run": "lskd:x.__class__"}},
        {"functions": {}},
        {"functions": []},
        {"folder": "runs/../../x-0123456789"},
        {"folder": "/etc/x-0123456789"},
        {"folder": "runs/\0"},
        {"inputs": {"data": "../data/x-0123456789"}},
        {"inputs": {"data": 3}},
        {"spec": None},
        {"files": "model"},
    ],
)
def test_a_job_file_that_is_sealed_runs_lskds_own_below_the_results(job, changes):
    log = small.write_job(job)
    path = job.results.root / ".jobs" / f"{job.address}.json"
    good = {key: value for key, value in json.loads(path.read_text()).items() if key != "seal"}
    assert read_job(path)["folder"] == job.below
    path.write_text(json.dumps(sealed(good | changes)))
    with pytest.raises(UserError, match="no job to read"):
        read_job(path)
    assert exit_of(log) == 1


def test_a_job_file_of_brackets(tmp_path):
    (tmp_path / "x.json").write_bytes(b"[" * 100_000)
    with pytest.raises(UserError, match="no job to read"):
        read_job(tmp_path / "x.json")


def test_jobs_of_one_plan_have_its_time_unless_they_are_another_users(tmp_path, monkeypatch):
    results = tmp_path / "results"

    def times() -> set[int]:
        return {path.stat().st_mtime_ns for path in (results / JOBS).glob("*.json")}

    finished.planned(results).write_jobs()
    (first,) = times()
    finished.planned(results).write_jobs()
    (second,) = times()
    assert first < second
    monkeypatch.setattr(os, "utime", lambda *arguments, **options: (_ for _ in ()).throw(PermissionError()))
    finished.planned(results).write_jobs()
    assert times() == {second}
