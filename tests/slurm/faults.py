"""Faults of a cluster, each done to one training that runs there. A fault returns when it is done and made good."""

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.slurm.testbed import Cluster
from tests.workflow.conftest import Tree

FULL = os.environ.get("LSKD_CHAOS") == "full"


@dataclass
class Victim:
    """A training: its title, and where it runs."""

    cluster: Cluster
    tree: Tree
    title: str

    @property
    def status(self) -> dict:
        """What the training says of itself; {} while it does not run."""
        for path in (self.tree.folder / "results/.running").glob("*.json"):
            status = read_status(path)
            if status.get("title") == self.title:
                return status
        return {}

    def wait(self, steps: int = 1) -> dict:
        """Wait until it has made so many steps in this life; its status."""
        self.cluster.wait(lambda: self._steps() >= steps, 240)
        return self.status

    def _steps(self) -> int:
        return self.status.get("step", 0) - (self.status.get("first_step") or 0)

    def slurm_job(self) -> str:
        """SLURM's number of the job in which it runs."""
        while True:
            with suppress(OSError):  # it ended as it was looked at
                environment = Path(f"/proc/{self.wait()['pid']}/environ").read_bytes().split(b"\0")
                return next(
                    each.partition(b"=")[2].decode() for each in environment if each.startswith(b"SLURM_JOB_ID=")
                )

    def node(self) -> str:
        """The node on which it runs."""
        return self.cluster.said("squeue", "-h", "-j", self.slurm_job(), "-o%N").strip()

    def log(self) -> str:
        """What the training and who waited for it told in all its lives."""
        (path,) = self.tree.results(f"runs/{self.title}-*/train.log")
        return path.read_text()


def read_status(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def cancelled(victim: Victim) -> None:
    """scancel"""
    victim.cluster.said("scancel", victim.slurm_job())


def requeued(victim: Victim) -> None:
    """scontrol requeue"""
    job = victim.slurm_job()
    victim.cluster.said("scontrol", "requeue", job)


def preempted(victim: Victim) -> None:
    """an urgent job takes the whole node for some seconds"""
    pid, node = victim.wait()["pid"], victim.node()
    urgent = [
        "sbatch",
        "--parsable",
        "-purgent",
        "--exclusive",
        f"-w{node}",
        "-t1",
        "--mem=100",
        "-o/dev/null",
        "--wrap=sleep 5",
    ]
    victim.cluster.said(*urgent)
    victim.cluster.wait(lambda: not Path(f"/proc/{pid}").exists())


def node_down(victim: Victim) -> None:
    """the node is set down, and up again"""
    pid, node = victim.wait()["pid"], victim.node()
    victim.cluster.said("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    victim.cluster.wait(lambda: not Path(f"/proc/{pid}").exists())
    victim.cluster.said("scontrol", "update", f"nodename={node}", "state=resume", check=False)  # it may be up by itself


def daemon_killed(victim: Victim) -> None:
    """kill -9 of slurmd: the training lives on, and SLURM starts a second copy of it"""
    pid, job, node = victim.wait()["pid"], victim.slurm_job(), victim.node()
    victim.cluster.kill(f"slurmd.{node}")
    victim.cluster.wait(
        lambda: victim.cluster.said("squeue", "-h", "-j", job, "-o%N", check=False).strip() != node, 120
    )
    assert Path(f"/proc/{pid}").exists(), "the first copy did not live on"
    victim.cluster.start_slurmd(int(node.removeprefix("n")))


def out_of_time(victim: Victim) -> None:
    """the time limit is met twice"""
    for _ in range(2):
        job, pid = victim.slurm_job(), victim.wait()["pid"]
        victim.cluster.said("scontrol", "update", f"jobid={job}", "timelimit=1")
        victim.cluster.wait(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 150)


def stopped(victim: Victim) -> None:
    """the training hangs: SIGSTOP, which nobody takes back; it is ended in a minute"""

    def is_told() -> bool:
        return "made no step in" in victim.log()

    while not is_told():  # SLURM takes it away before, where another fault's training has moved to this node
        pid = victim.wait()["pid"]
        os.kill(pid, signal.SIGSTOP)
        victim.cluster.wait(lambda pid=pid: is_told() or victim.status.get("pid", pid) != pid, 150)


def accounts_gone(victim: Victim) -> None:
    """slurmdbd is gone for a minute (in CI for some seconds); then slurmctld for some seconds"""
    victim.wait()
    victim.cluster.kill("slurmdbd")
    time.sleep(60 if FULL else 5)
    victim.cluster.start_slurmdbd()
    victim.cluster.kill("slurmctld")
    time.sleep(5)
    victim.cluster.start_slurmctld()


ON_NODE = (  # faults of trainings that share a node, so that what touches a whole node touches no other's victim
    (out_of_time, stopped, accounts_gone),
    (cancelled, requeued, preempted),
    (node_down, daemon_killed),
)
FAULTS = [fault for faults in ON_NODE for fault in faults]
