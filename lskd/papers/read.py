"""The published numbers of the four papers, as tidy tables.

Each file beside this one holds one paper: numbers as printed, kept as text (trailing zeros and all) and checked by hand
against the paper; this module expands them. Names of data sets and networks have one spelling across the papers
(`ImageNet-1K`, `ResNet-18`), also where a paper prints another one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lskd.errors import UserError

PAPERS = ("muller2019", "shen2021", "yuan2020", "chandrasegaran2022")

TEXT = (
    *("table", "dataset", "model", "teacher", "method", "split", "target_class", "class_set"),
    *("metric", "printed", "unit", "loss", "source", "note", "doubt"),
)
NUMBERS = ("label_smoothing", "temperature", "soft_weight", "value", "spread", "n")
FLAGS = ("smoothed", "bold", "approximate")
KEYS = (*TEXT[:9], "label_smoothing", "temperature", "soft_weight", "smoothed")  # what tells two numbers apart
MISSING = "~"

_NUMBER = re.compile(
    r"(?P<about>~)?(?P<number>[+-]?\d[\d,]*(?:\.\d+)?)(?: × 10\^(?P<power>\d+)|(?P<suffix>[KM]))?"
    r"(?: ± (?P<spread>\d+\.\d+))?(?P<bold>\*)?"
)
_SUFFIXES = {"K": 1e3, "M": 1e6}


@dataclass(frozen=True)
class Paper:
    """One paper's numbers and what its figures show.

    `values` has one row a printed number. `model` is the network that the number describes and `teacher` the one it
    learned from ("" for none). `label_smoothing` is that of the teacher where there is one, else the network's own; it
    is NaN where the paper says only "with LS", and `smoothed` says it then. `printed` is the number's text, `spread`
    what follows ±, `n` the number of runs where it is stated, `loss` a key of `losses`, `doubt` what is not certain
    about the reading. `split` is val where the paper held a part of the training images out; "" where it does not say,
    or where its val is the set that no network saw, as ImageNet's. Text is "" and numbers are NaN where the paper
    prints nothing.

    `targets` maps a target's name to its `title`, `shows` (what the paper's figure or table shows) and `table` (the
    table of `values` that belongs to it, "" for none).
    `disagreements` lists quantities that the paper prints with different numbers in different tables.
    """

    key: str
    title: str
    authors: str
    venue: str
    smoothing: str
    losses: dict[str, str]
    values: pd.DataFrame
    targets: dict[str, dict[str, str]]
    disagreements: list[dict[str, str]]


@cache
def paper(key: str) -> Paper:
    """Read one paper's data file. Raises UserError for an unknown key or a damaged file."""
    if key not in PAPERS:
        raise UserError(f"paper: found {key!r}, allowed are {', '.join(PAPERS)}")
    path = Path(__file__).parent / f"{key}.yaml"
    try:
        # BaseLoader leaves every scalar a string, so numbers stay as they are printed
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read ({reason}); restore it from the repository") from error
    rows: list[dict[str, Any]] = []
    for name, table in content["tables"].items():
        rows += _table(f"{path.name}: {name}", name, table)
    targets = {name: {key: _text(value) for key, value in each.items()} for name, each in content["targets"].items()}
    return Paper(
        key=key,
        title=content["paper"],
        authors=content["authors"],
        venue=content["venue"],
        smoothing=content["smoothing"],
        losses=content["losses"],
        values=_frame(rows),
        targets=targets,
        disagreements=content["disagreements"],
    )


def lookup(key: str, table: str, **columns: Any) -> float:
    """The one printed number of `table` that has these values in these columns, e.g. `metric="top1", smoothed=True`.

    Text compares equal as text, numbers as numbers; "" or None asks for an empty field.
    Raises UserError where no number or more than one fits, naming the choices.
    """
    values = paper(key).values
    where = f"{key}: lookup"
    rows = values[values["table"] == table]
    if rows.empty:
        raise UserError(f"{where}: no table {table!r}{_choices(table, values['table'])}")
    for column, wanted in columns.items():
        if column not in values.columns:
            raise UserError(f"{where}: no column {column!r}{_choices(column, values.columns)}")
        fits = rows[_equals(rows[column], wanted)]
        if fits.empty:
            raise UserError(f"{where}: in {table} no number has {column}={wanted!r}{_choices(wanted, rows[column])}")
        rows = fits
    if len(rows) > 1:
        free = [c for c in KEYS if rows[c].nunique(dropna=False) > 1]
        hints = "; ".join(f"{c}: {', '.join(_shown(rows[c]))}" for c in free[:4])
        raise UserError(f"{where}: {len(rows)} numbers of {table} fit; say also one of {hints}")
    return float(rows["value"].iloc[0])


def _text(printed: str) -> str:
    return "" if printed == MISSING else printed


def _table(where: str, name: str, table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    line = 0
    for block in table.get("blocks", [table]):
        for row in block["rows"]:
            line += 1
            base = {"table": name, **table.get("same", {}), **block.get("same", {})}
            base["source"] = f"{table['source']}, line {line}"
            yield from _row(f"{where}, line {line}", base, block, row)


def _row(where: str, base: dict[str, Any], block: dict[str, Any], row: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield one dict for each number of a row: key columns, then cells, then perhaps a mapping for the whole row."""
    keys, cells = block["keys"], block["cells"]
    extra = row[-1] if isinstance(row[-1], dict) else {}
    entries = row[:-1] if extra else row
    if len(entries) != len(keys) + len(cells):
        raise UserError(f"{where}: found {len(entries)} entries, expected {len(keys)} keys and {len(cells)} cells")
    named = dict(zip(keys, entries, strict=False))
    for cell, printed in zip(cells, entries[len(keys) :], strict=True):
        common = {**base, **named, **cell}
        if common.get("teacher", MISSING) != MISSING:
            common |= block.get("students", {})
        common |= extra
        if printed != MISSING:
            yield from _cell(where, common, printed)


def _cell(where: str, common: dict[str, Any], printed: str) -> Iterator[dict[str, Any]]:
    """Yield one dict for each number of a cell: `a / b (c)` against the metric's `a / b (c)`."""
    for metric, text in zip_longest(_parts(common["metric"]), _parts(printed)):
        if metric is None or text is None:
            raise UserError(f"{where}: found {printed!r} for the metric {common['metric']!r}; give one number for each")
        if text != MISSING:
            yield {**common, "metric": metric, **_number(where, text)}


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[/()]", text) if part.strip()]


def _number(where: str, text: str) -> dict[str, Any]:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UserError(f"{where}: found {text!r}, allowed is a number such as 71.425, '71.425 ± 0.038' or 3.50 × 10^6")
    value = float(match["number"].replace(",", "")) * 10 ** int(match["power"] or 0) * _SUFFIXES.get(match["suffix"], 1)
    return {
        "value": value,
        "printed": match["number"],
        "spread": match["spread"] or MISSING,
        "bold": "yes" if match["bold"] else "no",
        "approximate": "yes" if match["about"] else "no",
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    unknown = {name for row in rows for name in row} - {*TEXT, *NUMBERS, *FLAGS}
    if unknown:
        raise UserError(f"papers: unknown columns {sorted(unknown)}, allowed are {', '.join(TEXT + NUMBERS + FLAGS)}")
    columns: dict[str, Any] = {}
    for name in (*TEXT, *NUMBERS, *FLAGS):
        texts = [row.get(name, MISSING) for row in rows]
        if name in TEXT:
            columns[name] = pd.Series([_text(v) for v in texts], dtype="str")
        elif name in NUMBERS:
            columns[name] = pd.Series([float("nan") if v == MISSING else float(v) for v in texts], dtype="float64")
        else:
            columns[name] = pd.Series([{"yes": True, "no": False}.get(v) for v in texts], dtype="boolean")
    frame = pd.DataFrame(columns)
    smoothing = frame["label_smoothing"]
    frame["smoothed"] = frame["smoothed"].mask(frame["smoothed"].isna() & smoothing.notna(), smoothing > 0)
    frame["label_smoothing"] = smoothing.mask(smoothing.isna() & frame["smoothed"].eq(False).fillna(False), 0.0)
    return frame


def _equals(column: pd.Series, wanted: Any) -> pd.Series:
    if wanted is None or wanted == "":
        return column.isna() | (column.astype("str") == "")
    return (column == wanted).fillna(False).astype(bool)


def _shown(column: Any) -> list[str]:
    return sorted({"(empty)" if pd.isna(v) or v == "" else str(v) for v in column})


def _choices(wanted: Any, column: Any) -> str:
    """The nearest choices first, then the others, at most ten."""
    shown = _shown(column)
    near = get_close_matches(str(wanted), shown, n=3, cutoff=0.5)
    listed = near + [v for v in shown if v not in near]
    return f"; there are {', '.join(listed[:10])}{', …' if len(listed) > 10 else ''}"
