"""The figures stage: a figure from its metrics' Parquet files as PNG, SVG and PDF; its numbers as CSV, Markdown, LaTeX
and HTML.

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
from lskd.io.atomic import atomic, write_text
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
    answer = render(table, draw, frames, options, work.folder / "figure", work.origin)
    if answer:
        work.notes["answer"] = answer


def render(
    table: Callable[[Frames, Options], pd.DataFrame],
    draw: Callable[[pd.DataFrame, Frames, Options], Figure],
    frames: Frames,
    options: Options,
    out: Path,
    origin: dict[str, Any],
) -> str:
    """Write out.png (200 dpi), .svg, .pdf, .csv, .md, .tex and .html; the pictures carry `origin` in their metadata.

    Returns the answer that the figure gives in words, "" where it gives none.
    """
    numbers = table(frames, options)
    caption = " ".join(filter(None, [numbers.attrs["caption"], options.get("mixed")]))
    said = numbers.attrs.get("answer", "")
    answer = " ".join(filter(None, [said, options.get("mixed")])) if said else ""
    texts = caption, numbers.attrs["columns"], numbers.attrs["rows"]
    numbers.attrs = {}  # pandas would copy them at every step of the drawing
    with style.context():
        made = draw(numbers, frames, options)
        style.settle(made)
        made.set_layout_engine(None)  # laid out once, not once a format
        for kind, metadata in _metadata(json.dumps(origin, sort_keys=True)).items():
            with atomic(_beside(out, kind)) as tmp:
                made.savefig(tmp, format=kind, metadata=metadata)
    name = options.get("figure", out.name)
    csv = numbers.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    write_text(_beside(out, "csv"), csv)
    write_text(_beside(out, "md"), markdown(*texts))
    write_text(_beside(out, "tex"), latex(*texts))
    write_text(_beside(out, "html"), page(name, options.get("title") or name, *texts, csv))
    return answer


def _metadata(origin: str) -> dict[str, dict[str, Any]]:
    """Each format's own keys, without dates."""
    return {
        "png": {"Software": "lskd", "Description": origin},
        "svg": {"Date": None, "Creator": "lskd", "Description": origin},
        "pdf": {"CreationDate": None, "Creator": "lskd", "Producer": "lskd", "Keywords": origin},
    }


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(f"{out.name}.{ending}")  # not with_suffix: a name may hold a dot
