"""The table of all targets: complete, and rendered where it says so."""

from pathlib import Path

import pytest

from lskd.papers.read import PAPERS, paper
from lskd.papers.targets import PAGE, page, targets
from lskd.study import reading

ROOT = Path(__file__).parents[2]
GALLERY = (ROOT / "docs/gallery.md").read_text()


@pytest.mark.parametrize("key", PAPERS)
def test_the_rendered_targets_are_those_of_the_papers_study(key):
    declared = reading.parse(reading.read(ROOT / f"workflow/studies/{key}.yaml"), "demo", key).figures
    own = [target for target in targets() if target.paper == key]
    rows = {name for name in declared if any(f"`{name}`" in target.without for target in own)}
    assert {target.name for target in own if not target.missing} == set(declared) - rows
    assert [target.name for target in own if target.missing and target.without] == []
    assert sorted(target.name for target in own) == sorted(paper(key).targets)
    for target in own:
        assert target.missing or f"### `{key}_{target.name}`\n" in GALLERY  # which its link leads to


def test_there_are_41_targets_and_all_are_rendered():
    states = [bool(target.missing) for target in targets()]
    assert (len(states), states.count(False)) == (41, 41)


def test_the_page_is_what_the_generator_writes():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(), "run python -m lskd.papers.targets"
    for target in targets():
        assert f"| `{target.paper}_{target.name}` |" in text
    assert {line.count(" | ") for line in text.splitlines() if line.startswith("| `")} == {3}
