"""The jobs of one submission: so many at a time, all of them tried, stopped together; and inputs that come late."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lskd.jobs.turns import await_inputs

CHILD = """
import os, signal, sys, time
from pathlib import Path
log = Path(sys.argv[-1])
log.write_text(f"{time.time()} ")
def stop(*_):
    log.open("a").write("stopped")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
time.sleep(float(os.environ["SECONDS"]))
log.open("a").write(str(time.time()))
sys.exit(int(log.name.startswith("bad")))
"""
RUN = """
import subprocess, sys
from pathlib import Path
from lskd.jobs import turns
popen = subprocess.Popen
turns.subprocess.Popen = lambda command: popen([sys.executable, "-c", sys.argv[1], command[-1]])
turns.await_inputs = lambda log: None
sys.exit(turns.Turns(int(sys.argv[2]), [Path(name) for name in sys.argv[3:]]).run())
"""


def begun(tmp_path, most, names, seconds):
    """The process that gives jobs their turns; the jobs are children that write when they began and ended."""
    command = [sys.executable, "-c", RUN, CHILD, str(most), *(str(tmp_path / name) for name in names)]
    return subprocess.Popen(command, env=os.environ | {"SECONDS": str(seconds)})


@pytest.mark.parametrize("most", [1, 2, 3])
def test_so_many_at_a_time(tmp_path, most):
    names = list("abcd")
    assert begun(tmp_path, most, names, 0.4).wait(30) == 0
    spans = [tuple(map(float, (tmp_path / name).read_text().split())) for name in names]
    at_once = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(at_once) == most


def test_one_that_fails_keeps_no_other_from_its_turn(tmp_path):
    assert begun(tmp_path, 1, ["bad", "b", "c"], 0.0).wait(30) == 1
    assert all(len((tmp_path / name).read_text().split()) == 2 for name in ("bad", "b", "c"))


def test_sigterm_reaches_those_that_run_and_begins_no_more(tmp_path):
    process = begun(tmp_path, 2, list("abcd"), 30)
    end = time.monotonic() + 20
    while not all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in "ab"):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert all((tmp_path / name).read_text().endswith("stopped") for name in "ab")
    assert not any((tmp_path / name).exists() for name in "cd")


def test_inputs_that_come_late_are_awaited(tmp_path):
    results, folder = tmp_path / "results", tmp_path / "results/runs/x-0123456789"
    (results / ".jobs").mkdir(parents=True)
    described = {"inputs": {"data": "data/y-0000000000"}}

    def seconds(most):
        started = time.monotonic()
        await_inputs(folder / "train.log", most)
        return time.monotonic() - started

    assert seconds(0.6) >= 0.6
    (results / ".jobs/0123456789.json").write_text(json.dumps(described))
    assert seconds(0.6) >= 0.6
    (results / "data/y-0000000000").mkdir(parents=True)
    (results / "data/y-0000000000/record.json").write_text("{}")
    assert seconds(5) < 0.4


@pytest.mark.parametrize("text", ["", "{", "[]", '{"inputs": 3}'])
def test_a_damaged_job_file_is_left_to_the_job_to_tell(tmp_path, text):
    (tmp_path / ".jobs").mkdir()
    (tmp_path / ".jobs/0123456789.json").write_text(text)
    started = time.monotonic()
    await_inputs(tmp_path / "runs/x-0123456789/train.log", 5)
    assert time.monotonic() - started < 0.4
