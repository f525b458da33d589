"""The figures stage: a figure from its metrics' Parquet files as PNG, SVG and PDF; its numbers as CSV, Markdown, LaTeX
and HTML; as JSON, what the page of its study says of it.

Without torch; the same input gives the same bytes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.page import page
from lskd.figures.text_table import latex, markdown
from lskd.io.atomic import atomic, write_json, write_text
from lskd.io.tables import read_table
from lskd.jobs.environment import mixed
from lskd.jobs.work import Work

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]


def run(work: Work) -> None:
    """Render the figure of a job's spec from the metrics it reads."""
    spec = work.spec
    frames = {family: read_table(work.read(family, "metrics.parquet")).to_pandas() for family in work.inputs}
    named = {key: spec[key] for key in ("study", "figure", "scale")}
    note = mixed(work.record(family)["made_on"] for family in work.inputs)
    options = spec["options"] | named | ({"mixed": note} if note else {})
    table, draw = work.functions["table"], work.functions["draw"]
    about = render(table, draw, frames, options, work.folder / "figure", work.origin)
    write_json(work.folder / "figure.json", about | named | {"kind": spec["kind"], "from": _sources(work)})
    if about["answer"]:
        work.notes["answer"] = about["answer"]


def _sources(work: Work) -> list[dict[str, Any]]:
    """The metrics that a figure shows, each with the results that it measures; a function of the job alone."""
    sources = []
    for family in work.inputs:
        record = work.record(family)
        runs = sorted(above["folder"] for above in record["inputs"].values())
        sources.append({"title": record["title"], "address": record["address"], "runs": runs})
    return sources


def render(
    table: Callable[[Frames, Options], pd.DataFrame],
    draw: Callable[[pd.DataFrame, Frames, Options], Figure],
    frames: Frames,
    options: Options,
    out: Path,
    origin: dict[str, Any],
) -> dict[str, Any]:
    """Write out.png (200 dpi), .svg, .pdf, .csv, .md, .tex and .html; the pictures carry `origin` in their metadata.

    Returns what the figure says: title, caption, formula, columns and rows as text, and its answer, "" where it gives
    none.
    """
    numbers = table(frames, options)
    name = options.get("figure", out.name)
    about = _about(numbers.attrs, options.get("title") or name, options.get("mixed", ""))
    texts = about["caption"], about["columns"], about["rows"]
    numbers.attrs = {}  # pandas would copy them at every step of the drawing
    with style.context():
        figure = draw(numbers, frames, options)
        style.settle(figure)
        figure.set_layout_engine(None)  # laid out once, not once a format
        for kind, metadata in _metadata(json.dumps(origin, sort_keys=True)).items():
            with atomic(_beside(out, kind)) as tmp:
                figure.savefig(tmp, format=kind, metadata=metadata)
    csv = numbers.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    write_text(_beside(out, "csv"), csv)
    write_text(_beside(out, "md"), markdown(*texts))
    write_text(_beside(out, "tex"), latex(*texts))
    write_text(_beside(out, "html"), page(name, about["title"], about["caption"], about["formula"], *texts[1:], csv))
    return about


def _about(attrs: dict[Any, Any], title: str, mixed: str) -> dict[str, Any]:
    """What a figure says; that its runs mix, if they do, ends its caption and its answer."""
    answer = attrs.get("answer", "")
    return {
        "title": title,
        "caption": f"{attrs['caption']} {mixed}".rstrip(),
        "formula": attrs["formula"],
        "columns": attrs["columns"],
        "rows": attrs["rows"],
        "answer": f"{answer} {mixed}".rstrip() if answer else "",
    }


def _metadata(origin: str) -> dict[str, dict[str, Any]]:
    """Each format's own keys, without dates."""
    return {
        "png": {"Software": "lskd", "Description": origin},
        "svg": {"Date": None, "Creator": "lskd", "Description": origin},
        "pdf": {"CreationDate": None, "Creator": "lskd", "Producer": "lskd", "Keywords": origin},
    }


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(f"{out.name}.{ending}")  # not with_suffix: a name may hold a dot
