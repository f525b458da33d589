"""`lskd doctor` on a real cluster: all is well; and each broken setting is named, with what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.conftest import SITE, set_site, tree_of
from tests.slurm.testbed import PATH
from tests.workflow.conftest import TINY


@pytest.fixture(scope="module")
def tree(cluster, tmp_path_factory):
    return tree_of(tmp_path_factory.mktemp("doctor") / "tree", TINY)


def asked(tree, path=PATH, python=sys.executable) -> tuple[str, int]:
    """What doctor says, and its exit status."""
    command = [python, "-m", "lskd", "doctor"]
    environment = os.environ | {"PATH": path}
    done = subprocess.run(command, cwd=tree.folder, capture_output=True, text=True, timeout=300, env=environment)
    return done.stdout + done.stderr, done.returncode


def test_all_is_well(tree):
    said, status = asked(tree)
    assert status == 0, said
    assert said.count("ok ") == 8 and "mend" not in said


BROKEN = {  # settings of site.yaml -> what is said
    "no such partition": (
        {"partition": "cpus"},
        "partition: found cpus, no such partition; known are closed, cpu, gpu",
    ),
    "a partition that is down": ({"partition": "closed"}, "partition: closed is DOWN; name another, or wait"),
    "more time than there is": (
        {"gpu_partition": "short"},
        "time_limit: found 1440, short allows 30 minutes; lower it to 30",
    ),
    "no such GPU": ({"gpu_model": "h100"}, "gpu_model: found h100, gpu has a100; name one, or null"),
    "no such account": ({"account": "labs"}, "account: found labs, yours are lab, root; name one of them, or null"),
    "no such qos": ({"qos": "fast"}, "qos: found fast, yours are normal; name one, or null"),
    "questions too rare": ({"status_seconds": 3000}, "status: found squeue, which forgets jobs after 3600 s here"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_setting_is_named(tree, name):
    settings, expected = BROKEN[name]
    before = (tree.folder / SITE).read_text()
    set_site(tree, **settings)
    try:
        said, status = asked(tree)
    finally:
        (tree.folder / SITE).write_text(before)
    assert status == 1
    mends = [line for line in said.splitlines() if line.startswith("mend")]
    others = [line for line in mends if expected not in line]
    assert len(mends) > len(others), said
    assert all(line.startswith("mend  a test job: ") for line in others)  # which cannot be submitted so


def test_a_misspelt_key(tree):
    before = (tree.folder / SITE).read_text()
    (tree.folder / SITE).write_text(before + "partion: gpu\n")
    try:
        said, status = asked(tree)
    finally:
        (tree.folder / SITE).write_text(before)
    assert status == 1
    assert said.startswith(
        "error: workflow/profiles/slurm/site.yaml: partion: no such key; known are account, attempts,"
    )


def test_no_slurm_on_the_path(tree, tmp_path):
    said, status = asked(tree, path=str(tmp_path))
    assert status == 1
    assert "PATH: sbatch, squeue, scontrol, sinfo, scancel not found; log in to a login node" in said


def test_a_controller_that_does_not_answer(tree, cluster):
    cluster.kill("slurmctld")
    try:
        said, status = asked(tree)
    finally:
        cluster.start_slurmctld()
    assert status == 1 and "slurmctld: does not answer" in said


@pytest.fixture
def node_apart(cluster, tree):
    """Only n1, in a world of its own: it does not see the folder of the results."""
    results = tree.folder / "results"
    results.mkdir(exist_ok=True)
    for node in (2, 3):
        cluster.said("scontrol", "update", f"nodename=n{node}", "state=drain", "reason=test")
    cluster.kill("slurmd.n1")
    cluster.spawn("unshare", "--mount", "sh", "-c", f"mount -t tmpfs none {results} && exec slurmd -D -N n1")
    cluster.wait(lambda: "idle" in cluster.said("sinfo", "-hN", "-nn1", "-o%T"))
    yield
    cluster.kill("slurmd.n1")
    cluster.start_slurmd(1)
    for node in (2, 3):
        cluster.said("scontrol", "update", f"nodename=n{node}", "state=resume", check=False)  # it may be up by itself
    cluster.wait(lambda: cluster.said("sinfo", "-hN", "-pcpu", "-tidle", "-o%N").count("\n") == cluster.nodes)


def test_a_disk_that_nodes_do_not_share(tree, node_apart):
    said, status = asked(tree)
    assert status == 1
    assert f"mend  {tree.folder}/results: " in said and "does not see what is written here" in said


def test_a_python_that_nodes_do_not_have(tree, tmp_path, cluster):
    """The interpreter is gone when the job starts, as one on a login node's own disk is."""
    own = tmp_path / "python"
    own.symlink_to(sys.executable)
    site = Path(sys.executable).resolve().parent
    assert site.exists()
    script = (
        "import sys, pathlib\n"
        f"sys.executable = {str(own)!r}\n"
        f"pathlib.Path({str(own)!r}).unlink()\n"
        "from lskd.cli import main\nmain(['doctor'])\n"
    )
    environment = os.environ | {"PATH": PATH}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tree.folder, capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 1
    assert f"the node has no {own}; put checkout and .venv on a disk that all nodes share" in done.stdout
