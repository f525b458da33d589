"""docs/papers.md knows every target and every recipe of paper scale; `make docs` writes it anew."""

from pathlib import Path

import pytest

from lskd.papers.read import PAPERS
from lskd.papers.read import paper as read_paper
from lskd.papers.targets import targets
from lskd.study import reading, runs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/papers.md").read_text(encoding="utf-8")


def test_every_target_has_a_row():
    for target in targets():
        assert PAGE.count(f"| `{target.paper}_{target.name}` |") == 1, f"make docs: {target.name}"


@pytest.mark.parametrize("paper", PAPERS)
def test_every_recipe_that_trains_is_told(paper):
    study = reading.parse(reading.read(ROOT / f"workflow/studies/{paper}.yaml"), "paper")
    for name in {run.recipe_name for member in runs.members(study) for run in member.run.chain if run.recipe}:
        of_paper = PAGE.partition(f"\n## {read_paper(paper).title}\n")[2].partition("\n## ")[0]
        assert of_paper.count(f"\n| {name} | ") == 1, f"make docs: {name}"
        recipe = study.recipes[name].used
        line = of_paper.partition(f"\n| {name} | ")[2].partition("\n")[0]
        assert f"lr {recipe['lr']}" in line, f"make docs: {name}"
