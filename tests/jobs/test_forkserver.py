"""A fork of the server does what a process that was started would, and is what is told, ended and waited for."""

import json
import logging
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import psutil
import pytest
import torch

from lskd.io.layout import FILES
from lskd.jobs import execute, forkserver, worker
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.forkserver import serving
from lskd.jobs.results import Results
from lskd.jobs.run import SERVER, THREADS
from lskd.study import reading, runs
from tests import small
from tests.jobs import finished

ROOT = Path(__file__).parents[2]
STUDY = {
    "study": "one",
    "seeds": [0],
    "data": "digits",
    "teachers": {"t": {"model": {"name": "mlp", "width": 8}, "recipe": "r"}},
    "figures": {"f": {"kind": "accuracy_table"}},
}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server for jobs of one thread, beside this process."""
    for name in THREADS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LSKD_RUNTIME", '{"device": "cpu"}')
    monkeypatch.setenv("LSKD_RUNNING", str(tmp_path / "running"))
    with serving(1):
        (process,) = [each for each in psutil.Process().children() if "lskd.jobs.forkserver" in each.cmdline()]
        yield process


def until(is_so) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def log_of(root: Path, epochs: int = 1) -> Path:
    """The log of a training whose data are made."""
    study = reading.parse(STUDY | {"recipes": {"r": {"epochs": epochs, "batch_size": 8}}})
    job = Catalogue({"one": study}, Results(root / "results")).train(runs.members(study)[0].run)
    data = job.inputs["data"]
    execute.execute(data.described(), data.results.root)
    return small.write_job(job)


def begin(log: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lskd.jobs.run", str(log)]
    return subprocess.Popen(command, env=os.environ | environment, text=True, stderr=subprocess.PIPE)


def status(log: Path, **environment: str) -> int:
    process = begin(log, **environment)
    assert process.communicate(timeout=120)[1] == ""
    return process.returncode


def is_served(log: Path) -> bool:
    """Whether the process had what the server imports for all jobs, and no training needs."""
    return '"matplotlib"' in (log.parent / "record.json").read_text()


def test_a_fork_makes_the_same_bytes(server, tmp_path):
    served, alone = log_of(tmp_path / "served"), log_of(tmp_path / "alone")
    assert status(served) == status(alone, **{SERVER: ""}) == 0
    for name in ("model.safetensors", "history.jsonl"):
        assert (served.parent / name).read_bytes() == (alone.parent / name).read_bytes()
    assert is_served(served) and not is_served(alone)
    assert (tmp_path / "served/results/.usage" / f"{served.parent.name[-10:]}.json").exists()


def test_a_fork_draws_the_same_bytes_and_names_the_same_libraries(server, tmp_path):
    assert status(log_of(tmp_path / "other")) == 0  # the server has torch now
    root = finished.copied(tmp_path)
    figure = finished.planned(root).catalogue.figure("tiny", "grid")
    drawn = {name: (figure.folder / name).read_bytes() for name in FILES["figure"]}
    versions = json.loads((figure.folder / "record.json").read_text())["versions"]
    (figure.folder / "record.json").unlink()
    log = small.write_job(figure)
    assert status(log) == 0
    assert len(server.children()) == 2  # of a training, and of a figure
    assert {name: (figure.folder / name).read_bytes() for name in FILES["figure"]} == drawn
    assert json.loads((figure.folder / "record.json").read_text())["versions"] == versions
    assert "torch" not in versions and "matplotlib" in versions


def test_what_is_imported_makes_no_library_talk(tmp_path, monkeypatch):
    noisy = "import logging\nlogging.basicConfig(level=logging.DEBUG, force=True)\ndef run(work): pass\n"
    (tmp_path / "noisy.py").write_text(noisy)
    monkeypatch.syspath_prepend(tmp_path)
    root = logging.getLogger()
    before = root.level, root.handlers.copy()
    forkserver._import({"functions": {"run": "noisy:run"}})
    assert "noisy" in sys.modules and (root.level, root.handlers) == before


def test_a_users_mistake_is_said_by_who_asked(server, tmp_path):
    (tmp_path / "results/.jobs").mkdir(parents=True)
    process = begin(tmp_path / "results/runs/one-0123456789/train.log")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no job to read" in said and said.count("error:") == 1


@pytest.mark.parametrize(
    ("number", "of", "said"),
    [
        (signal.SIGKILL, "fork", "killed by SIGKILL (kill -9, or a limit of memory or time)"),
        (signal.SIGTERM, "waiting", "stopped by SIGTERM (a scheduler's, or kill's) after step "),
    ],
)
def test_a_fork_that_is_ended_is_told(server, tmp_path, number, of, said):
    log = log_of(tmp_path, epochs=5000)
    process = begin(log)
    until(lambda: list(log.parent.glob("checkpoint*")))
    (fork,) = server.children()
    os.kill(fork.pid if of == "fork" else process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said in errors and errors.count("error:") == 1
    assert server.is_running()


def test_the_process_of_a_small_job_does_the_next_of_its_stage_to_the_same_bytes(server, tmp_path):
    logs, workers = [log_of(tmp_path / name) for name in ("first", "second", "third", "alone")], []
    for log in logs[:3]:
        assert status(log) == 0
        workers += server.children()
    assert status(logs[3], **{SERVER: ""}) == 0
    assert len(workers) == 3 and len({worker.pid for worker in workers}) == 1
    for name in ("model.safetensors", "history.jsonl", "trace.safetensors"):
        assert len({(log.parent / name).read_bytes() for log in logs}) == 1, name
    usage = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*/results/.usage/*.json"))]
    assert len(usage) == 4


def test_a_worker_that_dies_while_it_waits_is_no_loss(server, tmp_path):
    assert status(log_of(tmp_path / "first")) == 0
    (worker,) = server.children()
    worker.kill()
    second = log_of(tmp_path / "second")
    assert status(second) == 0 and is_served(second)
    assert worker.pid not in {each.pid for each in server.children()}


def test_a_job_that_fails_ends_its_process_alone(server, tmp_path):
    assert status(log_of(tmp_path / "first")) == 0
    (worker,) = server.children()
    broken = log_of(tmp_path / "broken")
    next((tmp_path / "broken/results/data").glob("*/data.safetensors")).write_bytes(b"not what was sealed")
    process = begin(broken)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and errors.count("error:") == 1
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    last = log_of(tmp_path / "last")
    assert status(last) == 0 and is_served(last)


def test_workers_end_with_their_server(server, tmp_path):
    assert status(log_of(tmp_path)) == 0
    (worker,) = server.children()
    server.kill()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def forked() -> tuple[int, socket.socket]:
    """A worker without a server: its number, and the channel to it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        worker.work(theirs)
    theirs.close()
    return pid, ours


@pytest.mark.parametrize(("seconds", "is_last"), [(0.0, True), (600.0, False)])
def test_what_took_long_is_the_last_job_of_its_process(tmp_path, monkeypatch, seconds, is_last):
    monkeypatch.setattr(worker, "SMALL_SECONDS", seconds)
    log = log_of(tmp_path)
    pid, ours = forked()
    request = {"log": str(log), "folder": str(tmp_path), "environment": dict(os.environ)}
    with (tmp_path / "said").open("w") as said:
        files = [said.fileno()] * 3
        socket.send_fds(ours, [json.dumps(request).encode() + b"\n"], files)
        answer, _ = worker.received(ours)
    assert answer["is_last"] == is_last and answer["megabytes"] > 10 and answer["seconds"] > 0
    ours.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (0 if is_last else 1)
    assert execute.is_whole(log.parent, FILES["train"])


def leave_behind(arguments: list[str]) -> None:
    """A job that tells what it finds, and leaves it otherwise."""
    state = {
        "drawn": [random.random(), np.random.rand(), torch.rand(1).item()],  # noqa: NPY002
        "errors": np.geterr(),
        "torch": [
            str(torch.get_default_dtype()),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
        ],
        "pictures": [matplotlib.rcParams["lines.linewidth"], matplotlib.rcParams["axes.grid"]],
        "others": [warnings.filters[0][0], sys.path[0], os.umask(0o77)],
    }
    os.write(1, json.dumps(state).encode())
    np.seterr(all="raise")
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(not torch.are_deterministic_algorithms_enabled())
    matplotlib.rcParams.update({"lines.linewidth": 9, "axes.grid": True})
    warnings.simplefilter("error")
    sys.path.insert(0, "/nowhere")


def test_each_job_finds_what_the_first_one_found(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "main", leave_behind)
    pid, ours = forked()
    request = {"log": "a log", "folder": str(tmp_path), "environment": dict(os.environ)}
    for number in range(3):
        with (tmp_path / f"said{number}").open("w") as said:
            socket.send_fds(ours, [json.dumps(request).encode() + b"\n"], [said.fileno()] * 3)
            worker.received(ours)
    ours.close()
    os.waitpid(pid, 0)
    first, *others = [path.read_text() for path in sorted(tmp_path.glob("said*"))]
    assert json.loads(first)["torch"][0] == "torch.float32"
    assert [first, first] == others


@pytest.fixture(params=[signal.SIG_IGN, signal.default_int_handler])
def on_interrupt(request):
    """What a script that starts all this behind itself has it do at Ctrl-C, and a terminal."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_a_job_minds_an_interrupt_as_who_started_the_server_does(on_interrupt, server, tmp_path):
    assert status(log_of(tmp_path)) == 0
    (fork,) = server.children()
    (ignored,) = re.findall(r"^SigIgn:\s*(\w+)", Path(f"/proc/{fork.pid}/status").read_text(), re.MULTILINE)
    assert bool(int(ignored, 16) >> signal.SIGINT - 1 & 1) == (on_interrupt is signal.SIG_IGN)


def test_a_file_that_only_a_fork_imported_counts_too(tmp_path):
    module = tmp_path / "late.py"
    module.write_text("A = 1\n")
    mine, _ = socket.socketpair(socket.AF_UNIX)
    before = {number: signal.getsignal(number) for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)}
    server = forkserver.Server(mine.detach())
    for number, handler in before.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(-1)
    assert server._is_as_loaded() and server._is_as_loaded([str(module)])
    os.utime(module, (1, 1))
    assert not server._is_as_loaded()


def test_without_its_server_a_job_is_made_all_the_same(server, tmp_path):
    log = log_of(tmp_path, epochs=40)
    process = begin(log)
    until(lambda: list(log.parent.glob("checkpoint*")))
    server.kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and errors == ""
    assert is_served(log)  # it waited for the fork, which held the folder


@pytest.mark.parametrize("content", [b"\n", b"[]\n", b'{"log": "x"}\n', b"no end", b"\xff\n"])
def test_a_request_that_is_none_is_closed(server, tmp_path, content):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.environ[SERVER])
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert status(log_of(tmp_path)) == 0 and is_served(next(tmp_path.rglob("train.log")))


def test_a_fork_that_cannot_begin_ends(server, tmp_path):
    request = {"log": "x/train.log", "folder": str(tmp_path / "gone"), "python": sys.executable}
    with socket.socket(socket.AF_UNIX) as client, (tmp_path / "said").open("w") as said:
        client.connect(os.environ[SERVER])
        content = json.dumps(request | {"environment": dict(os.environ)}).encode() + b"\n"
        socket.send_fds(client, [content], [0, said.fileno(), said.fileno()])
        answers = client.makefile().read().splitlines()
    assert os.waitstatus_to_exitcode(json.loads(answers[1])["status"]) == 1
    assert "FileNotFoundError" in (tmp_path / "said").read_text()
    until(lambda: not server.children())
    assert Path(os.environ[SERVER]).exists()


@pytest.mark.parametrize("environment", [{"OMP_NUM_THREADS": "2"}, {SERVER: "/nowhere/socket"}])
def test_who_is_not_served_is_made_alone(server, tmp_path, environment):
    log = log_of(tmp_path)
    assert status(log, **environment) == 0
    assert not is_served(log)


def test_code_that_is_touched_is_not_served_from_memory(server, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "lskd", tmp_path / "lskd", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    with serving(1):  # of the copy
        before = log_of(tmp_path / "before")
        assert status(before) == 0 and is_served(before)
        os.utime("lskd/training/loop.py")  # edited and put back, say
        after = log_of(tmp_path / "after")
        assert status(after) == 0 and not is_served(after)


STARTER = """
import os, time
from lskd.jobs.forkserver import serving
with serving(1):
    print(os.environ["LSKD_FORKSERVER"], flush=True)
    time.sleep(600)
"""


def test_it_ends_with_who_started_it():
    with subprocess.Popen([sys.executable, "-c", STARTER], text=True, stdout=subprocess.PIPE, cwd=ROOT) as starter:
        assert starter.stdout is not None
        path = Path(starter.stdout.readline().strip())
        starter.kill()
    until(lambda: not path.parent.exists())
