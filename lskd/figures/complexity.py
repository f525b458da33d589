"""Parameters and FLOPs of the networks (Yuan 2020, table 3)."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import published, same_name
from lskd.figures.rows import groups, number, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "Learnable parameters; multiply-adds of convolutions and matrix products of one image; and FLOPs as Yuan 2020 "
    "(table 3) counts them: the multiply-adds, 2 for each output of a batch norm and 1 for each of a ReLU."
)
UNITS = {"parameters": 1e6, "multiply_adds": 1e9, "flops": 1e9}
COLUMNS = {  # of the printed table, by metric: its name, and what is shown
    "parameters": ("parameters (10^6)", ("ours", "paper", "difference")),
    "multiply_adds": ("multiply-adds (10^9)", ("ours",)),
    "flops": ("FLOPs (10^9)", ("ours", "paper", "difference")),
}
PAPERS_IMAGE = "3x224x224"
SMALL_IMAGE = "3x32x32"  # where the paper's ResNeXt-29 can have its parameters from, with 100 classes


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Parameters and FLOPs by network, as counted and as printed; networks that only the paper has follow.

    A count has no spread: n is 1.
    """
    counts = pick(frames, "complexity").drop_duplicates(["model", "image"])
    theirs = published(options)
    if theirs is not None:
        theirs = theirs.assign(metric=theirs["metric"].replace("params", "parameters"))
    rows = [row | {"n": 1} for model in records(counts) for row in _ours(model, theirs)]
    named = {row["paper_model"] for row in rows}
    if theirs is not None:
        for row in records(theirs):
            if row["model"] not in named and row["metric"] in UNITS:
                rows.append({"model": "", "metric": row["metric"], "paper": row["value"], "paper_model": row["model"]})
    numbers = pd.DataFrame(rows)
    numbers["difference"] = (numbers["ours"] - numbers["paper"]).where(_is_alike(numbers))
    numbers["scale"] = options.get("scale", "")
    columns = ["model", "image", "metric", "ours", "paper", "difference", "n", "spread", "scale", "paper_model"]
    return present(numbers.assign(spread=math.nan)[columns], _layout(numbers), _caption(numbers), FORMULA)


def _is_alike(numbers: pd.DataFrame) -> pd.Series:
    """Where the paper's count is of such an image; it says 3x224x224, and of its ResNeXt-29 that cannot be."""
    of_resnext29 = numbers["paper_model"].str.startswith("ResNeXt-29")
    return (numbers["image"] == PAPERS_IMAGE) & ~of_resnext29 | (numbers["image"] == SMALL_IMAGE) & of_resnext29


def _ours(model: dict[str, Any], theirs: pd.DataFrame | None) -> list[dict[str, Any]]:
    """The rows of a network, with what the paper prints of it."""
    printed = None
    if theirs is not None:
        printed = theirs[[same_name(model["model"], name) for name in theirs["model"]]]
    paper_model = "" if printed is None or printed.empty else printed["model"].iloc[0]
    paper = {} if printed is None else dict(zip(printed["metric"], printed["value"], strict=True))
    same = {"model": model["model"], "image": model["image"], "paper_model": paper_model}
    return [
        same | {"metric": metric, "ours": float(model[metric]), "paper": paper.get(metric, math.nan)}
        for metric in UNITS
    ]


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for first, part in groups(numbers, ["model", "paper_model"]):
        own, model = {row["metric"]: row for row in records(part)}, first["model"]
        row = {"Model": model or first["paper_model"], "Image": first["image"] if model else "—"}
        for metric, (name, columns) in COLUMNS.items():
            for column in columns:
                value = own[metric][column] / UNITS[metric] if metric in own else math.nan
                digits = 4 if abs(value) < 0.1 else 2
                row[f"{column}, {name}"] = number(value, digits, sign=column == "difference")
        rows.append(row)
    return pd.DataFrame(rows)


def _caption(numbers: pd.DataFrame) -> str:
    images = ", ".join(sorted(map(str, numbers["image"].dropna().unique())))
    what = f"Learnable parameters, and operations of one image of {images} (one multiply-add is one)"
    return (
        f"{what}. FLOPs add those of batch norms and ReLUs, as the paper does. Counted, not measured: n = 1, no "
        f"spread. The paper's are at {PAPERS_IMAGE}, but of ResNeXt-29 its parameters are those for 100 "
        f"classes and its FLOPs a billion below those at {SMALL_IMAGE}."
    )


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each network; left parameters, right FLOPs, on logarithmic axes: ours filled, the paper's open."""
    names = list(dict.fromkeys(table["model"].where(table["model"] != "", table["paper_model"])))
    figure = style.figure(style.DOUBLE, 0.2 * len(names) + 1.0, options)
    axes = figure.subplots(1, 2, sharey=True)
    looks: dict[str, dict[str, Any]] = {
        "paper": {"marker": "s", "color": style.BLACK, "markerfacecolor": "white", "markersize": 6},
        "ours": {"marker": "o", "color": style.BLUE, "markersize": 3.5},
    }
    for panel, (metric, name) in zip(axes, {"parameters": "parameters", "flops": "FLOPs"}.items(), strict=True):
        own = table[table["metric"] == metric]
        rows = [names.index(row["model"] or row["paper_model"]) for row in records(own)]
        for column, look in looks.items():
            panel.plot(own[column], rows, linestyle="", **look)
        panel.set_xscale("log")
        panel.set_xlabel(name)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    shown = [column for column in looks if table[column].notna().any()]
    style.legend_below(figure, [style.handle(column, linestyle="", **looks[column]) for column in shown], 2)
    return figure
