"""Several snakemakes on one study at the same time: two in one folder, one of another checkout on the same results."""

import random
import time
from collections import defaultdict

import pytest

from lskd.jobs import live
from tests.chaos.conftest import MADE, copy_of, equals, removed, start, trials
from tests.workflow.conftest import Tree, leftovers

BEGUN_AFTER = 8.0  # seconds, at most


def makers_until(processes, running):
    """The processes that made each job, by its address, as far as looking often shows; when all snakemakes ended."""
    makers = defaultdict(set)
    while any(process.poll() is None for process in processes):
        for status in live.jobs(running):
            makers[status.address].add(status.pid)
        time.sleep(0.05)
    return makers


@pytest.mark.timeout(3600)
def test_each_job_is_made_once(short, tmp_path):
    tree, draw = copy_of(short, tmp_path / "tree", *MADE), random.Random(9)
    (tmp_path / "other").mkdir()
    other = Tree(tmp_path / "other", short.folder)
    (other.folder / "results").symlink_to(tree.folder / "results")
    for _ in range(trials(1, 5)):
        removed(tree, *MADE)
        processes = []
        for each in (tree, tree, other):
            processes.append(start(each))
            time.sleep(draw.uniform(0, BEGUN_AFTER) / 2)
        makers = makers_until(processes, tree.folder / "results/.running")
        assert [process.returncode for process in processes] == [0, 0, 0], (tree.folder / "output.txt").read_text()
        assert {len(pids) for pids in makers.values()} == {1}  # who came later waited, and found it there
        equals(tree, short)
        equals(other, short)
        assert leftovers(tree) == []
    tree.close()
