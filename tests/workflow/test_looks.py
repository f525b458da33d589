"""A study that is registered, looked at, and then given more seeds: its verdict knows all of it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.conftest import ENVIRONMENT, TINY, Tree

MLP = {"name": "mlp", "width": 8}
STUDY = TINY | {
    "study": "grown",
    "seeds": [0],
    "recipes": {"one": {"epochs": 1}},
    "students": {"s": {"teacher": "t", "model": MLP, "recipe": "one", "temperature": [2], "draws": "online"}},
    "figures": {"judged": {"kind": "verdict"}},
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Iterator[Tree]:
    tree = Tree(tmp_path_factory.mktemp("looks"))
    tree.configure(STUDY)
    yield tree
    tree.close()


def lskd(tree: Tree, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "lskd", *arguments]
    done = subprocess.run(command, cwd=tree.folder, text=True, capture_output=True, env=ENVIRONMENT)
    return done.returncode, done.stdout + done.stderr


def options(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())["spec"]["options"]


def drawn(tree: Tree) -> set[Path]:
    return set(tree.results("drawn/demo/grown/judged-*"))


def test_registered_looked_at_and_grown(tree):
    code, text = lskd(tree, "register")
    assert code == 0, text
    assert text.startswith("registrations/demo/grown.json: registered judged (2 choices of alpha and T in 1 setting,")
    tree.run("--dry-run")
    assert not (tree.folder / "results/looks").exists()

    tree.run()
    (first,) = drawn(tree)
    registered = options(first)["registered"]
    assert (registered["file"], registered["differences"]) == ("registrations/demo/grown.json", [])
    assert "looks" not in options(first)
    (look,) = tree.results("looks/*")
    assert look.stem == first.name[-10:]
    assert tree.planned() == tree.pending() == set()  # a verdict is not new for having been looked at
    code, text = lskd(tree, "register", "--config", "study=another")
    assert code == 1
    assert "too late to register" in text

    tree.configure(STUDY | {"seeds": [0, 1]})
    tree.run()
    (second,) = drawn(tree) - {first}
    assert options(second)["looks"] == [1]
    assert options(second)["registered"]["differences"] == ["seeds [0] -> [0, 1]"]
    assert len(tree.results("looks/*")) == 2
    assert tree.pending() == set()

    tree.configure(STUDY)
    assert tree.pending() == set()
    shutil.rmtree(tree.folder / ".snakemake")
    tree.configure(STUDY | {"seeds": [0, 1]})
    assert tree.planned() == tree.pending() == set()
    assert lskd(tree, "verify")[0] == 0
    assert "of no use: " in lskd(tree, "gc", "--delete")[1]
    assert len(tree.results("looks/*")) == 2
    assert lskd(tree, "lineage", "results/figures/demo/grown/judged.png")[0] == 0
    assert lskd(tree, "ls")[0] == 0


def test_a_verdict_asked_for_by_its_path_is_a_look_too(tree):
    tree.configure(STUDY | {"figures": {"again": {"kind": "verdict"}}})
    (folder,) = [path for name, path in tree.tell_jobs().items() if name == "figure again"]
    tree.run(str((folder / "figure.png").relative_to(tree.folder)))
    assert (tree.folder / f"results/looks/{folder.name[-10:]}.json").exists()
    assert not list((tree.folder / "results/figures").rglob("again.*"))
