"""A job's process that is stopped or killed: each way is told in a line of its own, and what was begun goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lskd.jobs import execute, run
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.results import Results
from lskd.study import reading, runs
from tests import small

STUDY = {
    "study": "long",
    "seeds": [0],
    "data": "digits",
    "recipes": {"r": {"epochs": 5000, "batch_size": 8}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 8}, "recipe": "r"}},
    "figures": {"f": {"kind": "accuracy_table"}},
}


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    """The log of a training of minutes, whose data are there."""
    monkeypatch.setenv("LSKD_RUNTIME", '{"device": "cpu"}')
    monkeypatch.setenv("LSKD_RUNNING", str(tmp_path / "running"))
    study = reading.parse(STUDY)
    job = Catalogue({"long": study}, Results(tmp_path / "results")).train(runs.members(study)[0].run)
    data = job.inputs["data"]
    execute.execute(data.described(), data.results.root)
    return small.write_job(job)


def started(log: Path, running: Path) -> subprocess.Popen[str]:
    """A process that makes the training, which has begun."""
    command = [sys.executable, "-m", "lskd.jobs.run", str(log)]
    process = subprocess.Popen(command, text=True, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while not any("step" in json.loads(path.read_text()) for path in running.glob("[!.]*.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


@pytest.mark.parametrize(
    ("number", "to", "said"),
    [
        (signal.SIGINT, "group", r"interrupted (Ctrl-C) after step "),  # as a terminal sends it
        (signal.SIGTERM, "group", "stopped by SIGTERM (a scheduler's, or kill's) after step "),  # as a scheduler does,
        (signal.SIGTERM, "parent", "stopped by SIGTERM (a scheduler's, or kill's) after step "),  # or `kill`
        (signal.SIGKILL, "child", "killed by SIGKILL (kill -9, or a limit of memory or time)"),
    ],
)
def test_each_end_is_told_apart(log, tmp_path, number, to, said):
    process = started(log, tmp_path / "running")
    if to == "group":
        os.killpg(process.pid, number)
    else:
        (child,) = psutil.Process(process.pid).children()
        os.kill(child.pid if to == "child" else process.pid, number)
    _, errors = process.communicate(timeout=30)
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, errors
    assert said in lines[0]
    assert "run again" in lines[0]
    assert "Traceback" not in errors
    assert process.returncode == 128 + number
    if number != signal.SIGKILL:
        assert (log.parent / "checkpoint.pt").exists()
        assert "run again to go on from there" in lines[0]


def test_the_kernels_kill_is_told_by_its_count(monkeypatch):
    assert "killed by the kernel, as the memory was full; lower its recipe's batch_size" in run.killed(9, True)
    assert "killed by SIGSEGV" in run.killed(signal.SIGSEGV, False)
    assert run.oom_kills() >= 0


def test_a_job_that_ends_by_itself_keeps_its_status(tmp_path):
    command = [sys.executable, "-m", "lskd.jobs.run", str(tmp_path / "train.log")]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: 12 bytes"),
    ],
)
def test_a_full_memory_is_no_mistake_of_lskd(log, capsys, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(execute, "execute", fail)
    with pytest.raises(SystemExit) as ended:
        execute.main([str(log)])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "out of memory" in said
    assert "lower its recipe's batch_size or data.image_size, or run fewer jobs at a time (snakemake --cores 1" in said
    assert "report it" not in said
