"""A cluster for these tests, or the reason why there is none; and trees whose profile is set for it."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.slurm.testbed import PATH, Cluster, why_not
from tests.workflow.conftest import Tree

SITE = Path("workflow/profiles/slurm/site.yaml")
PROFILE = ("--workflow-profile", "workflow/profiles/slurm")
OWN = {  # what the site of this cluster sets
    "partition": "cpu",
    "gpu_partition": "gpu",
    "account": "lab",
    "status_seconds": 1,
    "signal_seconds": 30,
    "lost_minutes": 1,
}


@pytest.fixture(scope="session")
def cluster():
    if reason := why_not():
        pytest.skip(reason)
    root = Path(tempfile.mkdtemp(prefix="lskd-slurm-"))
    root.chmod(0o755)  # munged wants its socket to be in everyone's reach, as pytest's folders are not
    running = Cluster(root)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(root, ignore_errors=True)


def set_site(tree: Tree, **settings) -> None:
    """Set keys of a tree's site.yaml, whatever they were."""
    lines = (tree.folder / SITE).read_text().splitlines()
    for key, value in settings.items():
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        lines = [f"{key}: {text}" if line.startswith(f"{key}:") else line for line in lines]
    (tree.folder / SITE).write_text("\n".join(lines) + "\n")


def tree_of(folder: Path, study: dict, of: Path | None = None, **settings) -> Tree:
    """A tree with a study and this cluster's site."""
    folder.mkdir(parents=True)
    tree = Tree(folder, of) if of else Tree(folder)
    tree.configure(study)
    set_site(tree, **OWN, **settings)
    return tree


def on_cluster(tree: Tree, *arguments: str) -> str:
    """Run a tree's study on the cluster."""
    return tree.run(*PROFILE, *arguments, PATH=PATH)
