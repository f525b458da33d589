"""The gallery shows every target of the papers' studies, and a picture for each."""

from pathlib import Path

import pytest

from lskd.papers.read import PAPERS
from lskd.papers.targets import targets
from lskd.study import reading as studyfile

ROOT = Path(__file__).parents[1]
GALLERY = (ROOT / "docs/gallery.md").read_text()
NOT_DRAWN = {(target.paper, target.name) for target in targets() if target.missing}
TARGETS = [
    (paper, figure)
    for paper in PAPERS
    for figure in studyfile.read(ROOT / f"workflow/studies/{paper}.yaml")["figures"]
    if (paper, figure) not in NOT_DRAWN
]


@pytest.mark.parametrize(("paper", "figure"), TARGETS)
def test_each_target_has_its_picture_and_its_line(paper, figure):
    heading, picture = f"### `{paper}_{figure}`", f"gallery/{paper}-{figure}.png"
    section = GALLERY.split(f"{heading}\n")[1].split("\n#")[0]
    assert f"![]({picture})\n[Its numbers](gallery/{paper}-{figure}.md)" in section
    assert "\n| :-- |" in (ROOT / f"docs/gallery/{paper}-{figure}.md").read_text()
    assert "*Paper:*" in section and "*Ours:*" in section
    assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")


def test_nothing_else_lies_there():
    assert {path.stem for path in (ROOT / "docs/gallery").iterdir()} == {"-".join(target) for target in TARGETS}
