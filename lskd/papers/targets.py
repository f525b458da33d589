"""The papers' tables and figures that the project is after, each rendered or not: docs/targets.md.

`python -m lskd.papers.targets` writes the page.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from lskd.papers.read import PAPERS, paper

PAGE = Path(__file__).parents[2] / "docs/targets.md"
INTRODUCTION = """# Targets

Of the {all} tables and figures of the four papers that this project is after, {rendered} are rendered, {partly} of them
without a part. `snakemake PAPER_TARGET` makes one: at demo scale on glyphs and at small scale on Fashion-MNIST, with
small networks, translations on LibreOffice's help (`shen2021_fig3` is a formula, and two others count: they
train nothing); `--config scale=paper` declares the paper's data and networks. What they look like at demo scale: the
[gallery](gallery.md).

This page is written by `python -m lskd.papers.targets` from `lskd/papers/`; a test holds it to the studies in
`workflow/studies`.
"""


@dataclass(frozen=True)
class Target:
    """A table or figure of a paper: what it shows and needs, and what of it is not rendered.

    `without` is what a rendered one leaves out, "" for nothing; `missing` is why it is not rendered at all, "" where it
    is; `departs` is where paper scale differs from the paper, or had to choose.
    """

    paper: str
    name: str
    title: str
    shows: str
    needs: str
    without: str = ""
    missing: str = ""
    departs: str = ""

    @property
    def state(self) -> str:
        """In words: rendered or not, and what stands in the way."""
        if self.missing:
            return f"missing: {self.missing}"
        link = f"[rendered](gallery.md#{self.paper}_{self.name.lower()})"
        return f"{link}, without {self.without}" if self.without else link


def targets() -> list[Target]:
    """All targets, by paper."""
    listed = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    rows = []
    for key in PAPERS:
        for name, own in listed[key].items():
            printed = paper(key).targets[name]
            rows.append(Target(key, name, printed["title"], printed["shows"], **own))
    return rows


def page() -> str:
    """The page, as Markdown."""
    every = targets()
    rendered = [target for target in every if not target.missing]
    counts = {"all": len(every), "rendered": len(rendered), "partly": sum(bool(target.without) for target in rendered)}
    parts = [INTRODUCTION.format(**counts)]
    for key in PAPERS:
        head = (
            f"## {paper(key).title}\n\n| Target | What it shows | What it needs | State |\n| :-- | :-- | :-- | :-- |\n"
        )
        parts.append(head + "".join(_line(target) for target in every if target.paper == key))
    return "\n".join(parts)


def _line(target: Target) -> str:
    return f"| `{target.paper}_{target.name}` | {target.title}. {target.shows} | {target.needs} | {target.state} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
