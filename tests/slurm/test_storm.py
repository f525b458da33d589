"""Faults of a cluster while a study runs on it: each training meets one, and all ends as if nothing had been."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.slurm.conftest import PROFILE, tree_of
from tests.slurm.faults import FAULTS, ON_NODE, Victim, accounts_gone, out_of_time, stopped
from tests.slurm.testbed import PATH, Cluster
from tests.workflow.conftest import Tree, leftovers, measured

STUDY = {
    "study": "tiny",
    "seeds": list(range(len(FAULTS))),
    "data": "digits",
    "recipes": {"long": {"epochs": 300, "crop_padding": 1}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 16}, "recipe": "long", "label_smoothing": [0.0]}},
    "figures": {"stability": {"kind": "stability", "groups": ["t"]}},
    "runtime": {"device": "auto", "checkpoint_minutes": 0.02},
}
STEP = "        seed_dropout(self.seed, self.step, self.device)\n"
SLOW = (  # while a file of its seed is there, a training takes its time
    "        if __import__('os').path.exists(f'slow/{self.seed}'):\n            __import__('time').sleep(0.1)\n"
)


def tree_with(folder, **settings) -> Tree:
    tree = tree_of(folder, STUDY, **settings)
    loop = tree.folder / "lskd/training/loop.py"
    text = loop.read_text()
    assert text.count(STEP) == 1
    loop.write_text(text.replace(STEP, STEP + SLOW))
    return tree


@contextmanager
def hurried(cluster: Cluster) -> Iterator[None]:
    """Let jobs that SLURM queues again start at once, not in two minutes."""
    ended = threading.Event()

    def hurry() -> None:
        while not ended.wait(1.0):
            for job in cluster.said("squeue", "-h", "-tPENDING", "-o%i", check=False).split():
                cluster.said("scontrol", "update", f"jobid={job}", "starttime=now", check=False)

    thread = threading.Thread(target=hurry)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def met_by(victims: list[Victim]) -> dict:
    """Which training meets which fault: those of one row of ON_NODE share a node."""
    by_node: dict[str, list[Victim]] = {}
    for victim in victims:
        by_node.setdefault(victim.node(), []).append(victim)
    rows = zip(ON_NODE, sorted(by_node.values(), key=len, reverse=True), strict=True)
    return {fault: victim for faults, group in rows for fault, victim in zip(faults, group, strict=True)}


@pytest.fixture(scope="module")
def storm(cluster, tmp_path_factory):
    """The tree after the storm, what snakemake said, its exit status, and which seed met which fault."""
    root = tmp_path_factory.mktemp("storm")
    tree = tree_with(root / "tree", per_submission=1, hang_minutes=1)
    slow = tree.folder / "slow"
    slow.mkdir()
    for seed in STUDY["seeds"]:
        (slow / str(seed)).touch()
    process = tree.start(*PROFILE, PATH=PATH)
    victims = [Victim(cluster, tree, f"digits/mlp-w16/long/ls0/seed{seed}") for seed in STUDY["seeds"]]

    def suffers(fault, victim: Victim) -> None:
        fault(victim)
        (slow / victim.title.rpartition("seed")[2]).unlink()

    try:
        with hurried(cluster):
            for victim in victims:
                victim.wait()
            met = met_by(victims)
            with ThreadPoolExecutor() as pool:
                done = [
                    pool.submit(lambda row=row: [suffers(fault, met[fault]) for fault in row]) for row in ON_NODE[1:]
                ]
                done += [pool.submit(suffers, fault, met[fault]) for fault in (out_of_time, stopped)]
                for each in done:
                    each.result()
            suffers(accounts_gone, met[accounts_gone])
            output, _ = process.communicate(timeout=600)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return tree, output, process.returncode, {fault.__name__: victim.title for fault, victim in met.items()}


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Tree:
    """The same study, undisturbed, on this machine."""
    tree = tree_with(tmp_path_factory.mktemp("calm") / "tree")
    tree.run()
    return tree


def test_all_ends_by_itself(storm):
    _, output, status, _ = storm
    assert status == 0, output


def test_metrics_are_those_of_an_undisturbed_run(storm, calm):
    tree, *_ = storm
    assert measured(tree) == measured(calm)
    assert leftovers(tree) == []


@pytest.mark.parametrize("fault", [fault.__name__ for fault in FAULTS])
def test_a_training_that_met_it_has_the_same_weights(storm, calm, fault):
    tree, _, _, met = storm
    (own,) = tree.results(f"runs/{met[fault]}-*/model.safetensors")
    (other,) = calm.results(f"runs/{met[fault]}-*/model.safetensors")
    assert own.read_bytes() == other.read_bytes()


def log_of(storm, fault: str) -> str:
    tree, _, _, met = storm
    (log,) = tree.results(f"runs/{met[fault]}-*/train.log")
    return log.read_text()


def test_a_training_that_met_its_time_limit_twice_went_on_each_time(storm):
    assert log_of(storm, "out_of_time").count("stopped by SIGTERM") == 2


def test_a_training_that_hung_was_ended_and_told(storm):
    assert log_of(storm, "stopped").count("made no step in 1 min") == 1


def test_of_two_copies_one_published(storm):
    log = log_of(storm, "daemon_killed")
    assert log.count("epoch 300/300") == 1  # the other found it made, if SLURM began another
