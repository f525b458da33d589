"""Nodes that share one plain folder and nothing else: each has a checkout of its own, at the same path."""

import shutil
import subprocess

import pytest
import yaml

from tests.slurm.conftest import PROFILE, on_cluster, tree_of
from tests.slurm.testbed import PATH
from tests.workflow.conftest import SHORT, TINY, leftovers, measured, published


@pytest.fixture
def own_checkouts(cluster, tmp_path):
    """A tree whose results are a link to the shared folder, and the copy of it that each node sees in its place."""
    if subprocess.run(["unshare", "--mount", "mount", "--make-rprivate", "/"], capture_output=True).returncode:
        pytest.skip("no mounts can be made here")
    tree = tree_of(tmp_path / "tree", TINY | {"runtime": {"device": "auto"}})
    (tmp_path / "shared").mkdir()
    (tree.folder / "results").symlink_to(tmp_path / "shared")
    copies = [tmp_path / f"n{node}" for node in range(1, cluster.nodes + 1)]
    for node, copy in enumerate(copies, 1):
        shutil.copytree(tree.folder, copy, symlinks=True)
        cluster.kill(f"slurmd.n{node}", "TERM")
        own_disk = 'mount --make-rprivate / && mount --bind "$0" "$1" && exec slurmd -N "$2"'
        cluster.spawn("unshare", "--mount", "sh", "-c", own_disk, str(copy), str(tree.folder), f"n{node}")
    cluster.wait(lambda: cluster.answers("srun", f"--nodes={cluster.nodes}", "--partition=cpu", "true"))
    yield tree, copies
    for node in range(1, cluster.nodes + 1):
        cluster.kill(f"slurmd.n{node}", "TERM")
        cluster.start_slurmd(node)
    cluster.wait(lambda: cluster.answers("srun", f"--nodes={cluster.nodes}", "--partition=cpu", "true"))


@pytest.mark.long
def test_a_folder_of_results_is_all_that_nodes_need_to_share(own_checkouts, finished, cluster):
    tree, copies = own_checkouts
    whole = yaml.safe_load((tree.folder / "config.yaml").read_text())
    for study, idle in (SHORT | {"runtime": whole["runtime"]}, "n1"), (whole, "n2"):
        cluster.said("scontrol", "update", f"nodename={idle}", "state=drain", "reason=test")
        tree.configure(study)
        on_cluster(tree)
        cluster.said("scontrol", "update", f"nodename={idle}", "state=resume")
    assert measured(tree).items() >= measured(finished).items()
    assert published(tree).items() >= published(finished).items()
    assert leftovers(tree) == []
    assert tree.pending() == set()
    assert len([copy for copy in copies if ran_in(copy)]) >= 2
    assert not ran_in(tree.folder)


def ran_in(checkout) -> bool:
    """Whether a training ran from a checkout: Python compiled its loop there."""
    return bool(list(checkout.glob("lskd/training/__pycache__/loop*.pyc")))


def test_a_node_with_other_code_makes_nothing(own_checkouts):
    tree, copies = own_checkouts
    for copy in copies:
        path = copy / "lskd/training/loop.py"
        path.write_text(
            path.read_text().replace("import torch\n", "import torch\n\nOTHER = 1\n", 1) + "\n\nprint(OTHER)\n"
        )
    done = tree.snakemake(*PROFILE, "--retries", "0", PATH=PATH)
    assert done.returncode == 1
    assert "the code changed since this job was planned" in done.stdout
    assert not list(tree.folder.glob("results/runs/**/model.safetensors"))
