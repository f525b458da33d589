"""Mean predicted probabilities of each class, and the minor ones, with and without smoothing (Shen 2021, figure 4)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, named, order, over_seeds, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "p(k|c) = mean over the images of class c of softmax(z)_k; minor probabilities are those with k ≠ c (Shen "
    "2021, figure 4)."
)


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """The class-mean probability that class `predicted` gets on train images of `class`, at T = 1."""
    values = pick(frames, "probabilities", split="train", temperature_at=1)
    numbers = named(over_seeds(values, [*SETTING, "class", "predicted"]))
    return present(numbers, _layout(numbers, values), _caption(values, options), FORMULA)


def _layout(numbers: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """By network: the mean probability of the right class, and mean and largest of the others."""
    right = values["class"] == values["predicted"]
    parts = {
        "right class": over_seeds(_mean(values[right], "mean"), SETTING),
        "minor, mean": over_seeds(_mean(values[~right], "mean"), SETTING),
        "minor, largest": over_seeds(_mean(values[~right], "max"), SETTING),
    }
    shown = pd.DataFrame(
        {
            "Network": f"{row['dataset']}: {row['network']}",
            "T": style.temperature_text(row["temperature"]),
            "α": f"{row['label_smoothing']:g}",
        }
        for row in records(named(parts["right class"]))
    )
    for name, part in parts.items():
        shown[name] = [cell(r["mean"], r["spread"], r["n"], 4) for r in records(part)]
    return shown


def _mean(values: pd.DataFrame, how: str) -> pd.DataFrame:
    return values.groupby([*SETTING, "seed", "run"], dropna=False)["value"].agg(how).reset_index()


def _caption(values: pd.DataFrame, options: Options) -> str:
    what = "Mean softmax output (T = 1) over the train images of each class; minor: the probabilities of wrong classes"
    return f"{what} (number of seeds in brackets). {measured(values, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """By network: the right class's probability for each class, then the minor ones for each alpha on one scale."""
    networks = list(groups(table, ["dataset", "network", "temperature"]))
    smoothings = alphas(table)
    classes = order(frames["probabilities"], "class")
    rows = (1 + len(smoothings)) * len(networks)
    figure = style.figure(style.DOUBLE, 1.25 * rows + 0.5, options)
    axes = figure.subplots(rows, 1, squeeze=False, sharex=True)[:, 0]
    for i, (first, part) in enumerate(networks):
        own = axes[i * (1 + len(smoothings)) : (i + 1) * (1 + len(smoothings))]
        _right(own[0], part, classes)
        own[0].set_title(f"{first['dataset']}: {first['network']}{style.degree_text(first)}")
        highest = part.loc[part["class"] != part["predicted"], "mean"].max()
        for panel, alpha in zip(own[1:], smoothings, strict=True):
            _minor(panel, part[part["label_smoothing"] == alpha], classes, alpha)
            panel.set_ylim(0, highest * 1.08)
    axes[-1].set_xlabel("class")
    handles = [style.handle(style.alpha_text(a), color=style.alpha_colour(a), linewidth=4) for a in smoothings]
    style.legend_below(figure, handles, 3)
    return figure


def _right(panel: Axes, part: pd.DataFrame, classes: list[str]) -> None:
    smoothings = alphas(part)
    width = 0.8 / len(smoothings)
    for i, alpha in enumerate(smoothings):
        own = part[(part["label_smoothing"] == alpha) & (part["class"] == part["predicted"])].set_index("class")
        at = np.arange(len(classes)) + width * (i - (len(smoothings) - 1) / 2)
        heights, spread = own["mean"].reindex(classes), own["spread"].reindex(classes).fillna(0)
        bars: dict[str, Any] = {"elinewidth": 0.7, "ecolor": style.BLACK}
        panel.bar(at, heights, width * 0.92, color=style.alpha_colour(alpha), yerr=spread, error_kw=bars)
    panel.set_ylabel("right class")
    panel.set_ylim(0, 1.02)
    _classes(panel, classes)


def _minor(panel: Axes, part: pd.DataFrame, classes: list[str], alpha: float) -> None:
    """Thin bars: at each class, the probabilities that the other classes get, in their order."""
    step = 0.84 / len(classes)
    wrong = part[part["class"] != part["predicted"]]
    place = {name: i for i, name in enumerate(classes)}
    at = [place[row["class"]] - 0.42 + step * (place[row["predicted"]] + 0.5) for row in records(wrong)]
    colour = style.alpha_colour(alpha)
    # the edge keeps bars in the picture that are narrower than a pixel
    panel.bar(at, wrong["mean"], step * 0.85, color=colour, edgecolor=colour, linewidth=0.4)
    panel.set_ylabel(f"minor,\nα = {alpha:g}")
    _classes(panel, classes)


def _classes(panel: Axes, classes: list[str]) -> None:
    every = -(-len(classes) // 20)
    long = max(map(len, classes)) > 6
    panel.set_xticks(range(0, len(classes), every), classes[::every], rotation=45 if long else 0)
    panel.set_xlim(-0.6, len(classes) - 0.4)
    panel.grid(axis="x", visible=False)
