"""Accuracy and intra-class variance 1 - S, by Shen's eq. 2 and by his Algorithm 1 (Shen 2021, table 1)."""

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
    "S = 1 − (1/K) sum over classes of the mean over images of |p_i − mean p|² (Shen 2021, eq. 2); by Algorithm "
    "1, 1 minus the mean over classes of the standard deviation of the true class's probability: two numbers, not"
    " the same. Shown as 1 − S."
)
SHOWN = {
    "top1": "top-1 (%)",
    "stability_eq2": "1 − S, eq. 2",
    "stability_alg1": "1 − S, Algorithm 1",
    "stability_inter": "1 − S, eq. 5–7",
    "stability_inter_std": "1 − S, as Algorithm 1",
}
# the paper prints one number and does not say by which of two definitions: it stands beside both
PAPER = dict.fromkeys(("stability_eq2", "stability_alg1"), "stability_complement")
PAPER |= dict.fromkeys(("stability_inter", "stability_inter_std"), "inter_class_stability_complement")


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Accuracy in percent and 1 - S on test by network and alpha, beside the paper's."""
    return stability(frames, options, ["stability_eq2", "stability_alg1"], FORMULA)


def stability(frames: Frames, options: Options, metrics: list[str], formula: str) -> pd.DataFrame:
    """The table of these definitions of stability."""
    stabilities = pick(frames, "stability", split="test", metric=metrics)
    runs = pick(frames, "accuracy", split="test", metric="top1")
    both = pd.concat([runs.assign(value=runs["value"] * 100), stabilities.assign(value=1 - stabilities["value"])])
    numbers = over_seeds(both, [*SETTING, "metric"]).rename(columns={"mean": "ours"})
    numbers = beside(named(numbers), _printed(published(options)), options)
    numbers["rank"] = numbers["metric"].map(list(SHOWN).index)
    keys = ["dataset", "role", "model", "network", "temperature", "label_smoothing", "rank"]
    numbers = numbers.sort_values(keys, kind="stable").drop(columns="rank")
    return present(numbers, _layout(numbers), _caption(numbers, stabilities, options), formula)


def _printed(theirs: pd.DataFrame | None) -> pd.DataFrame | None:
    if theirs is None:
        return None
    by_both = [theirs[theirs["metric"] == name].assign(metric=ours) for ours, name in PAPER.items()]
    return pd.concat([theirs[theirs["metric"] == "top1"], *by_both])


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each network and quantity: w/o LS, w/ LS, what LS changes, as in the paper; then the paper's."""
    rows = []
    setting = [key for key in SETTING if key != "label_smoothing"]
    for first, part in groups(numbers, [*setting, "metric", "paper_dataset"]):
        digits = 2 if first["metric"] == "top1" else 4
        row = {"Network": f"{first['dataset']}: {first['network']}{style.degree_text(first)}"}
        row["Quantity"] = SHOWN[first["metric"]]
        hard = part.loc[part["label_smoothing"] == 0, "ours"]
        for one in records(part):
            alpha = f"α = {one['label_smoothing']:g}"
            row[alpha] = cell(one["ours"], one["spread"], one["n"], digits)
            if one["label_smoothing"] and len(hard):
                row[f"change, {alpha}"] = number(one["ours"] - hard.iloc[0], digits, sign=True)
        for one in records(part[part["paper"].notna()]):
            alpha = f"α = {one['label_smoothing']:g}"
            row["paper's"] = f"{one['paper_model']}, {one['paper_dataset']}"
            row[f"paper, {alpha}"] = number(one["paper"], digits)
            if not math.isnan(one["difference"]):
                row[f"difference, {alpha}"] = number(one["difference"], digits, sign=True)
        rows.append(row)
    return pd.DataFrame(rows).fillna("—")


def _caption(numbers: pd.DataFrame, stabilities: pd.DataFrame, options: Options) -> str:
    if (numbers["metric"] == "stability_inter").any():
        what = "Accuracy and 1 − inter-class stability on test: eq. 5–7 (variance) and the form of Algorithm 1"
        doubt = "by size and trend, it looks like the second"
    else:
        what = "Accuracy and 1 − S on test: eq. 2 (variance) and Algorithm 1"
        doubt = "by eq. 2 a calibrated network cannot exceed 0.25, so that Algorithm 1 is the likelier"
    unclear = ""
    if numbers["paper"].notna().any():
        unclear = f" The paper does not say by which of the two its number is; {doubt}."
    both = f"{what} (standard deviation), which are not the same number (number of seeds in brackets)"
    return f"{both}. {measured(stabilities, options)}{unclear}{warning(numbers)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each network and alpha; panels: accuracy, and 1 - S by each definition."""
    ours = table.drop_duplicates([*SETTING, "metric"])
    metrics = [metric for metric in SHOWN if (ours["metric"] == metric).any()]
    lines = []
    for first, part in groups(ours, SETTING):
        by = {row["metric"]: row for row in records(part)}
        if set(metrics) - set(by):
            continue
        values = [_value(by[metric], 2 if metric == "top1" else 3) for metric in metrics]
        colour = style.alpha_colour(first["label_smoothing"])
        data = f"{first['dataset']}: " if ours["dataset"].nunique() > 1 else ""
        network = first["network"].replace(" (teacher)", "") if (ours["role"] == "teacher").all() else first["network"]
        label = data + network + style.degree_text(first)
        lines.append({"label": label, "colour": colour, "marker": style.marker(first["temperature"]), "values": values})
    figure = dots(lines, [SHOWN[metric] for metric in metrics], options)
    handles = [
        style.handle(style.alpha_text(alpha), color=style.alpha_colour(alpha), marker="o", linestyle="")
        for alpha in alphas(table)
    ]
    style.legend_below(figure, handles, 3)
    return figure


def _value(row: dict[str, Any], digits: int) -> tuple[float, float, str]:
    """What a dot shows: the mean, its spread, and both as text."""
    return row["ours"], row["spread"], cell(row["ours"], row["spread"], row["n"], digits)
