"""The figures stage: a figure from its metrics' Parquet files as PNG, SVG and PDF; its numbers as CSV, Markdown, LaTeX
and HTML.

Without torch; the same input gives the same bytes.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from lskd import provenance, stage, tables
from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.page import page
from lskd.figures.text_table import latex, markdown
from lskd.files import atomic

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]


def render(
    table: Callable[[Frames, Options], pd.DataFrame],
    draw: Callable[[pd.DataFrame, Frames, Options], Figure],
    frames: Frames,
    options: Options,
    out: Path,
    origin: dict[str, str],
) -> None:
    """Write out.png (200 dpi), .svg, .pdf, .csv, .md, .tex and .html; the pictures carry `origin` in their metadata."""
    numbers = table(frames, options)
    texts = numbers.attrs["caption"], numbers.attrs["columns"], numbers.attrs["rows"]
    numbers.attrs = {}  # pandas would copy them at every step of the drawing
    with style.context():
        made = draw(numbers, frames, options)
        style.settle(made)
        made.set_layout_engine(None)  # laid out once, not once a format
        for kind, metadata in _metadata(json.dumps(origin, sort_keys=True)).items():
            with atomic(_beside(out, kind)) as tmp:
                made.savefig(tmp, format=kind, metadata=metadata)
    csv = numbers.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    _write(_beside(out, "csv"), csv)
    _write(_beside(out, "md"), markdown(*texts))
    _write(_beside(out, "tex"), latex(*texts))
    _write(_beside(out, "html"), page(out.name, options.get("title") or out.name, *texts, csv))


def read_frames(paths: list[Path]) -> Frames:
    """The metrics tables by family, which is the file's stem; UserError for one that cannot be read."""
    found = {}
    for path in paths:
        try:
            found[path.stem] = pq.read_table(path).to_pandas()
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path}: cannot be read as Parquet ({reason}); delete it and run again") from None
    return found


def _metadata(origin: str) -> dict[str, dict[str, Any]]:
    """Each format's own keys, without dates."""
    return {
        "png": {"Software": "lskd", "Description": origin},
        "svg": {"Date": None, "Creator": "lskd", "Description": origin},
        "pdf": {"CreationDate": None, "Creator": "lskd", "Producer": "lskd", "Keywords": origin},
    }


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(f"{out.name}.{ending}")  # not with_suffix: a name may hold a dot


def _write(path: Path, text: str) -> None:
    with atomic(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def main(arguments: argparse.Namespace) -> None:
    """Render the figure that the spec names."""
    kind, options = arguments.spec["kind"], arguments.spec["options"]
    module = tables.FIGURES[kind].module
    made = provenance.collect(
        arguments.spec,
        arguments.code,
        {path.name: path for path in [*arguments.frames, *arguments.paper] if path.is_file()},
    )
    origin = {key: made[key] for key in ("spec", "code", "inputs")}  # what depends on neither time nor machine
    frames = read_frames(arguments.frames)
    table, draw = stage.resolve(f"{module}:table"), stage.resolve(f"{module}:draw")
    render(table, draw, frames, options, arguments.out, origin)


if __name__ == "__main__":
    parser = stage.parser("figures.render", "out")
    parser.add_argument("--frames", nargs="*", type=Path, default=[], help="Parquet files, one a metric family")
    parser.add_argument("--paper", nargs="*", type=Path, default=[], help="the published numbers shown beside ours")
    stage.call("figures", main, parser.parse_args())
