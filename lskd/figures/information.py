"""Mutual information of input index and logit difference along the teacher's training (Müller 2019, figure 6)."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, named, over_seeds, pick, present

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "I(X; Y) = E[log p(y|x) − log p(y)] of the index x of a training image and the difference y of two logits, "
    "with p(y|x) a Gaussian around the mean of an image's augmentation draws, the one at hand left out, so that few "
    "draws add nothing (Müller 2019, section 4 and A.2)."
)


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Mutual information in nats by network, alpha and epoch."""
    values = pick(frames, "information", metric="mutual_information")
    numbers = named(over_seeds(values, [*SETTING, "epoch", "samples"]))
    return present(numbers, _layout(numbers), _caption(numbers, values, options), FORMULA)


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each network: at its largest, and at the end of training."""
    rows = []
    for first, part in groups(numbers, SETTING):
        last, top = part.iloc[-1], part.nlargest(1, "mean").iloc[0]
        rows.append(
            {
                "Network": f"{first['dataset']}: {first['network']}",
                "α": f"{first['label_smoothing']:g}",
                "largest": cell(top["mean"], top["spread"], top["n"], 3),
                "at epoch": f"{top['epoch']:g}",
                "last": cell(last["mean"], last["spread"], last["n"], 3),
                "last epoch": f"{last['epoch']:g}",
            }
        )
    return pd.DataFrame(rows)


def _caption(numbers: pd.DataFrame, values: pd.DataFrame, options: Options) -> str:
    what = "Estimated mutual information (nats) of input index and difference of two logits along training"
    classes = options.get("classes", [])
    of = f", classes {' and '.join(classes[:2])}" if len(classes) >= 2 else ""
    many = f", N = {numbers['samples'].max():g}"
    limits = "it lies between 0 and log N, and is log 2 for two collapsed clusters"
    return f"{what}{of}{many}; {limits}. {measured(values, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A curve for each alpha with a band of one spread; lines at log N and log 2."""
    data = list(groups(table, ["dataset", "network"]))
    figure = style.figure(style.COLUMN * 1.2 if len(data) == 1 else style.DOUBLE, 2.7, options)
    axes = figure.subplots(1, len(data), squeeze=False, sharey=True)[0]
    for panel, (first, part) in zip(axes, data, strict=True):
        for alpha in alphas(part):
            own = part[part["label_smoothing"] == alpha]
            colour, spread = style.alpha_colour(alpha), own["spread"].fillna(0)
            panel.plot(own["epoch"], own["mean"], color=colour, marker="o", markersize=2.5)
            panel.fill_between(own["epoch"], own["mean"] - spread, own["mean"] + spread, color=colour, alpha=0.18, lw=0)
        limits = {"log 2": math.log(2), "log N": math.log(part["samples"].max())}
        for name, value in limits.items():
            panel.axhline(value, color=style.GREY, linestyle="--", linewidth=0.8)
            panel.text(0.99, value, name, transform=panel.get_yaxis_transform(), ha="right", va="bottom", fontsize=7)
        panel.set_title(f"{first['dataset']}: {first['network']}")
        panel.set_xlabel("epoch of the teacher's training")
        panel.set_ylim(bottom=0)
    axes[0].set_ylabel("mutual information (nats)")
    handles = [style.handle(style.alpha_text(a), color=style.alpha_colour(a), marker="o") for a in alphas(table)]
    style.legend_below(figure, handles, 3)
    return figure
