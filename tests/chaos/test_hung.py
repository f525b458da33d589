"""A training that hangs is told, and ended where `runtime.hang_minutes` says so; the next run goes on from there.

Its process is stopped by SIGSTOP. Where trials are few, the process that waits for it has minutes of three seconds.
"""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from lskd.training import checkpoint
from tests.chaos.conftest import FULL, MADE, copy_of, equals, errors_of, start
from tests.workflow.conftest import ENVIRONMENT, leftovers

STUDY = {
    "study": "long",
    "seeds": [0],
    "data": "digits",
    "recipes": {"r": {"epochs": 120, "batch_size": 8}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 8}, "recipe": "r"}},
    "figures": {"f": {"kind": "accuracy_table"}},
    "runtime": {"device": "cpu", "hang_minutes": 1},
}
SHORT_MINUTES = """
import sys
from lskd.jobs import run
run.hang_minutes = lambda: 0.05
sys.exit(run.main(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def undisturbed(short, tmp_path_factory):
    """A study of one training of some seconds, run to its end."""
    tree = begun(short, tmp_path_factory.mktemp("long") / "tree")
    tree.run()
    yield tree
    tree.close()


def begun(short, folder, **runtime):
    """The same with nothing but its data."""
    tree = copy_of(short, folder, *MADE)
    tree.configure(STUDY | {"runtime": STUDY["runtime"] | runtime})
    return tree


def stopped(tree, pid):
    """The process that trains, below another, stopped once it has saved a checkpoint."""
    while not list(tree.folder.glob("results/runs/**/checkpoint.pt")):
        assert psutil.pid_exists(pid)
        time.sleep(0.02)
    training = psutil.Process(pid).children(recursive=True)[-1]
    training.suspend()
    return training


def test_a_hung_job_is_ended_and_the_next_run_goes_on(short, undisturbed, tmp_path):
    tree = begun(short, tmp_path / "tree")
    log = tree.tell_jobs()["train ls0/0"] / "train.log"
    process = subprocess.Popen(
        [sys.executable, "-c", SHORT_MINUTES, str(log.relative_to(tree.folder))],
        cwd=tree.folder,
        env=ENVIRONMENT | {"LSKD_RUNTIME": '{"device": "cpu", "hang_minutes": 1}'},
        text=True,
        stderr=subprocess.PIPE,
    )
    stopped(tree, process.pid)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGKILL
    (line,) = errors_of(said)
    assert "made no step in 0.05 min (runtime.hang_minutes), so it was ended; run again to go on" in line
    assert (log.parent / checkpoint.NAME).exists()
    tree.run()
    tree.close()
    assert "epoch 1/" not in log.read_text()  # it did not begin again; Snakemake begins a log anew
    equals(tree, undisturbed)
    assert leftovers(tree) == []


@pytest.mark.skipif(not FULL, reason="takes minutes: LSKD_CHAOS=full")
def test_a_minute_of_snakemake(short, undisturbed, tmp_path):
    tree = begun(short, tmp_path / "tree")
    process = start(tree)
    stopped(tree, process.pid)
    assert process.wait(120) == 1
    (line,) = errors_of((tree.folder / "output.txt").read_text())
    assert "made no step in 1 min (runtime.hang_minutes), so it was ended; run again to go on" in line
    tree.run()
    tree.close()
    equals(tree, undisturbed)
    assert leftovers(tree) == []


@pytest.mark.skipif(not FULL, reason="takes minutes: LSKD_CHAOS=full")
def test_a_quiet_job_is_told_by_the_live_line(short, undisturbed, tmp_path):
    """It is left alone, as nothing says that it shall be ended."""
    tree = begun(short, tmp_path / "tree", hang_minutes=0)
    process = start(tree)
    training = stopped(tree, process.pid)
    deadline = time.monotonic() + 150
    while "quiet for " not in (tree.folder / "output.txt").read_text():
        assert time.monotonic() < deadline
        time.sleep(1.0)
    training.resume()
    assert process.wait(120) == 0
    equals(tree, undisturbed)
    assert leftovers(tree) == []
