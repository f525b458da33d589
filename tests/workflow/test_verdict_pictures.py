"""`snakemake verdict --config data=PATH` on pictures where a smoothed teacher helps, and where it does not.

Both folders hold four patterns under noise, and their val and test pictures are all labelled right. In `mislabelled`,
half of the training labels are wrong: an unsmoothed teacher learns them by heart and its students copy that, while one
smoothed by 0.8 is slower and fits fewer of them. In `faint`, all labels are right and the patterns weak: what the
unsmoothed teacher learns by heart is true, and the smoothed one and its students are right on fewer new pictures.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workflow.conftest import ROOT, Tree

CLASSES = ("ant", "bee", "cat", "dog")
SIZE = 12
STUDY = {
    "study": "own",
    "seeds": [0, 1, 2],
    "recipes": {
        "r": {"epochs": 20, "batch_size": 32, "lr": 0.02, "weight_decay": 0.0, "schedule": "constant"},
    },
    "teachers": {"t": {"model": {"name": "mlp", "width": 64}, "recipe": "r", "label_smoothing": [0.0, 0.8]}},
    "students": {
        "s": {
            "teacher": "t",
            "model": {"name": "mlp", "width": 32},
            "recipe": "r",
            "temperature": [1, 4],
            "draws": "online",  # the same as stored logits, in fewer jobs
        }
    },
    "figures": {"verdict": {"kind": "verdict"}},
    "pictures": {"data": {"image_size": SIZE}},
    "runtime": {"device": "cpu", "checkpoint_minutes": 10},
}


def make_pictures(root: Path, contrast: float, mislabelled: float) -> None:
    """Write train/ (60 a class, a share of them in a wrong folder), val/ and test/ (100 a class, all in the right)."""
    draw = np.random.default_rng(1)
    patterns = 127 + draw.normal(0, contrast, (len(CLASSES), 4, 4, 3)).repeat(SIZE // 4, 1).repeat(SIZE // 4, 2)
    for split, count, wrong in (("train", 60, mislabelled), ("val", 100, 0.0), ("test", 100, 0.0)):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
        for i in range(count * len(CLASSES)):
            own = i % len(CLASSES)
            put = (own + (draw.integers(1, len(CLASSES)) if draw.random() < wrong else 0)) % len(CLASSES)
            pixels = patterns[own] + draw.normal(0, 60, (SIZE, SIZE, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / split / CLASSES[put] / f"{i:03}.png")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Iterator[Tree]:
    tree = Tree(tmp_path_factory.mktemp("pictures"))
    make_pictures(tree.folder / "mislabelled", contrast=60, mislabelled=0.5)
    make_pictures(tree.folder / "faint", contrast=12, mislabelled=0.0)
    yield tree
    tree.close()


def sentence(tree: Tree, folder: str) -> str:
    """What `snakemake verdict --config data=folder` says last, which is what its page says first."""
    text = tree.run("verdict", "--config", f"data={folder}")
    said = (tree.folder / f"results/figures/demo/own_{folder}/verdict.md").read_text().split(" The best on val, ")[0]
    assert text.splitlines()[-1] == said.replace("\\", "")  # which Markdown needs
    return said


@pytest.fixture(scope="module")
def mislabelled(tree) -> str:
    tree.configure(STUDY)
    return sentence(tree, "mislabelled")


@pytest.mark.long
def test_with_wrong_labels_it_helps(mislabelled):
    assert mislabelled.startswith("On mislabelled, smoothing the teacher mlp-w64 (α = 0.8) helps its student mlp-w32")
    assert "hurts" not in mislabelled
    assert mislabelled.endswith("Advice: smooth the teacher (α = 0.8).")


def test_with_right_labels_and_faint_patterns_it_hurts(tree):
    once = STUDY["students"]["s"] | {"temperature": 1}
    tree.configure(STUDY | {"seeds": [0, 1, 2, 3], "students": {"s": once}})
    said = sentence(tree, "faint")
    assert said.startswith("On faint, smoothing the teacher mlp-w64 (α = 0.8) hurts its student mlp-w32 at T = 1 by ")
    assert "helps" not in said
    assert said.endswith("Advice: leave the teacher unsmoothed, and distil at T = 1.")


@pytest.mark.long
def test_two_seeds_cannot_tell_and_train_nothing(tree, mislabelled):
    tree.configure(STUDY | {"seeds": [0, 1]})
    planned = tree.pending("verdict", config={"data": "mislabelled"})
    assert {job.split()[0] for job in planned} == {"metrics", "figure"}
    said = sentence(tree, "mislabelled")
    assert said.startswith("With 2 seeds it cannot be told whether smoothing the teacher mlp-w64 (α = 0.8) helps or")
    assert "run 3 seeds or more" in said


def test_the_default_study_plans_its_verdict_on_a_folder(tree):
    shutil.copy2(ROOT / "config.yaml", tree.folder / "config.yaml")
    planned = tree.planned("verdict", config={"data": "faint"})
    assert planned == tree.pending("verdict", config={"data": "faint"})
    students = {job.removeprefix("train ") for job in planned if job.startswith("train ") and " T" in job}
    assert students == {f"ls{a}/{seed} T{t}" for a in ("0", "0.1") for seed in range(5) for t in (1, 2, 3, 64)}
    assert {job for job in planned if job.startswith("figure ")} == {"figure verdict"}
