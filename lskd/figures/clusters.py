"""The projection with the clusters' distances D1, D2 and Dc drawn and as numbers (Shen 2021, figure 1)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.projection import class_handles, order_of, points_of, scatter, square
from lskd.figures.rows import (
    SETTING,
    alphas,
    cell,
    first_seed,
    groups,
    measured,
    named,
    over_seeds,
    pick,
    present,
    records,
)

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "D = |c_i − c_j|, the distance of two cluster centres of penultimate features: Dc between the two similar "
    "classes, D₁ and D₂ from each of them to the other class (Shen 2021, figure 1)."
)
# a, b: the similar classes; c: the other. Each distance by the places of its two classes in "a|b|c".
DISTANCES = {"D1": (0, 2), "D2": (1, 2), "Dc": (0, 1)}
TEXTS = {"D1": "D₁", "D2": "D₂", "Dc": "Dc"}
PLANE = "_plane"  # the same between the projections; without it in feature space


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Distances and within-class spreads by network, alpha and split over seeds."""
    values = pick(frames, "clusters")
    numbers = named(over_seeds(values, [*SETTING, "classes", "split", "metric"]))
    return present(numbers, _layout(numbers), _caption(numbers, values, frames, options), FORMULA)


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each network, alpha and split; a column for each distance."""
    rows = []
    metrics = [*DISTANCES, *sorted(set(numbers["metric"]) - set(DISTANCES), key=lambda name: (PLANE in name, name))]
    for first, part in groups(numbers, [*SETTING, "classes", "split"]):
        own = {row["metric"]: cell(row["mean"], row["spread"], row["n"], 3) for row in records(part)}
        row = {
            "Network": f"{first['dataset']}: {first['network']}",
            "T": style.temperature_text(first["temperature"]),
            "α": f"{first['label_smoothing']:g}",
            "Split": first["split"],
            "Classes": first["classes"].replace("|", ", "),
        }
        rows.append(row | {_name(metric): own[metric] for metric in metrics if metric in own})
    return pd.DataFrame(rows).fillna("—")


def _name(metric: str) -> str:
    plain = metric.removesuffix(PLANE)
    return TEXTS.get(plain, plain) + (", in the plane" if plain != metric else "")


def _caption(numbers: pd.DataFrame, values: pd.DataFrame, frames: Frames, options: Options) -> str:
    a, b, c = numbers["classes"].iloc[0].split("|")
    what = f"Distances of the clusters' centres: D₁ of {a} and {c}, D₂ of {b} and {c}, Dc of the similar {a} and {b}"
    where = "in feature space and in the plane through the templates"
    seed = first_seed(frames["projection"])
    points = f"The points drawn are those of seed {seed}."
    return f"{what}; {where} (number of seeds in brackets). {measured(values, options)} {points}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A panel for each alpha, a row for each network on the same axes: train points, lines between their centres."""
    points = points_of(frames, "muller")
    points = points[points["split"].isin(["train", "template"])]
    rows = list(groups(points, ["dataset", "network", "temperature"]))
    smoothings = alphas(points)
    figure = style.figure(style.DOUBLE, 3.1 * len(rows) + 0.4, options)
    axes = figure.subplots(len(rows), len(smoothings), squeeze=False)
    for i, (first, part) in enumerate(rows):
        own = table[(table["network"] == first["network"]) & (table["dataset"] == first["dataset"])]
        own = own[own["split"].eq("train") & own["temperature"].isin([first["temperature"]])]
        for panel, alpha in zip(axes[i], smoothings, strict=True):
            shown = part[part["label_smoothing"] == alpha]
            scatter(panel, shown[shown["split"] == "train"], order_of(points, options))
            square(panel, part[part["split"] == "train"])
            _distances(panel, shown, own[own["label_smoothing"] == alpha])
            panel.set_title(f"{first['dataset']}: {first['network']}, {style.alpha_text(alpha)}")
    style.legend_below(figure, class_handles(points[points["split"] == "train"], options), 4)
    style.settle(figure)
    return figure


def _distances(panel: Axes, points: pd.DataFrame, numbers: pd.DataFrame) -> None:
    """Lines between the centres of the clusters; below, their lengths in the plane as mean and spread over seeds."""
    classes = numbers["classes"].iloc[0].split("|")
    own = points[points["split"] == "train"]
    centres = own.groupby("class")[["x", "y"]].mean()
    lines = []
    for name, (i, j) in DISTANCES.items():
        ends = centres.loc[[classes[i], classes[j]]]
        panel.plot(ends["x"], ends["y"], color=style.BLACK, linewidth=0.9, linestyle="-" if name == "Dc" else "--")
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        middle = ends.mean()
        side = "center" if name == "Dc" else "right" if middle["x"] < centres["x"].mean() else "left"  # outwards
        panel.text(middle["x"], middle["y"], TEXTS[name], ha=side, va="center", fontsize=7, bbox=box, zorder=6)
        lengths = records(numbers[numbers["metric"].isin([name, name + PLANE])].sort_values("metric").tail(1))
        lines += [f"{TEXTS[name]} = {cell(row['mean'], row['spread'])}" for row in lengths]
    panel.set_xlabel(f"{'   '.join(lines[:2])}\n{lines[2]} (n = {numbers['n'].max()})")
