"""A table as one web page that sorts and filters, whole in itself: nothing is loaded from anywhere.

Style and script stand here as text and not in files of their own, so that a figure's fingerprint covers them.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

# Fetching is forbidden to the page itself: all it may use is what it holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #1c2733; background: #fff; margin: 1.5rem; }
header { position: sticky; left: 1.5rem; max-width: min(52rem, calc(100vw - 4rem)); }
h1 { font-size: 1.15rem; margin: 0 0 .4rem; }
p { margin: 0 0 .8rem; color: #44525f; }
nav { display: flex; gap: 1rem; align-items: center; margin-bottom: .8rem; }
input { font: inherit; flex: 0 1 20rem; padding: .3rem .6rem; border: 1px solid #9aa7b3; border-radius: .3rem; }
a { color: #0072b2; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid #dde3e8; }
th { position: sticky; top: 0; background: #eef2f5; padding: 0; vertical-align: bottom; }
th button { font: inherit; font-weight: 600; color: inherit; text-align: inherit; width: 100%; padding: .4rem .6rem;
  border: 0; background: none; cursor: pointer; }
th button:hover, tbody tr:hover { background: #e2eef6; }
th button::after { content: "\\2195"; margin-left: .4rem; color: #9aa7b3; }
th[aria-sort="ascending"] button::after { content: "\\2191"; color: #0072b2; }
th[aria-sort="descending"] button::after { content: "\\2193"; color: #0072b2; }
.number { text-align: right; }
td { white-space: nowrap; }
td.long { white-space: normal; min-width: 13rem; }
"""

# A column sorts by its numbers where every cell starts with one, else as text in which 2 comes before 10; what is
# missing stays last. The filter keeps the rows that hold every word typed; "T = 3" is one word.
_SCRIPT = """
"use strict";
const body = document.querySelector("tbody"), rows = [...body.rows], heads = [...document.querySelectorAll("th")];
const text = (row, column) => row.cells[column].textContent;
const missing = (row, column) => ["", "-", "\\u2014"].includes(text(row, column));
const number = (row, column) => parseFloat(text(row, column).replace(/^[(<~]/, "").replaceAll("\\u2212", "-"));
const numeric = heads.map((_, i) => rows.every(row => missing(row, i) || !isNaN(number(row, i))));

function compare(a, b, i) {
  return numeric[i] ? number(a, i) - number(b, i) : text(a, i).localeCompare(text(b, i), "en", {numeric: true});
}

function sort(column) {
  const up = heads[column].ariaSort !== "ascending";
  heads.forEach((head, i) => head.ariaSort = i !== column ? "none" : up ? "ascending" : "descending");
  const there = rows.filter(row => !missing(row, column));
  there.sort((a, b) => (up ? 1 : -1) * compare(a, b, column));
  body.append(...there, ...rows.filter(row => missing(row, column)));
}

function filter(typed) {
  const words = typed.toLowerCase().split(/(?<!=)\\s+(?!=)/).filter(Boolean);
  for (const row of rows) {
    const found = [...row.cells].map(cell => cell.textContent.toLowerCase()).join("\\n");
    row.hidden = !words.every(word => found.includes(word));
  }
  document.querySelector("output").value = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
}

heads.forEach((head, i) => head.firstChild.addEventListener("click", () => sort(i)));
for (const row of [heads[0].parentNode, ...rows])
  [...row.cells].forEach((cell, i) => {
    cell.classList.toggle("number", numeric[i]);
    cell.classList.toggle("long", cell.textContent.length > 36);
  });
document.querySelector("input").addEventListener("input", event => filter(event.target.value));
filter("");
"""


def page(name: str, title: str, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], csv: str) -> str:
    """A table under its title and caption as HTML; every text is escaped. `csv` is offered as the file <name>.csv."""
    data = b64encode(csv.encode()).decode()
    heads = [f'<th scope="col" aria-sort="none"><button>{escape(column)}</button></th>' for column in columns]
    body = "\n".join(_row([f"<td>{escape(cell)}</td>" for cell in row]) for row in rows)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(caption)}</p>
<nav>
<input type="search" placeholder="Filter rows, such as T = 3" aria-label="Filter rows">
<output></output>
<a download="{escape(name)}.csv" href="data:text/csv;base64,{data}">All numbers (CSV)</a>
</nav>
</header>
<table>
<thead>
{_row(heads)}
</thead>
<tbody>
{body}
</tbody>
</table>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _row(cells: list[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"
