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
    "Learnable parameters, and multiply-adds of one image (Yuan 2020, table 3, counts one of 3x224x224 with 1000 "
    "classes)."
)
UNITS = {"parameters": 1e6, "flops": 1e9}
PAPERS_IMAGE = "3x224x224"


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
    numbers["difference"] = (numbers["ours"] - numbers["paper"]).where(numbers["image"] == PAPERS_IMAGE)
    numbers["scale"] = options.get("scale", "")
    columns = ["model", "image", "metric", "ours", "paper", "difference", "n", "spread", "scale", "paper_model"]
    return present(numbers.assign(spread=math.nan)[columns], _layout(numbers), _caption(numbers, options), FORMULA)


def _ours(model: dict[str, Any], theirs: pd.DataFrame | None) -> list[dict[str, Any]]:
    rows = []
    for metric in UNITS:
        row = {"model": model["model"], "image": model["image"], "metric": metric, "ours": float(model[metric])}
        known = None
        if theirs is not None:
            same = [same_name(row["model"], name) for name in theirs["model"]]
            printed = theirs[pd.Series(same, theirs.index) & (theirs["metric"] == metric)]
            known = printed.iloc[0] if len(printed) else None
        them = {"paper": math.nan, "paper_model": ""}
        if known is not None:
            them = {"paper": known["value"], "paper_model": known["model"]}
        rows.append(row | them)
    return rows


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for first, part in groups(numbers, ["model", "paper_model"]):
        own, model = {row["metric"]: row for row in records(part)}, first["model"]
        row = {"Model": model or first["paper_model"], "Image": first["image"] if model else "—"}
        for metric, name in (("parameters", "parameters (10^6)"), ("flops", "FLOPs (10^9)")):
            for column in ("ours", "paper", "difference"):
                value = own[metric][column] / UNITS[metric] if metric in own else math.nan
                digits = 4 if abs(value) < 0.1 else 2
                row[f"{column}, {name}"] = number(value, digits, sign=column == "difference")
        rows.append(row)
    return pd.DataFrame(rows)


def _caption(numbers: pd.DataFrame, options: Options) -> str:
    images = ", ".join(sorted(map(str, numbers["image"].dropna().unique())))
    what = f"Learnable parameters, and FLOPs of one image of {images} (one multiply-add is one FLOP, as in the paper)"
    return f"{what}. Counted, not measured: n = 1, no spread. The paper's are at {PAPERS_IMAGE}."


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
