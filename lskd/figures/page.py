"""A table as one web page that sorts and filters, whole in itself: nothing is loaded from anywhere.

Style and script stand here as text and not in files of their own, so that a figure's fingerprint covers them. The page
of a study is built of the same parts.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape

# Fetching is forbidden to the page itself: all it may use is what it holds.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_NUMBER = re.compile(r"[(<~]?[+−-]?\d")
_MISSING = ("", "-", "—")
_WHOLE = re.compile(r"\S+ = \S+|\S+ ± \S+|\S+ to \S+\d|\(1 − S\)")  # no line breaks within
_LONG = 36  # characters that get a column of some width
_TALL = 24  # rows; more scroll under their heads

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #1c2733; background: #fff; margin: 0 auto;
  padding: 1.5rem; max-width: 100rem; overflow-wrap: break-word; }
h1 { font-size: 1.3rem; margin: 0 0 .4rem; }
h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
p { margin: 0 0 .8rem; color: #44525f; max-width: 56rem; }
p.formula { color: #1c2733; border-left: 3px solid #c8d3dc; padding-left: .8rem; }
nav { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: center; margin-bottom: .8rem; }
input { font: inherit; flex: 0 1 20rem; min-width: 0; padding: .3rem .6rem; border: 1px solid #9aa7b3;
  border-radius: .3rem; }
a { color: #0072b2; }
.box { overflow-x: auto; margin-bottom: .8rem; }
.box.tall { overflow: auto; max-height: calc(100vh - 3rem); }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .4rem; text-align: left; border-bottom: 1px solid #dde3e8; vertical-align: top; }
th { position: sticky; top: 0; background: #eef2f5; padding: 0; vertical-align: bottom; }
th button { font: inherit; font-weight: 600; color: inherit; text-align: inherit; width: 100%; padding: .4rem;
  border: 0; background: none; cursor: pointer; }
th button:hover, tbody tr:hover { background: #e2eef6; }
th button::after { content: "\\2195"; margin-left: .2rem; color: #9aa7b3; }
th[aria-sort="ascending"] button::after { content: "\\2191"; color: #0072b2; }
th[aria-sort="descending"] button::after { content: "\\2193"; color: #0072b2; }
.number { text-align: right; }
.whole { white-space: nowrap; }
td.long { min-width: 8rem; }
td.verdict { font-weight: 600; min-width: 6.5rem; }
tr[hidden] { display: none; }
@media (max-width: 700px) { /* each row becomes a card, its verdict first; the heads a strip to sort by */
  body { padding: .8rem; }
  .box.tall { max-height: none; }
  table, thead, tbody { display: block; }
  table { font-size: inherit; }
  thead tr { display: flex; overflow-x: auto; margin-bottom: .6rem; }
  th { flex: none; max-width: 12rem; }
  tbody tr:not([hidden]) { display: flex; flex-direction: column; border: 1px solid #c8d3dc; border-radius: .4rem;
    padding: .3rem 0; margin-bottom: .6rem; }
  td { overflow: hidden; text-align: right; border: 0; padding: .15rem .7rem; }
  td::before { content: attr(data-label); float: left; max-width: 48%; margin-right: 1rem; color: #44525f;
    font-weight: 400; text-align: left; }
  td.verdict { order: -1; font-size: 1.05rem; }
}
"""

# A column of numbers sorts by them, any other as text in which 2 comes before 10; what is missing stays last. The
# filter keeps the rows that hold every word typed; "T = 3" is one word.
SCRIPT = """
"use strict";
const text = (row, column) => row.cells[column].textContent;
const missing = (row, column) => ["", "-", "\\u2014"].includes(text(row, column));
const number = (row, column) => parseFloat(text(row, column).replace(/^[(<~]/, "").replaceAll("\\u2212", "-"));

function compare(a, b, column, numeric) {
  if (numeric) return number(a, column) - number(b, column);
  return text(a, column).localeCompare(text(b, column), "en", {numeric: true});
}

function sort(body, rows, heads, column) {
  const up = heads[column].ariaSort !== "ascending";
  heads.forEach(head => head.ariaSort = "none");
  heads[column].ariaSort = up ? "ascending" : "descending";
  const numeric = heads[column].classList.contains("number");
  const present = rows.filter(row => !missing(row, column));
  present.sort((a, b) => (up ? 1 : -1) * compare(a, b, column, numeric));
  body.append(...present, ...rows.filter(row => missing(row, column)));
}

function filter(rows, typed, output) {
  const words = typed.toLowerCase().split(/(?<!=)\\s+(?!=)/).filter(Boolean);
  for (const row of rows) {
    const cells = [...row.cells].map(cell => cell.textContent.toLowerCase()).join("\\n");
    row.hidden = !words.every(word => cells.includes(word));
  }
  output.value = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
}

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, i) => head.firstChild.addEventListener("click", () => sort(body, rows, heads, i)));
  const input = document.querySelector("input");
  if (input) {
    input.addEventListener("input", event => filter(rows, event.target.value, document.querySelector("output")));
    filter(rows, "", document.querySelector("output"));
  }
}
"""


def page(
    name: str,
    title: str,
    caption: str,
    formula: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    csv: str,
) -> str:
    """A table under its title, caption and formula as HTML; `csv` is offered as the file <name>.csv."""
    data = b64encode(csv.encode()).decode()
    return document(
        title,
        f"""<header>
<h1>{escape(title)}</h1>
<p>{prose(caption)}</p>
<p class="formula">{prose(formula)}</p>
<nav>
<input type="search" placeholder="Filter rows, such as T = 3" aria-label="Filter rows">
<output></output>
<a download="{escape(name)}.csv" href="data:text/csv;base64,{data}">All numbers (CSV)</a>
</nav>
</header>
{table(columns, rows)}""",
    )


def document(title: str, body: str, style: str = "", script: str = "") -> str:
    """A whole page around a body of HTML."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
{body}
<script>{SCRIPT}{script}</script>
</body>
</html>
"""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in a box of its own, out of which it never grows; every text is escaped."""
    kinds = [_kind(column, [row[i] for row in rows]) for i, column in enumerate(columns)]
    heads = [
        f'<th scope="col" aria-sort="none" class="{kind}"><button>{escape(column)}</button></th>'
        for column, kind in zip(columns, kinds, strict=True)
    ]
    lines = []
    for row in rows:
        cells = [_cell(column, kind, text) for column, kind, text in zip(columns, kinds, row, strict=True)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    return f"""<div class="box{" tall" if len(rows) > _TALL else ""}">
<table>
<thead>
<tr>{"".join(heads)}</tr>
</thead>
<tbody>
{body}
</tbody>
</table>
</div>"""


def _kind(column: str, cells: list[str]) -> str:
    """What a column's cells are: numbers, a verdict, or text."""
    if column.startswith("Verdict"):
        return "verdict"
    return "number" if all(cell in _MISSING or _NUMBER.match(cell) for cell in cells) else "text"


def _cell(column: str, kind: str, text: str) -> str:
    """A cell, with its column's name for where a row is shown as a card."""
    width = " long" if kind != "number" and len(text) > _LONG else ""
    return f'<td class="{kind}{width}" data-label="{escape(column)}">{prose(text)}</td>'


def prose(text: str) -> str:
    """Text as HTML, in which "T = 1" and "0.5 ± 0.1" stay on one line."""
    return _WHOLE.sub(lambda match: f'<span class="whole">{match[0]}</span>', escape(text, quote=False))
