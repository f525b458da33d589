"""A study as one web page, whole in itself: its answers first, then every figure, and where each came from.

Composed of what the figures' jobs wrote, by the standard library alone: planning publishes it. The report of Snakemake
shows parts of the same.
"""

import hashlib
import json
from base64 import encodebytes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from lskd.figures.page import STYLE, document, prose, table
from lskd.io.seal import checked, read_record

PAGE = "index.html"  # what it is called, beside its figures

_STYLE = """
section { margin: 2rem 0; }
.answer { font-size: 1.2rem; color: #1c2733; }
.contents { padding-left: 1.2rem; columns: 16rem; max-width: 56rem; }
.picture { display: block; padding: 0; border: 0; background: none; cursor: zoom-in; max-width: 56rem; width: 100%;
  margin-bottom: .8rem; }
.picture img { display: block; max-width: 100%; }
summary { cursor: pointer; color: #0072b2; margin-bottom: .4rem; }
dl { margin: 0; display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem; }
dt { color: #44525f; }
dd { margin: 0; overflow-wrap: anywhere; }
dd ul { margin: 0; padding: 0; list-style: none; }
dialog img { display: block; width: max(100%, 60rem); }
dialog { border: 0; padding: 0; max-width: 98vw; max-height: 98vh; cursor: zoom-out; overflow: auto; }
@media (max-width: 700px) {
  section { margin: 1.2rem 0; }
  .answer { font-size: 1.05rem; }
  dl { display: block; }
  dd { margin-bottom: .4rem; }
}
"""
_REPORT_STYLE = """
.overflow-auto:has(.study) { align-items: flex-start; }
.flex:has(> div > .prose .study) { flex-direction: column; width: 100%; }
.prose:has(.study) { max-width: none; }
div:has(> .prose .study) { width: 100%; }
.study th button { pointer-events: none; padding: .3rem .3rem; } /* no script of ours runs there: nothing sorts */
.study th button::after { display: none; }
.study table { font-size: 12px; }
.study td { padding: .3rem .3rem; }
.study td.long { min-width: 5.5rem; }
.study td.verdict { min-width: 5rem; }
@media (max-width: 700px) {
  .w-screen:has(.study) { flex-direction: column; height: auto; width: 100%; }
  .w-screen:has(.study) > nav { width: 100%; height: auto; }
  .overflow-auto:has(.study) { height: auto; width: 100%; }
  .study thead { display: none; }
}
"""
_SCRIPT = """
const dialog = document.querySelector("dialog");
for (const picture of document.querySelectorAll(".picture"))
  picture.addEventListener("click", () => {
    dialog.replaceChildren(picture.firstElementChild.cloneNode());
    dialog.showModal();
  });
dialog.addEventListener("click", () => dialog.close());
"""


@dataclass(frozen=True)
class Drawing:
    """A figure as its job left it in its folder: what it says of itself, its picture, its record."""

    folder: Path
    about: dict[str, Any]
    picture: bytes
    record: dict[str, Any]

    @property
    def name(self) -> str:
        """What the study calls it."""
        return str(self.about["figure"])

    @property
    def is_answer(self) -> bool:
        """Whether it answers the study's question in words."""
        return bool(self.about["answer"])


def read(folder: Path) -> Drawing:
    """The figure in a job's folder. UserError where something is missing or damaged."""
    about = json.loads(checked(folder / "figure.json", folder).read_bytes())
    return Drawing(folder, about, checked(folder / "figure.png", folder).read_bytes(), read_record(folder))


def study_page(title: str, drawings: Sequence[Drawing], missing: Sequence[str] = ()) -> str:
    """The page of a study: its answers, a table of contents, its other figures; `missing` are those not drawn yet."""
    answers, others = _answers_first(drawings)
    about = drawings[0].about
    not_drawn = f"<p>Not drawn yet: {escape(', '.join(missing))}.</p>" if missing else ""
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>The study {escape(about['study'])} at {escape(about['scale'])} scale.</p>",
        *(_answer_section(drawing) for drawing in answers),
        *([_contents(others)] if others else []),
        not_drawn,
        *(_section(drawing) for drawing in others),
        "<dialog></dialog>",
    ]
    page = document(title, "\n".join(filter(None, body)), _STYLE, _SCRIPT)
    return f"{page}<!-- {_digest(page.encode())} -->\n"


def is_whole(page: bytes) -> bool:
    """Whether a page is what was written: its last line is the digest of the rest."""
    rest, _, digest = page.rpartition(b"<!-- ")
    return digest == f"{_digest(rest)} -->\n".encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def opening(title: str, drawings: Sequence[Drawing]) -> str:
    """What Snakemake's report shows of a study at first, as HTML: its answers, and links to all that it holds."""
    answers, others = _answers_first(drawings)
    parts = ['<div class="study">', f"<h1>{escape(title)}</h1>"]
    for drawing in answers:
        numbers = table(drawing.about["columns"], drawing.about["rows"])
        parts += [_answer(drawing), _image(drawing), numbers, _texts(drawing)]
    links = [_report_link(drawing) for drawing in [*answers, *others]]
    parts += ["<h2>All figures</h2>", "<ul>", *links, "</ul>", "</div>"]
    return "\n".join(parts)


def caption(drawing: Drawing) -> str:
    """What Snakemake's report says beside a figure, as HTML."""
    return f"<p>{prose(drawing.about['caption'])}</p>\n{_formula(drawing)}\n{_origin(drawing)}"


def report_style() -> str:
    """The style of `opening` within Snakemake's report: the study first and the graph of rules below it."""
    return f"<style>\n.study {{{STYLE}{_STYLE}}}\n{_REPORT_STYLE}</style>"


def _answers_first(drawings: Sequence[Drawing]) -> tuple[list[Drawing], list[Drawing]]:
    answers = [drawing for drawing in drawings if drawing.is_answer]
    return answers, [drawing for drawing in drawings if not drawing.is_answer]


def _answer_section(drawing: Drawing) -> str:
    """The sentence, its figure, its table; what else is said of it comes after."""
    return "\n".join(
        [
            f'<section id="{escape(drawing.name)}">',
            _answer(drawing),
            _picture(drawing),
            table(drawing.about["columns"], drawing.about["rows"]),
            _texts(drawing),
            _files(drawing),
            _details("Where it came from", _origin(drawing)),
            "</section>",
        ]
    )


def _answer(drawing: Drawing) -> str:
    return f'<p class="answer">{prose(drawing.about["answer"])}</p>'


def _contents(drawings: Sequence[Drawing]) -> str:
    links = [f'<li><a href="#{escape(drawing.name)}">{escape(drawing.name)}</a></li>' for drawing in drawings]
    return f'<h2>Figures</h2>\n<ol class="contents">{"".join(links)}</ol>'


def _section(drawing: Drawing) -> str:
    numbers = table(drawing.about["columns"], drawing.about["rows"])
    return "\n".join(
        [
            f'<section id="{escape(drawing.name)}">',
            f"<h2>{escape(drawing.about['title'])}</h2>",
            _texts(drawing),
            _picture(drawing),
            _details(f"Its numbers ({len(drawing.about['rows'])} rows)", numbers),
            _files(drawing),
            _details("Where it came from", _origin(drawing)),
            "</section>",
        ]
    )


def _texts(drawing: Drawing) -> str:
    about = drawing.about
    rest = about["caption"].removeprefix(about["answer"]).strip()  # the answer stands above
    return f"<p>{prose(rest)}</p>\n{_formula(drawing)}"


def _formula(drawing: Drawing) -> str:
    return f'<p class="formula">{prose(drawing.about["formula"])}</p>'


def _picture(drawing: Drawing) -> str:
    """A picture that a click enlarges."""
    return f'<button class="picture" aria-label="Enlarge">{_image(drawing)}</button>'


def _image(drawing: Drawing) -> str:
    data = encodebytes(drawing.picture).decode()  # in lines, as docutils takes none that is very long
    return f'<img alt="{escape(drawing.name)}" src="data:image/png;base64,{data}">'


def _files(drawing: Drawing) -> str:
    """Links to what is published beside the page."""
    kinds = {"csv": "all numbers", "pdf": "PDF", "svg": "SVG", "html": "table on a page of its own"}
    links = [f'<a href="{escape(drawing.name)}.{ending}">{text}</a>' for ending, text in kinds.items()]
    return f"<nav>{''.join(links)}</nav>"


def _details(summary: str, content: str) -> str:
    return f"<details>\n<summary>{escape(summary)}</summary>\n{content}\n</details>"


def _origin(drawing: Drawing) -> str:
    """Where a figure came from: what was asked for, the runs behind it, and what made it on what."""
    record = drawing.record
    runs = sorted({run for source in drawing.about["from"] for run in source["runs"]})
    entries = {
        "Asked for": escape(json.dumps(record["spec"], sort_keys=True, ensure_ascii=False)),
        "Metrics": _list(f"{source['title']} {source['address']}" for source in drawing.about["from"]),
        f"Made of ({len(runs)})": _list(runs),
        "Seeds": ", ".join(str(seed) for seed in record["seeds"]),  # each student's own, too: no n of a test
        "Made on": escape("; ".join(f"{name} {', '.join(values)}" for name, values in record["made_on"].items())),
        "Drawn by": escape(", ".join(f"{name} {version}" for name, version in record["versions"].items())),
        "Commit": escape(record["commit"]),
        "Address": escape(record["address"]),
    }
    items = "\n".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in entries.items() if text)
    return f"<dl>\n{items}\n</dl>"


def _list(texts: Iterable[str]) -> str:
    items = "\n".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>\n{items}\n</ul>" if items else ""


def _report_link(drawing: Drawing) -> str:
    """A link that opens a figure of Snakemake's report with all that is said of it, in one click."""
    path = json.dumps(str(drawing.folder / "figure.png"))
    view = f"navbarMode: 'resultinfo', resultPath: {path}, content: 'img', contentPath: results[{path}].data_uri"
    first_sentence = drawing.about["caption"].partition(". ")[0].rstrip(".")
    click = escape(f"app.setView({{{view}}}); return false")
    return f'<li><a href="#" onclick="{click}">{escape(drawing.name)}</a>: {escape(first_sentence)}.</li>'
