"""Reliability diagrams, 15 bins: hard targets, the same with temperature scaling, smoothing (Müller 2019, fig. 2)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.rows import SETTING, cell, groups, measured, named, number, over_seeds, pick, present

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "ECE = sum over bins b of (n_b/n) |accuracy_b − confidence_b|, 15 bins of equal width. Temperature scaling: "
    "the T that minimises the NLL of softmax(z/T) on val, measured on test."
)
PANEL = ["dataset", "network", "temperature"]


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Confidence, accuracy and share of the test images by bin, pooled over seeds; ECE as mean, spread and n."""
    return table_of(frames, options, "images", FORMULA)


def table_of(frames: Frames, options: Options, samples: str, formula: str) -> pd.DataFrame:
    """The same of what `samples` names."""
    bins = pick(frames, "reliability", split="test", binning="width")
    bins = bins[(bins["label_smoothing"] == 0) | ~bins["scaled"].astype(bool)]
    setting = [*SETTING, "scaled"]
    weighed = bins.assign(
        confidence=(bins["confidence"] * bins["count"]).where(bins["count"] > 0, 0),
        accuracy=(bins["accuracy"] * bins["count"]).where(bins["count"] > 0, 0),
    )
    sums = ["confidence", "accuracy", "count"]
    pooled = weighed.groupby([*setting, "bin", "lower", "upper"], dropna=False)[sums].sum().reset_index()
    pooled[["confidence", "accuracy"]] = pooled[["confidence", "accuracy"]].div(
        pooled["count"].where(pooled["count"] > 0), axis=0
    )
    pooled["share"] = pooled["count"] / pooled.groupby(setting, dropna=False)["count"].transform("sum")
    pooled = named(pooled.merge(_errors(frames), on=setting, how="left"))
    return present(pooled, _layout(pooled, samples), _caption(bins, options, samples), formula)


def _errors(frames: Frames) -> pd.DataFrame:
    """ECE by setting, before and after scaling, and the temperature fitted on val."""
    errors = pick(frames, "calibration", split="test", metric=["ece", "ece_scaled"])
    errors = errors.assign(scaled=errors["metric"] == "ece_scaled")
    return over_seeds(errors, [*SETTING, "scaled"])[[*SETTING, "scaled", "mean", "spread", "n"]].rename(
        columns={"mean": "ece_mean", "spread": "ece_spread"}
    )


def _layout(pooled: pd.DataFrame, samples: str) -> pd.DataFrame:
    rows = []
    for first, part in groups(pooled, [*PANEL, "label_smoothing", "scaled"]):
        filled = part[part["count"] > 0]
        gap = (filled["confidence"] - filled["accuracy"]).mul(filled["share"]).sum()
        row = {
            "Network": first["network"],
            "T": style.temperature_text(first["temperature"]),
            "Curve": _label(first["label_smoothing"], first["scaled"]),
            "ECE": cell(first["ece_mean"], first["ece_spread"], first["n"], 4),
            "Confidence − accuracy": number(gap, 4, sign=True),
            samples.capitalize(): f"{part['count'].sum():.0f}",
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _caption(bins: pd.DataFrame, options: Options, samples: str) -> str:
    pooled = f"test {samples} of all seeds pooled"
    what = f"Reliability diagram, 15 bins of equal width, {pooled}; ECE with its number of seeds"
    return f"{what}. The scaling temperature is fitted on val by NLL. {measured(bins, options)}"


def _label(alpha: float, scaled: bool) -> str:
    if alpha:
        return f"label smoothing, α = {alpha:g}"
    return "hard targets + temp. scaling" if scaled else "hard targets"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A panel for each network: accuracy over confidence, the diagonal dashed, and below it the bins' shares."""
    panels = list(groups(table, PANEL))
    columns = min(len(panels), 2)
    bands = -(-len(panels) // columns)
    width = style.COLUMN if columns == 1 else style.DOUBLE
    figure = style.figure(width, 4.4 * bands, options)
    ratios = [3.2, 0.9] * bands
    axes = figure.subplots(2 * bands, columns, squeeze=False, gridspec_kw={"height_ratios": ratios}, sharex=True)
    for i, (first, part) in enumerate(panels):
        upper, lower = axes[i // columns * 2, i % columns], axes[i // columns * 2 + 1, i % columns]
        upper.set_title(f"{first['dataset']}: {first['network']}{style.degree_text(first)}")
        _panel(upper, lower, part)
    for i in range(len(panels), bands * columns):
        axes[i // columns * 2, i % columns].remove()
        axes[i // columns * 2 + 1, i % columns].remove()
    return figure


def _panel(upper: Axes, lower: Axes, part: pd.DataFrame) -> None:
    upper.plot([0, 1], [0, 1], color=style.GREY, linestyle="--", linewidth=0.8)
    handles = []
    for first, curve in groups(part, ["label_smoothing", "scaled"], sort=True):
        alpha, scaled = first["label_smoothing"], first["scaled"]
        look: dict[str, Any] = {"color": style.alpha_colour(alpha)}
        mark: dict[str, Any] = {"marker": "o" if alpha else "", "linestyle": "-"}
        if scaled:
            mark = {"marker": "x", "linestyle": "--"}
        text = f"{_label(alpha, scaled)}: ECE {cell(first['ece_mean'], first['ece_spread'], first['n'], 3)}"
        filled = curve[curve["count"] > 0]
        upper.plot(filled["confidence"], filled["accuracy"], markersize=3.5, **look, **mark)
        edges = [*curve["lower"], curve["upper"].iloc[-1]]
        lower.stairs(curve["share"], edges, linestyle=mark["linestyle"], linewidth=1, **look)
        handles.append(style.handle(text, markersize=3.5, **look, **mark))
    upper.set_xlim(0, 1)
    upper.set_ylim(0, 1.02)
    upper.set_ylabel("accuracy")
    lower.set_ylabel("share")
    lower.set_ylim(bottom=0)
    lower.set_xlabel("confidence")
    lower.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.62))
