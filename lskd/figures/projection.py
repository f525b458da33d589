"""Penultimate projections of teacher and students (Chandrasegaran 2022, Algorithm 1: QR of templates, then PCA)."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lskd.figures import style
from lskd.figures.rows import alphas, first_seed, groups, named, number, of_first_seed, pick, present, temperatures

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "x′ = Qᵀx, with Q from the QR decomposition of the last-layer templates [w, b] of three classes; then PCA "
    "from 3 to 2 dimensions, fitted on train and used again on val (Chandrasegaran 2022, Algorithm 1). The plane is "
    "turned so that the first class lies left of the second on train, and the third above."
)
METHOD = "chandrasegaran"
RANK = {"teacher": 0, "baseline": 1, "student": 2}
BAND = 3  # networks side by side
KEYS = ["dataset", "network", "label_smoothing", "temperature", "split", "class"]


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """The points shown: one seed's, train and val. Raises UserError without any."""
    points = points_of(frames, METHOD)
    if (points["role"] == "student").any():
        degrees = temperatures(points, options)
        points = points[points["temperature"].isna() | points["temperature"].isin(degrees)]
    what = "Penultimate features on the plane of Algorithm 1 (QR of the three classes' templates, PCA from 3 to 2)"
    return present(points, centres(points), caption(what, points, options), FORMULA)


def points_of(frames: Frames, method: str) -> pd.DataFrame:
    """The points of one method, of one network for each setting, on train and val (test where there is no val)."""
    points = pick(frames, "projection", method=method)
    held_out = "val" if (points["split"] == "val").any() else "test"
    points = pick({"projection": points}, "projection", split=["train", held_out, "template"])
    points = named(of_first_seed(points))
    points = points.assign(rank=points["role"].map(RANK))  # the teacher first
    return points.sort_values(["rank", *KEYS, "sample"], kind="stable").drop(columns="rank")


def caption(what: str, points: pd.DataFrame, options: Options) -> str:
    """What is drawn, of which classes, seed, data and scale."""
    classes = ", ".join(order_of(points, options))
    scale = f" at {options['scale']} scale" if options.get("scale") else ""
    data = ", ".join(sorted(points["dataset"].unique()))
    return f"{what}; classes {classes} of {data}{scale}. One network each is shown: seed {first_seed(points)} (n = 1)."


def centres(points: pd.DataFrame) -> pd.DataFrame:
    """As text: each class's centre and the root mean square distance of its points from it."""
    rows = []
    for first, part in groups(points, KEYS):
        x, y = part["x"].mean(), part["y"].mean()
        width = math.sqrt(((part["x"] - x) ** 2 + (part["y"] - y) ** 2).mean())
        rows.append(
            {
                "Network": first["network"],
                "T": style.temperature_text(first["temperature"]),
                "α": f"{first['label_smoothing']:g}",
                "Split": first["split"],
                "Class": first["class"],
                "Centre": f"({number(x)}, {number(y)})",
                "Spread": number(width),
                "Points": str(len(part)),
            }
        )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """Rows w/o and w/ LS; for each network a train and a val panel; further networks in bands below.

    The panels of a row have the same axes.
    """
    networks = _networks(table)
    smoothings, splits = alphas(table), splits_of(table)
    bands = [networks[i : i + BAND] for i in range(0, len(networks), BAND)]
    wide = max(map(len, bands))
    figure = style.figure(style.DOUBLE, (1.04 * len(smoothings) + 0.35) * len(bands) + 0.3, options)
    grid = figure.subplots(len(bands) * len(smoothings), wide * len(splits), squeeze=False)
    for b, band in enumerate(bands):
        for i, alpha in enumerate(smoothings):
            row = grid[b * len(smoothings) + i]
            row[0].set_ylabel(style.alpha_text(alpha).replace(" (", "\n("))
            points_of = [part[part["label_smoothing"] == alpha] for _, part in band]
            for j, (label, _) in enumerate(band):
                pair = row[j * len(splits) : (j + 1) * len(splits)]
                network(pair, points_of[j], splits, order_of(table, options), pd.concat(points_of))
                for panel in pair:
                    panel.tick_params(labelleft=panel is row[0])
                if i == 0:
                    for panel, split in zip(pair, splits, strict=True):
                        panel.set_title(f"{label}\n{split}")
            for panel in row[len(band) * len(splits) :]:
                panel.remove()
    style.legend_below(figure, class_handles(table, options), 4)
    return figure


def network(panels: Any, part: pd.DataFrame, splits: list[str], classes: list[str], around: pd.DataFrame) -> None:
    """One network's panels, on axes around all points of the row, `around`."""
    for panel, split in zip(panels, splits, strict=True):
        scatter(panel, part[part["split"].isin([split, "template"])], classes)
        square(panel, around)


def scatter(panel: Axes, points: pd.DataFrame, classes: list[str]) -> None:
    """One network's points of one split, a colour and marker a class; crosses for the classes' templates."""
    for i, name in enumerate(classes):
        own = points[(points["class"] == name) & (points["split"] != "template")]
        colour, marker = style.CLASSES[i % 8], style.CLASS_MARKERS[i % 8]
        panel.plot(own["x"], own["y"], linestyle="", marker=marker, markersize=2.3, color=colour, alpha=0.65, mew=0)
    at = points[points["split"] == "template"]
    panel.plot(at["x"], at["y"], linestyle="", marker="x", markersize=4.5, color=style.BLACK, mew=0.9, zorder=4)


def square(panel: Axes, points: pd.DataFrame) -> None:
    """Square axes with one unit for x and y, around all of `points`."""
    half = 0.54 * max(float(points[axis].max() - points[axis].min()) for axis in ("x", "y")) or 1.0
    x, y = ((float(points[axis].max()) + float(points[axis].min())) / 2 for axis in ("x", "y"))
    panel.set_xlim(x - half, x + half)
    panel.set_ylim(y - half, y + half)
    panel.set_aspect("equal", adjustable="box")
    for axis in (panel.xaxis, panel.yaxis):  # the same steps
        axis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))


def order_of(points: pd.DataFrame, options: Options) -> list[str]:
    """The classes in the config's order, else by name."""
    there = sorted(points["class"].unique())
    return [name for name in options.get("classes", []) if name in there] or there


def class_handles(table: pd.DataFrame, options: Options) -> list[Any]:
    """The legend's entries for the classes, and for the templates where they are drawn."""
    looks = {"linestyle": "", "markersize": 4.5}
    handles = [
        style.handle(f"class {name}", color=style.CLASSES[i % 8], marker=style.CLASS_MARKERS[i % 8], **looks)
        for i, name in enumerate(order_of(table, options))
    ]
    if (table["split"] == "template").any():
        handles.append(style.handle("template", color=style.BLACK, marker="x", **looks))
    return handles


def splits_of(table: pd.DataFrame) -> list[str]:
    """The splits shown, train first."""
    return [split for split in ("train", "val", "test") if (table["split"] == split).any()]


def _networks(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Teacher first, then students by T; a label and the points of each."""
    ordered = table.assign(rank=table["role"].map(RANK))
    ordered = ordered.sort_values(["rank", "model", "network", "temperature"], kind="stable")
    several = ordered.groupby("role")["network"].nunique() > 1
    networks = []
    for first, part in groups(ordered, ["dataset", "network", "temperature"]):
        name = first["group"] if several[first["role"]] else first["role"]
        networks.append((f"{name}{style.degree_text(first)}", part))
    return networks
