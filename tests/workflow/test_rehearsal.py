"""The dress rehearsal takes every recipe of paper scale, in steps that are 20, in studies that the config accepts."""

import math
import sys
from pathlib import Path

import pytest

from lskd.papers.read import PAPERS
from lskd.study import reading, registry, runs
from lskd.study.config import Study

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "workflow"))
import rehearsal  # noqa: E402


@pytest.fixture(autouse=True)
def nothing_is_made(monkeypatch):
    monkeypatch.setattr(rehearsal, "MAKERS", dict.fromkeys(rehearsal.MAKERS, lambda root: None))
    monkeypatch.setattr(rehearsal, "_arrays", lambda *arguments: None)


def of_paper(paper: str) -> Study:
    return reading.parse(reading.read(ROOT / f"workflow/studies/{paper}.yaml"), "paper")


def trained_recipes(study: Study) -> set[str]:
    """The recipes of images by which a figure of trained networks has any."""
    names = set()
    for figure in study.figures.values():
        if registry.FIGURES[figure.kind].families in ((), ("complexity",)):
            continue
        for member in runs.select(runs.members(study), figure):
            waiting = [member.run]
            while waiting:
                run = waiting.pop()
                waiting += [above for above in (run.teacher, run.start) if above]
                if run.recipe is not None and run.data.task == registry.IMAGES:
                    names.add(run.recipe_name)
    return names


@pytest.mark.parametrize("paper", PAPERS)
def test_every_recipe_is_rehearsed_in_20_steps(paper, tmp_path):
    rehearsed = set()
    for _, values in rehearsal.rehearsals(paper, None, tmp_path):
        study = reading.parse(values)
        rehearsed |= set(study.recipes)
        for member in runs.members(study):
            run = member.run
            assert run.recipe is not None and run.recipe.epochs == 1
            if run.data.dataset != "npz":
                images = rehearsal._trained_on(run.data.dataset, run.data.val_fraction)
                assert math.ceil(images / run.recipe.batch_size) == rehearsal.STEPS
    assert rehearsed == trained_recipes(of_paper(paper))


def test_the_binary_network_is_rehearsed_itself(tmp_path):
    ((_, values),) = rehearsal.rehearsals("shen2021", "shen_binary", tmp_path)
    study = reading.parse(values)
    assert {member.run.model.name for member in runs.members(study) if member.run.teacher} == {"reactnet18"}
    assert {teacher.model.name for teacher in study.teachers.values()} == {rehearsal.SMALL}
