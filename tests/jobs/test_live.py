"""Which jobs run, read from their files: all of them, their table, and the table as it is watched."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lskd.jobs.live import jobs, table, watch
from tests.jobs.statuses import HOST, status_of, training, write
from tests.jobs.test_progress import run_on_pty


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "running"


# Files of processes


CHILD = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has children ignore it
from lskd.jobs.progress import report
with report("a run", "a", 3, 30, 0, 100) as tell:
    print("runs", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def child(folder):
    env = {**os.environ, "LSKD_RUNNING": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", CHILD], env=env, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"runs\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_job_that_runs(folder, child):
    (status,) = jobs(folder)
    assert (status.title, status.address, status.pid, status.steps) == ("a run", "a", child.pid, 30)


@pytest.mark.parametrize("is_reaped", [True, False])
def test_a_killed_job_is_dropped_and_its_file_removed(folder, child, is_reaped):
    child.send_signal(signal.SIGKILL)
    if is_reaped:
        child.wait()
    else:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert (folder / "a.json").exists()
    assert jobs(folder) == []
    assert not (folder / "a.json").exists()


def test_an_interrupted_job_removes_its_file(folder, child):
    child.send_signal(signal.SIGINT)
    child.wait()
    assert list(folder.iterdir()) == []


def test_another_process_with_the_number_of_a_dead_one(folder):
    write(folder, birth="1")
    assert jobs(folder) == []
    assert not (folder / "a.json").exists()


def test_jobs_of_another_host_are_forgotten_after_a_day(folder):
    write(folder, "a", host="elsewhere", pid=2**22 + 1)
    write(folder, "b", host="elsewhere", pid=2**22 + 1, updated=time.time() - 100_000)
    assert [status.address for status in jobs(folder)] == ["a"]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps(status_of(pid="7")).encode(),
        json.dumps(status_of(pid=None)).encode(),
        json.dumps(status_of(title="bad \x1b[2J")).encode(),
        json.dumps(status_of(loss=float("nan"))).encode(),
        json.dumps(status_of(seconds_left=float("inf"))).encode(),
        json.dumps(status_of(updated=10**400)).encode(),
        json.dumps(status_of("another")).encode(),
        json.dumps({"title": "a"}).encode(),
    ],
)
def test_a_damaged_file_is_skipped(folder, content):
    write(folder, "b")
    (folder / "a.json").write_bytes(content)
    (folder / ".b.tmp").write_bytes(content)
    assert [status.address for status in jobs(folder)] == ["b"]
    assert (folder / "a.json").exists()


def test_fields_of_a_later_edition_are_no_matter(folder):
    write(folder, colour="red")
    assert len(jobs(folder)) == 1


def test_no_folder(folder):
    assert jobs(folder) == []


# The table


def test_the_table(folder):
    write(folder, "a", **training(42, loss=0.123456, val_top1=0.5, images_per_second=5321.0, seconds_left=151.0))
    write(folder, "b", started=time.time() - 3600, updated=time.time() - 3000)
    write(folder, "c", **training(7), updated=time.time() - 310)
    _, b, a, c = table(jobs(folder)).splitlines()
    assert a.split() == f"run a 5/10 5,321 0.1235 50.00% 1:40 2:31 {HOST}:{os.getpid()}".split()
    assert b.split() == f"run b 1:00:00 {HOST}:{os.getpid()}".split()
    assert c.split() == f"run c 1/10 1:40 {HOST}:{os.getpid()} quiet for 5 min".split()


def test_a_translation_in_the_table(folder):
    counts = {"step": 120, "steps": 500, "update": 120, "updates": 500}
    write(folder, "a", **counts, loss=4.1, val_nll=3.9, tokens_per_second=12300.0)
    _, a = table(jobs(folder)).splitlines()
    assert a.split() == f"run a update 120/500 12,300 tokens/s 4.1 NLL 3.9 1:40 {HOST}:{os.getpid()}".split()


def test_an_empty_table(folder):
    assert table(jobs(folder)) == "no job is running"


def test_the_table_cuts_titles(folder):
    write(folder, "a", title="glyphs/resnet8-w4/" + "x" * 100 + "/seed7", **training(42))
    width = 72 + len(HOST)
    lines = table(jobs(folder), width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert "…" in lines[1] and "/seed7 " in lines[1] and f"{HOST}:{os.getpid()}" in lines[1]
    assert all(len(line) <= 5 for line in table(jobs(folder), 5).splitlines())


def test_watch_prints_once_where_there_is_no_terminal(folder, capsys):
    write(folder)
    watch(folder)
    assert capsys.readouterr().out.count("run a") == 1


def test_watch_on_a_terminal_until_ctrl_c(folder):
    for number in range(40):
        write(folder, f"{number}")
    script = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); folder = {str(folder)!r}\n"
    script += "from lskd.jobs.live import watch; watch(folder, 0.05); print('bye')"
    written, exit_status = run_on_pty(script, columns=80, interrupt_at="more")
    assert exit_status == 0
    assert "Traceback" not in written
    assert written.endswith("bye\r\n")
    first = written.split("\x1b[J")[0]
    assert first.count("\r\n") == 23 and "… and 19 more" in first
