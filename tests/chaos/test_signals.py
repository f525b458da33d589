"""SIGTERM and SIGINT to snakemake, or to all that it started: a job says so in a line; the same command goes on."""

import os
import random
import signal
import time

import psutil
import pytest

from tests.chaos.conftest import FULL, OF_STUDENT, copy_of, equals, errors_of, jobs_in, removed, start, trials
from tests.workflow.conftest import leftovers

SIGNALS = {
    "Ctrl-C on a terminal": (signal.SIGINT, "all"),
    "SIGINT": (signal.SIGINT, "snakemake"),
    "SIGTERM": (signal.SIGTERM, "snakemake"),
    "SIGTERM to all": (signal.SIGTERM, "all"),  # as a scheduler or a shutdown sends it
}


def interrupted(tree, number, to, seconds):
    """A signal so long after the first job's begin; snakemake's exit status, and what it said."""
    output = tree.folder / "output.txt"
    output.write_text("")
    process = start(tree)
    while not jobs_in(tree):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(seconds)
    if process.poll() is None:
        (os.killpg if to == "all" else os.kill)(process.pid, number)
    status = process.wait(120)
    _, alive = psutil.wait_procs(jobs_in(tree), 60)
    assert not alive
    return status, output.read_text()


@pytest.mark.parametrize("how", SIGNALS if FULL else ["Ctrl-C on a terminal", "SIGTERM"])
def test_a_signal(short, tmp_path, how):
    (number, to), draw = SIGNALS[how], random.Random(how)
    tree = copy_of(short, tmp_path / "tree", *OF_STUDENT)
    for _ in range(trials(1, 5)):
        status, said = interrupted(tree, number, to, draw.uniform(0, 4))
        is_finished = not tree.pending()
        assert (status == 0) == is_finished or is_finished, said
        assert all("run again" in line for line in errors_of(said)), said
        if is_finished:
            removed(tree, *OF_STUDENT)
    tree.run()
    tree.close()
    equals(tree, short)
    assert leftovers(tree) == []
