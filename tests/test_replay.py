"""`lskd adopt --check` tells code that trains to the same bits from code that does not, by traces, without training."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import Tree

HERE = Path(__file__).parent
TRIED = yaml.safe_load((HERE / "edits.yaml").read_text())
STUDY = {
    "study": "traced",
    "seeds": [0],
    "data": "digits",
    "recipes": {
        "steps": {
            "epochs": 30,
            "schedule": "multistep",
            "milestones": [25],
            "decay": 0.1,
            "lr": 0.05,
            "crop_padding": 1,
            "snapshot_epochs": [0, 10],
            "batch_size": 256,
        },
        "curve": {"epochs": 6, "warmup_epochs": 2, "grad_clip": 0.1, "mixup": 0.4, "batch_size": 256},
    },
    "teachers": {
        "t": {
            "model": {"name": "mlp", "width": 8, "dropout": 0.2},
            "recipe": "steps",
            "label_smoothing": [0.0, 0.1],
        },
        "r": {"model": {"name": "resnet8", "width": 4}, "recipe": "curve", "supervision": "online_smoothing"},
    },
    "students": {"s": {"teacher": "t", "model": {"name": "mlp", "width": 4}, "recipe": "steps", "temperature": [1, 3]}},
    "figures": {"stability": {"kind": "stability"}},
}


@pytest.fixture(scope="module")
def traced(tmp_path_factory) -> Tree:
    """The study, run to its end."""
    tree = Tree(tmp_path_factory.mktemp("traced"))
    tree.configure(STUDY)
    tree.run()
    return tree


@pytest.fixture(scope="module")
def answers(traced, tmp_path_factory) -> dict[str, dict]:
    """What the check finds after each edit."""
    path = tmp_path_factory.mktemp("edits") / "edits.json"
    path.write_text(json.dumps(TRIED["refactors"] + TRIED["edits"]))
    command = [sys.executable, str(HERE / "replays.py"), str(traced.folder), str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def trainings(traced) -> set[str]:
    """The titles of the study's trainings."""
    runs = traced.folder / "results/runs"
    return {str(path.parent.relative_to(runs))[:-11] for path in runs.rglob("record.json")}


def told_by(tree: Tree, *arguments: str) -> str:
    command = [sys.executable, "-m", "lskd", *arguments]
    done = subprocess.run(command, cwd=tree.folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("table", ["refactors", "edits"])
def test_what_passes_stands_once_it_is_said_and_what_differs_is_made_anew(traced, tmp_path, table):
    tree = Tree(tmp_path, traced.folder)
    shutil.copytree(traced.folder / "results", tmp_path / "results", symlinks=True)
    edit = next(each for each in TRIED[table] if each["file"] == "supervision/kd.py")
    path = tmp_path / "lskd" / edit["file"]
    path.write_text(path.read_text().replace(edit["old"], edit["new"]))
    pending = tree.pending()
    said = told_by(tree, "adopt", "--check")
    assert tree.pending() == pending
    assert "nothing written; adopt them: the same with --yes" in said
    told_by(tree, "adopt", "--check", "--yes")
    (student,) = tree.results("runs/digits/mlp-w4/steps/kd-T1-from-mlp-w8-d0.2-ls0/seed0-*/model.safetensors")
    assert "it was checked to make the same bits" in told_by(tree, "lineage", str(student))
    left = {job for job in tree.pending() if job.startswith("train")}
    assert left == ({job for job in pending if job.startswith("train") and "T3" in job} if table == "edits" else set())
    tree.close()


@pytest.mark.parametrize("refactor", TRIED["refactors"], ids=lambda each: each["name"])
def test_what_changes_no_bit_may_be_adopted(answers, trainings, refactor):
    answer = answers[refactor["name"]]
    assert not answer["different"]
    assert answer["left"] == 0
    assert answer["adopted"]
    assert trainings.issuperset(answer["adopted"])


@pytest.mark.parametrize("edit", TRIED["edits"], ids=lambda each: each["name"])
def test_what_changes_a_bit_is_never_adopted_and_the_difference_is_named(answers, trainings, edit):
    answer = answers[edit["name"]]
    assert answer["different"]
    changed = {title for title in trainings if edit["changed"] in title}
    assert changed
    taught = {title for title in trainings for above in answer["different"] if "-from-" in title and above != title}
    assert changed <= answer["different"].keys() | taught
    assert not changed & set(answer["adopted"])
