"""What Snakemake starts is done by the server's forks where it is a job, and started as ever where it is not."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from lskd.jobs.in_thread import Waited, popen
from lskd.jobs.run import SERVER
from tests.jobs.test_forkserver import is_served, log_of, server, until

__all__ = ["server"]  # a fixture


def command(log) -> str:
    """As Snakemake writes it."""
    return f"set -euo pipefail;  python -m lskd.jobs.run {log}"


def options(**environment: str) -> dict:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"shell": True, "executable": "/bin/bash", "env": os.environ | {"PATH": path} | environment}


def test_a_job_is_done_by_a_fork(server, tmp_path):
    log = log_of(tmp_path)
    process = popen(command(log), **options())
    assert isinstance(process, Waited)
    assert process.wait() == 0 and is_served(log)
    assert process.pid in {each.pid for each in server.children()}


def test_without_a_server_a_job_is_started(tmp_path):
    log = log_of(tmp_path)
    assert popen(command(log), **options(**{SERVER: "/nowhere/socket"})).wait() == 0
    assert not is_served(log)


def test_a_job_that_is_killed_is_told(server, tmp_path, capfd):
    log = log_of(tmp_path, epochs=5000)
    process, statuses = popen(command(log), **options()), []
    thread = threading.Thread(target=lambda: statuses.append(process.wait()))
    thread.start()
    until(lambda: list(log.parent.glob("checkpoint*")))
    os.kill(process.pid, signal.SIGKILL)
    thread.join(60)
    assert statuses == [128 + signal.SIGKILL]
    assert "killed by SIGKILL" in capfd.readouterr().err


def test_whatever_else_is_started(tmp_path):
    for other in ("true", f"cat; {command('x/y.log')}", "echo 'python -m lskd.jobs.run x/y.log'"):
        process = popen(other, shell=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert isinstance(process, subprocess.Popen)
        process.wait()
