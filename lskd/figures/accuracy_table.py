"""Accuracy of every setting of a figure (Müller 2019, table 2; Shen 2021, tables 2 and 9), beside the paper's."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import beside, published, warning
from lskd.figures.dots import dots
from lskd.figures.rows import (
    SETTING,
    alphas,
    cell,
    groups,
    measured,
    named,
    number,
    over_seeds,
    pick,
    present,
    records,
)

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "Share of test images whose class is the first (top-1), or one of the first k (top-k), of the network's "
    "ranking; mean and sample standard deviation over seeds."
)
ROLES = {"teacher": 0, "baseline": 1, "student": 2}


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Top-1 and top-k accuracy in percent by setting: on test, and on val where the paper's is on val."""
    values = pick(frames, "accuracy", split=["val", "test"], metric=["top1", "top5"])
    numbers = settings(values.assign(value=values["value"] * 100), options)
    k = values.loc[values["metric"] == "top5", "k"]
    what = "Test accuracy in %" + ("" if k.empty else f", top-1 and top-{int(k.max())}")
    caption = f"{what} (number of seeds in brackets). {measured(values, options)}{warning(numbers)}"
    return present(numbers, layout(numbers), caption, FORMULA)


def settings(percent: pd.DataFrame, options: Options) -> pd.DataFrame:
    """One row for each setting, metric and number of the paper's that it meets; those of val alone where it meets one.

    Raises UserError where nothing was measured on test.
    """
    pick({"accuracy": percent}, "accuracy", split="test")
    if options.get("temperatures"):
        shown = percent["temperature"].isin(options["temperatures"])
        percent = percent[percent["temperature"].isna() | shown]
    ours = over_seeds(percent, [*SETTING, "split", "metric", "k"]).rename(columns={"mean": "ours"}).assign(unit="%")
    numbers = beside(named(ours), published(options), options)
    numbers["rank"] = numbers["role"].map(ROLES)
    keys = ["dataset", "rank", "model", "network", "soft_weight", "temperature", "label_smoothing", "metric", "split"]
    return numbers.sort_values(keys, kind="stable").drop(columns="rank")


def layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each setting; with a paper, one for each of its data sets: ours on test, ours on its split, its own."""
    rows = []
    for first, part in groups(numbers, SETTING):
        row = {
            "Data": first["dataset"],
            "Network": first["network"],
            "T": style.temperature_text(first["temperature"]),
            "α": f"{first['label_smoothing']:g}",
        }
        for one in records(part[part["split"] == "test"].drop_duplicates("metric")):
            row[metric_text(one["metric"], one["k"])] = cell(one["ours"], one["spread"], one["n"])
        printed = [_printed(both) for _, both in groups(part[part["paper"].notna()], ["paper_dataset"])]
        rows += [row | cells for cells in printed or [{}]]
    return pd.DataFrame(rows).fillna("—")


def _printed(part: pd.DataFrame) -> dict[str, str]:
    """The paper's numbers on one data set, with ours of val where they are of val."""
    cells = {}
    for row in records(part):
        name = metric_text(row["metric"], row["k"])
        cells["Paper's"] = f"{row['paper_model']}, {row['paper_dataset']}"
        if row["split"] == "val":
            cells[f"val {name}"] = cell(row["ours"], row["spread"], row["n"])
        cells[f"paper {name}"] = number(row["paper"])
        if not math.isnan(row["difference"]):
            cells[f"difference {name}"] = number(row["difference"], sign=True)
    return cells


def metric_text(metric: str, k: float) -> str:
    """A metric's name with its unit."""
    if metric == "top1_error":
        return "error (%)"
    return f"top-{int(k)} (%)"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each setting, a panel for each metric; colour tells alpha and the marker T."""
    ours = table[table["split"] == "test"].drop_duplicates([*SETTING, "metric"])
    metrics = list(dict.fromkeys(sorted(ours["metric"])))
    lines = []
    for first, part in groups(ours, SETTING):
        by = {row["metric"]: row for row in records(part)}
        values = [(by[m]["ours"], by[m]["spread"], cell(by[m]["ours"], by[m]["spread"], by[m]["n"])) for m in metrics]
        mark = style.marker(first["temperature"])
        colour = style.alpha_colour(first["label_smoothing"])
        lines.append({"label": _label(first, ours), "colour": colour, "marker": mark, "values": values})
    titles = [f"test {metric_text(m, ours.loc[ours['metric'] == m, 'k'].max())}" for m in metrics]
    figure = dots(lines, titles, options)
    handles = [
        style.handle(style.alpha_text(alpha), color=style.alpha_colour(alpha), marker="o", linestyle="")
        for alpha in alphas(table)
    ]
    style.legend_below(figure, handles, 3)
    return figure


def _label(row: dict[str, Any], ours: pd.DataFrame) -> str:
    data = f"{row['dataset']}: " if ours["dataset"].nunique() > 1 else ""
    return data + row["network"] + style.degree_text(row)
