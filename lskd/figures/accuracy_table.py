"""Accuracy of every setting of a figure (Müller 2019, table 2; Shen 2021, tables 2 and 9), beside the paper's."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import beside, published, warning
from lskd.figures.dots import dots
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, number, over_seeds, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "Share of test images whose class is the first (top-1), or one of the first k (top-k), of the network's "
    "ranking; mean and sample standard deviation over seeds."
)
ROLES = {"teacher": 0, "baseline": 1, "student": 2}


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Top-1 and top-k test accuracy in percent by setting."""
    values = pick(frames, "accuracy", split="test", metric=["top1", "top5"])
    numbers = settings(values.assign(value=values["value"] * 100), options)
    k = values.loc[values["metric"] == "top5", "k"]
    what = "Test accuracy in %" + ("" if k.empty else f", top-1 and top-{int(k.max())}")
    caption = f"{what} (number of runs in brackets). {measured(values, options)}{warning(numbers)}"
    return present(numbers, layout(numbers), caption, FORMULA)


def settings(percent: pd.DataFrame, options: Options) -> pd.DataFrame:
    """One row for each setting, metric and number of the paper's that it meets."""
    if options.get("temperatures"):
        shown = percent["temperature"].isin(options["temperatures"])
        percent = percent[percent["temperature"].isna() | shown]
    ours = over_seeds(percent, [*SETTING, "metric", "k"]).rename(columns={"mean": "ours"}).assign(unit="%")
    numbers = beside(ours, published(options), options)
    numbers["rank"] = numbers["role"].map(ROLES)
    keys = ["dataset", "rank", "model", "group", "soft_weight", "temperature", "label_smoothing", "metric"]
    return numbers.sort_values(keys, kind="stable").drop(columns="rank")


def layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each setting; with a paper, one for each of its data sets: ours, paper, difference."""
    keys = [*SETTING, "paper_dataset", "paper_model"]
    rows = []
    for first, part in groups(numbers, keys):
        row = {
            "Data": first["dataset"],
            "Network": style.network_text(first),
            "T": style.temperature_text(first["temperature"]),
            "Soft weight": number(first["soft_weight"], 1),
            "α": f"{first['label_smoothing']:g}",
        }
        if first["paper_dataset"]:
            row["Paper's"] = f"{first['paper_model']}, {first['paper_dataset']}"
        for one in records(part):
            name = metric_text(one["metric"], one["k"])
            row[name] = cell(one["ours"], one["spread"], one["n"])
            if not math.isnan(one["paper"]):
                row[f"paper {name}"] = number(one["paper"])
                row[f"difference {name}"] = number(one["difference"], sign=True)
        rows.append(row)
    shown = pd.DataFrame(rows).fillna("—")
    one_weight = numbers["soft_weight"].dropna().nunique() < 2
    return shown.drop(columns="Soft weight") if one_weight else shown


def metric_text(metric: str, k: float) -> str:
    """A metric's name with its unit."""
    if metric == "top1_error":
        return "error (%)"
    return f"top-{int(k)} (%)"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each setting, a panel for each metric; colour tells alpha and the marker T."""
    ours = table.drop_duplicates([*SETTING, "metric"])
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
    parts = [style.network_text(row)]
    if ours["dataset"].nunique() > 1:
        parts.insert(0, f"{row['dataset']}:")
    if row["role"] == "student":
        parts.append(f"T = {row['temperature']:g}")
    if ours["soft_weight"].dropna().nunique() > 1 and not math.isnan(row["soft_weight"]):
        parts.append(f"soft {row['soft_weight']:g}")
    return " ".join(parts)
