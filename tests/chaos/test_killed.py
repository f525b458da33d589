"""SIGKILL at random moments, of a job, of snakemake, of both: the same plain command goes on, and nothing shows it.

A study that comes to its end before all kills are done begins again from nothing.
"""

import random
import shutil
import time
from collections import Counter

import psutil
import pytest
import yaml

from tests.chaos.conftest import FULL, equals, jobs_in, kill, start, trials
from tests.workflow.conftest import ROOT, Tree, leftovers

KINDS = ("a job", "snakemake", "all")
SEEDS = [0, 1]  # of the default study's five


class Victim:
    """A tree in which snakemake is started whenever none runs, and killed, or loses a job."""

    def __init__(self, tree, shortest, longest):
        self.tree, self.seconds, self.draw = tree, (shortest, longest), random.Random(7)
        self.process, self.kills, self.ends = None, Counter(), 0

    def kill_once(self):
        """Wait for a random time, then kill in one of the three ways, unless all had come to its end."""
        self.process = self.process or start(self.tree)
        time.sleep(self.draw.uniform(*self.seconds))
        kind = self.draw.choice(KINDS)
        self.kills[kind] += self.kill_a_job() if kind == "a job" else self.kill_snakemake(with_jobs=kind == "all")
        if self.process.poll() is not None:
            self.begin_again()

    def kill_a_job(self):
        """One process of a job: its shell, the one that makes it, or the one that waits for that; snakemake lives."""
        while self.process.poll() is None:
            if jobs := jobs_in(self.tree):
                return kill(self.draw.choice(jobs))
            time.sleep(0.05)
        return False

    def kill_snakemake(self, with_jobs):
        """Snakemake, stopped first so that it starts no more; its jobs too, or they live on."""
        if self.process.poll() is not None:
            return False
        first = psutil.Process(self.process.pid)
        first.suspend()
        below = first.children(recursive=True) if with_jobs else []
        kill(first)
        for process in below:
            kill(process)
        self.process.wait()
        return True

    def begin_again(self):
        """The next is the same plain command; after an end to all, on nothing."""
        if self.process.returncode == 0:
            wait_for(self.tree)
            shutil.rmtree(self.tree.folder / "results")
            self.ends += 1
        self.process = None

    def finish(self):
        """The last run, which nobody disturbs."""
        if self.process is not None:
            self.process.wait()  # it lost a job perhaps
        self.tree.run()
        wait_for(self.tree)


def wait_for(tree):
    """The end of jobs that outlived their snakemake."""
    _, alive = psutil.wait_procs(jobs_in(tree), 120)
    assert not alive


@pytest.fixture(scope="module")
def undisturbed(request, tmp_path_factory):
    """The short study; in full the default one at two seeds, run to its end."""
    if not FULL:
        yield request.getfixturevalue("short")
        return
    tree = Tree(tmp_path_factory.mktemp("undisturbed"))
    tree.configure(yaml.safe_load((ROOT / "config.yaml").read_text()) | {"seeds": SEEDS})
    tree.run()
    yield tree
    tree.close()


@pytest.mark.timeout(7200)
def test_killed_again_and_again(undisturbed, tmp_path, capsys):
    tree = Tree(tmp_path, undisturbed.folder)
    shutil.copy2(undisturbed.folder / "config.yaml", tmp_path)
    began = time.monotonic()
    tree.run("--dry-run")
    begin = time.monotonic() - began  # of Snakemake, on this machine and now: 2.5 s where nothing else runs
    victim = Victim(tree, 0.6 * begin, (4 if not FULL else 8) * begin)
    while sum(victim.kills.values()) < trials(6, 50):
        victim.kill_once()
    victim.finish()
    tree.close()
    with capsys.disabled():
        print(f"\nkilled {dict(victim.kills)}, on the way to {victim.ends + 1} ends of the study")
    equals(tree, undisturbed)
    assert leftovers(tree) == []
