"""One folder of results for several working copies: of branches with other code, and of one study at the same time."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.workflow.conftest import ENVIRONMENT, SHORT, Tree, leftovers, measured, published
from tests.workflow.edits import replaced

MISSING = {  # of the results, when the two start together
    "everything": ["*"],
    "all of the student": ["runs/**/kd-*", "predictions", "metrics", "drawn"],
    "what was predicted": ["predictions", "metrics", "drawn"],
}
STUDENT = {"train ls0.1/0 T3", "predict ls0.1/0 T3", "metrics short accuracy", "figure short"}


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    """The short study, run alone, from what `finished` has of it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return branch(folder, finished.folder, finished.folder / "results", shared=False)


def branch(folder, of, results, shared=True, run=True):
    """A working copy with the short study on other results, or a copy of them."""
    tree = Tree(folder, of)
    tree.configure(SHORT)
    if shared:
        (folder / "results").symlink_to(results)
    else:
        shutil.copytree(results, folder / "results")
        shutil.rmtree(folder / "results/metrics")
        shutil.rmtree(folder / "results/drawn")
        shutil.rmtree(folder / "results/figures")
    if run:
        tree.run()
    return tree


def verified(tree):
    """What `python -m lskd verify` says, which must find nothing wrong."""
    command = [sys.executable, "-m", "lskd", "verify"]
    done = subprocess.run(command, cwd=tree.folder, text=True, capture_output=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_branches_with_other_losses(undisturbed, tmp_path):
    """Each finds its own results; what people open by name is that of the branch that ran last."""
    results = shutil.copytree(undisturbed.folder / "results", tmp_path / "results")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = (branch(tmp_path / name, undisturbed.folder, results, run=False) for name in "ab")
    replaced("lskd/supervision/kd.py", "temperature**2", "temperature**3")(b.folder)
    assert a.planned() == set()
    assert b.planned() == STUDENT
    of_a = published(a)
    b.run()
    of_b = published(b)
    assert of_b["short.svg"] != of_a["short.svg"]
    for tree, expected in ((a, of_a), (b, of_b), (a, of_a)):
        assert tree.planned() == set()
        tree.run()
        assert published(tree) == expected
    verified(a)


@pytest.mark.parametrize(
    "missing",
    ["everything", *(pytest.param(name, marks=pytest.mark.long) for name in MISSING if name != "everything")],
)
def test_two_working_copies_at_the_same_time(undisturbed, tmp_path, missing):
    """Both come to their end, whatever each makes of it; bytes are those of one that was alone."""
    results = tmp_path / "results"
    shutil.copytree(undisturbed.folder / "results", results)
    for path in [path for pattern in MISSING[missing] for path in results.glob(pattern)]:
        shutil.rmtree(path)
    trees = []
    for name in "ab":
        (tmp_path / name).mkdir()
        trees.append(branch(tmp_path / name, undisturbed.folder, results, run=False))
    processes = [tree.start() for tree in trees]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    for record in results.rglob("record.json"):
        assert json.loads(record.read_text())["address"] == record.parent.name[-10:]
        (log,) = record.parent.glob("*.log")
        assert log.read_text().count("is there") <= 1  # whoever came second waited, and had nothing to make
    assert measured(trees[0]) == measured(undisturbed)
    assert published(trees[0]) == published(undisturbed)
    assert leftovers(trees[0]) == []
    verified(trees[0])
