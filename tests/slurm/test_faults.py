"""Faults of a whole study on a cluster, one at a time: each ends with the metrics of an undisturbed run."""

import json
import os
import shutil
import signal
import stat
import time

import pytest

from lskd.io.seal import sealed
from lskd.jobs.demand import USAGE, like
from tests.slurm.conftest import PROFILE, on_cluster, set_site, tree_of
from tests.slurm.testbed import PATH
from tests.workflow.conftest import SHORT, leftovers, measured

STUDY = SHORT | {"runtime": {"device": "auto"}}
LOOP = "lskd/training/loop.py"


@pytest.fixture
def tree(cluster, finished, tmp_path):
    """A tree that has its data already."""
    own = tree_of(tmp_path / "tree", STUDY, finished.folder, per_submission=1)
    (own.folder / "results").mkdir()
    shutil.copytree(finished.folder / "results/data", own.folder / "results/data")
    return own


@pytest.fixture(scope="module")
def expected(finished, tmp_path_factory):
    """The metrics of the same study on this machine."""
    own = tree_of(tmp_path_factory.mktemp("expected") / "tree", STUDY, finished.folder)
    own.run()
    return measured(own)


def waiting(cluster) -> int:
    return len(cluster.said("squeue", "-h", "-tPENDING", "-o%i").split())


def set_nodes(cluster, state: str) -> None:
    cluster.said("scontrol", "update", "nodename=n[1-3]", f"state={state}", "reason=test", check=False)


def test_code_that_is_edited_while_jobs_wait_makes_nothing(tree, cluster, expected):
    set_nodes(cluster, "drain")
    try:
        process = tree.start(*PROFILE, "--retries", "0", PATH=PATH)
        cluster.wait(lambda: waiting(cluster) >= 1)
        before = (tree.folder / LOOP).read_text()
        (tree.folder / LOOP).write_text(before.replace("self.step += 1", "self.step += 1 + 0"))
    finally:
        set_nodes(cluster, "resume")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "the code changed since this job was planned (lskd/training/loop.py:Training._step); run again" in output
    assert not list((tree.folder / "results/runs").rglob("model.safetensors"))
    (tree.folder / LOOP).write_text(before)
    on_cluster(tree)
    assert measured(tree) == expected


def test_out_of_memory_then_more(tree, cluster, expected):
    small = tree.folder / "results" / USAGE
    small.mkdir()
    usage = {"like": like_the_teacher(tree), "title": "", "megabytes": 1.0, "seconds": 1.0}
    (small / "0000000000.json").write_text(json.dumps(sealed(usage)))
    output = on_cluster(tree)
    assert "took more memory than the 502 MB that it asked for; its next attempt asks for more" in output
    assert measured(tree) == expected


def like_the_teacher(tree) -> str:
    """What jobs that are like the study's teacher share."""
    tree.tell_jobs()
    jobs = [json.loads(path.read_text()) for path in (tree.folder / "results/.jobs").glob("*.json")]
    (spec,) = [job["spec"] for job in jobs if job["stage"] == "train" and job["title"].startswith("digits/mlp")]
    return like("train", spec)


def test_one_folder_of_results_from_two_hosts_at_once(tree, cluster, expected, tmp_path, finished):
    other = tree_of(tmp_path / "other", STUDY, finished.folder)
    (other.folder / "results").symlink_to(tree.folder / "results")
    processes = [tree.start(*PROFILE, PATH=PATH), other.start("--cores", "1")]
    for process in processes:
        output, _ = process.communicate(timeout=400)
        assert process.returncode == 0, output
    assert measured(tree) == expected
    assert leftovers(tree) == []


def submitted(tree) -> bool:
    """Whether snakemake knows that its first job was: a job can run before sbatch has said its number."""
    logs = (tree.folder / ".snakemake/log").glob("*.log")
    return any("has been submitted with SLURM jobid" in log.read_text() for log in logs)


def all_submitted(tree) -> bool:
    """Whether an invocation submitted some jobs, and none for a while: Ctrl-C knows none whose sbatch it interrupts."""

    def count() -> int:
        logs = (tree.folder / ".snakemake/log").glob("*.log")
        return sum(log.read_text().count("has been submitted with SLURM jobid") for log in logs)

    before = count()
    time.sleep(2)
    return 0 < before == count()


def suspended(cluster) -> list[str]:
    """Suspend what runs, so that it does not end before something else does; all that are."""
    for job in cluster.said("squeue", "-h", "-tRUNNING", "-o%i").split():
        cluster.said("scontrol", "suspend", job, check=False)  # it may have ended just now
    return cluster.said("squeue", "-h", "-tSUSPENDED", "-o%i").split()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_snakemake_is_ended_and_started_again(tree, cluster, expected, number):
    process = tree.start(*PROFILE, PATH=PATH)
    cluster.wait(lambda: suspended(cluster), 60)
    cluster.wait(lambda: all_submitted(tree), 60)
    os.kill(process.pid, number)
    process.communicate(timeout=120)
    left = cluster.said("squeue", "-h", "-tPENDING,RUNNING,SUSPENDED", "-o%i").split()
    if number == signal.SIGKILL:
        assert left
        for job in suspended(cluster):
            cluster.said("scontrol", "resume", job)
    for job in (
        left if number == signal.SIGINT else []
    ):  # Ctrl-C cancels what it submitted, which SLURM does in its time
        cluster.wait(lambda job=job: cluster.said("sacct", "-Xno", "State", "-j", job).startswith("CANCELLED"), 60)
    on_cluster(tree)
    assert measured(tree) == expected
    assert leftovers(tree) == []


WRAPPER = """#!/bin/sh
# For its first calls it does not know the states of jobs, as sacct does where slurmdbd lags behind.
n=$(cat {count} 2>/dev/null || echo 0); echo $((n + 1)) > {count}
if [ "$n" -lt {calls} ]; then {real} "$@" | {filter}; else {real} "$@"; fi
"""


def lagging(tmp_path, calls: int, filter: str) -> str:
    """A PATH on which sacct answers otherwise for some calls."""
    script = tmp_path / "bin/sacct"
    script.parent.mkdir()
    real = shutil.which("sacct", path=PATH)
    script.write_text(WRAPPER.format(count=tmp_path / "count", calls=calls, real=real, filter=filter))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"{script.parent}{os.pathsep}{PATH}"


@pytest.mark.parametrize("filter", ["sed 's/|.*/|UNKNOWN/'", "true"], ids=["UNKNOWN", "not listed"])
def test_a_state_that_slurm_does_not_know_is_no_success(tree, cluster, expected, tmp_path, filter):
    set_site(tree, status="sacct")
    output = tree.run(*PROFILE, PATH=lagging(tmp_path, 8, filter))
    assert "MissingOutputException" not in output and "error:" not in output
    assert measured(tree) == expected


def test_a_job_that_sacct_never_lists_is_taken_for_made_when_it_is(tree, cluster, expected, tmp_path):
    set_site(tree, status="sacct")
    started = time.monotonic()
    tree.run(*PROFILE, PATH=lagging(tmp_path, 10**6, "true"))
    assert measured(tree) == expected
    assert time.monotonic() - started < 300


def test_a_cancelled_job_is_submitted_again_by_sacct_too(tree, cluster, expected):
    set_site(tree, status="sacct")
    process = tree.start(*PROFILE, PATH=PATH)
    cluster.wait(lambda: "R" in cluster.said("squeue", "-h", "-o%t").split(), 60)
    cluster.said("scancel", "--user=root", "--state=RUNNING")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "ended as CANCELLED" in output
    assert measured(tree) == expected


def test_what_is_made_is_so_whatever_slurm_says_of_its_job(tree, cluster, expected, tmp_path):
    set_site(tree, status="sacct")
    output = tree.run(*PROFILE, PATH=lagging(tmp_path, 10**6, "sed 's/COMPLETED/FAILED/'"))
    assert "error:" not in output and "restart" not in output
    assert measured(tree) == expected


def test_a_job_that_is_submitted_again_is_told_again_what_to_make(tree, cluster, expected):
    """As if it had been made, its job file had gone with that, and Snakemake had removed the result."""
    process = tree.start(*PROFILE, PATH=PATH)
    cluster.wait(lambda: "R" in cluster.said("squeue", "-h", "-o%t").split() and submitted(tree), 60)
    for path in (tree.folder / "results/.jobs").iterdir():
        path.unlink()
    cluster.said("scancel", "--user=root", "--state=RUNNING")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert measured(tree) == expected
