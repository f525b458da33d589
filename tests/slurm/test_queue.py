"""The profile of any other queue, by its own commands: here SLURM's, as those of a queue of which nothing is known."""

import stat

import pytest
import yaml

from tests.slurm.testbed import PATH
from tests.workflow.conftest import SHORT, Tree, measured

SUBMIT = (
    "sbatch --parsable --account=lab --mem={resources.mem_mb} --time={resources.runtime} --cpus-per-task={threads}"
    " --gpus={resources.gpu} --output=/dev/null"
)
STATUS = """#!/bin/sh
case $(squeue -h --states=all -j "$1" -o%T) in
  COMPLETED) echo success;; PENDING|RUNNING|COMPLETING|CONFIGURING) echo running;; *) echo failed;;
esac
"""


@pytest.mark.parametrize(
    "asks",
    [pytest.param(True, id="asked"), pytest.param(False, id="by the files that jobs leave", marks=pytest.mark.long)],
)
def test_a_plain_queue(cluster, finished, tmp_path, asks):
    (tmp_path / "tree").mkdir()
    tree, status = Tree(tmp_path / "tree", finished.folder), tmp_path / "status"
    tree.configure(SHORT | {"runtime": {"device": "auto"}})
    status.write_text(STATUS)
    status.chmod(status.stat().st_mode | stat.S_IXUSR)
    site = tree.folder / "workflow/profiles/queue/site.yaml"
    settings = yaml.safe_load(site.read_text()) | {"submit": SUBMIT, "status_seconds": 1}
    settings |= {"status": str(status), "cancel": "scancel"} if asks else {}
    site.write_text(yaml.safe_dump(settings))
    before = cluster.said("squeue", "-h", "--states=all", "-o%i").count("\n")
    tree.run("--workflow-profile", "workflow/profiles/queue", PATH=PATH)
    assert (
        cluster.said("squeue", "-h", "--states=all", "-o%i").count("\n") - before == 8
    )  # none of its jobs may share one
    local = Tree(make(tmp_path / "local"), finished.folder)
    local.configure(SHORT)
    local.run()
    assert measured(tree) == measured(local)


def make(folder):
    folder.mkdir()
    return folder
