"""BLEU, NLL and calibration error over the temperature of decoding, without and with LS (Müller 2019, figure 4)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, named, over_seeds, pick, present

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "At each decoding temperature T the softmax is that of z/T: BLEU (sacrebleu's) of its beam search, and of the next"
    " tokens given the right prefix the NLL −ln p(token) and the ECE, 15 bins of equal width (Müller 2019, figure 4)."
)
METRICS = {"bleu": ("BLEU", 2), "nll": ("NLL (nats)", 4), "ece": ("ECE", 4)}  # with its digits
PANEL = ["dataset", "network", "temperature"]


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """BLEU, NLL and ECE on test by setting and decoding temperature (temperature_at): mean, spread and n.

    Raises UserError where nothing was decoded at two temperatures.
    """
    tokens = pick(frames, "next_token", split="test", metric=["nll", "ece"])
    values = pd.concat([pick(frames, "bleu", split="test", metric="bleu"), tokens[~tokens["is_fitted"].astype(bool)]])
    if values["temperature_at"].nunique() < 2:
        raise UserError("decoding: one decoding temperature is no curve; give the study's decoding two or more")
    numbers = named(over_seeds(values, [*SETTING, "metric", "temperature_at"]))
    return present(numbers, _layout(numbers), _caption(values, options), FORMULA)


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for first, part in groups(numbers, [*PANEL, "label_smoothing", "temperature_at"], sort=True):
        row = {
            "Network": f"{first['dataset']}: {first['network']}{style.degree_text(first)}",
            "α": f"{first['label_smoothing']:g}",
            "decoding T": f"{first['temperature_at']:g}",
        }
        for metric, (name, digits) in METRICS.items():
            own = part[part["metric"] == metric]
            row[name] = cell(own["mean"].iloc[0], own["spread"].iloc[0], own["n"].iloc[0], digits) if len(own) else "—"
        rows.append(row)
    return pd.DataFrame(rows)


def _caption(values: pd.DataFrame, options: Options) -> str:
    what = "BLEU, NLL and ECE of next tokens on test, over the temperature that divides the logits in decoding"
    signature = ", ".join(sorted(set(values["signature"].dropna())))
    return f"{what} (number of seeds in brackets). BLEU: {signature}. {measured(values, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each network; a panel for each quantity, a colour for each alpha, a band for the spread."""
    rows = list(groups(table, PANEL))
    figure = style.figure(style.DOUBLE, 1.75 * len(rows) + 0.65, options)
    axes = figure.subplots(len(rows), len(METRICS), squeeze=False, sharex=True)
    for i, (first, part) in enumerate(rows):
        for panel, (metric, (name, _)) in zip(axes[i], METRICS.items(), strict=True):
            curves(panel, part[part["metric"] == metric], "temperature_at", marker="o")
            panel.set_ylabel(name)
        axes[i, 0].set_title(f"{first['dataset']}: {first['network']}{style.degree_text(first)}", loc="left")
    for panel in axes[-1]:
        panel.set_xlabel("decoding temperature T")
    style.legend_below(figure, handles(table), 3)
    return figure


def curves(panel: Axes, part: pd.DataFrame, along: str, marker: str = "") -> None:
    """A curve of the means for each alpha, with the spread as a band."""
    for alpha in alphas(part):
        own = part[part["label_smoothing"] == alpha].sort_values(along)
        colour, spread = style.alpha_colour(alpha), own["spread"].fillna(0)
        panel.plot(own[along], own["mean"], color=colour, linewidth=1.1, marker=marker, markersize=3)
        panel.fill_between(own[along], own["mean"] - spread, own["mean"] + spread, color=colour, alpha=0.18, lw=0)
    style.few_ticks(panel, x=4, y=5)


def handles(table: pd.DataFrame) -> list[Any]:
    """The legend's entries of the alphas."""
    return [style.handle(style.alpha_text(alpha), color=style.alpha_colour(alpha)) for alpha in alphas(table)]
