"""BLEU on val along the training of teachers and of their students, without and with LS (Shen 2021, figure 7)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.decoding import curves, handles
from lskd.figures.rows import SETTING, cell, groups, measured, named, over_seeds, pick, present, temperatures

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "BLEU (sacrebleu's) on val of the network after so many updates, decoded by beam search: of teachers trained on"
    " labels smoothed by α, and of students of these teachers (Shen 2021, figure 7)."
)
PANEL = ["dataset", "network", "temperature"]


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """BLEU on val by setting and update: mean, spread and n."""
    values = pick(frames, "bleu_history", split="val", metric="bleu")
    values = values[values["temperature"].isna() | values["temperature"].isin(temperatures(values, options))]
    numbers = named(over_seeds(values, [*SETTING, "update"]))
    return present(numbers, _layout(numbers), _caption(values, options), FORMULA)


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """The last update of each setting, and the best mean."""
    rows = []
    for first, part in groups(numbers, [*PANEL, "label_smoothing"]):
        last, best = part.sort_values("update").iloc[-1], part.sort_values("mean").iloc[-1]
        rows.append(
            {
                "Network": f"{first['dataset']}: {first['network']}",
                "T": style.temperature_text(first["temperature"]),
                "α": f"{first['label_smoothing']:g}",
                "Updates": f"{last['update']:.0f}",
                "last BLEU": cell(last["mean"], last["spread"], last["n"]),
                "best BLEU": f"{cell(best['mean'], best['spread'])} after {best['update']:.0f}",
            }
        )
    return pd.DataFrame(rows)


def _caption(values: pd.DataFrame, options: Options) -> str:
    what = "BLEU on val along the training of networks on labels smoothed by α, and of students of such teachers"
    signature = ", ".join(sorted(set(values["signature"])))
    return f"{what} (number of seeds in brackets). BLEU: {signature}. {measured(values, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A panel for each network and T, teachers first; a colour for each alpha, a band for the spread."""
    panels = sorted(groups(table, PANEL), key=lambda panel: panel[0]["role"] == "student")
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = style.figure(style.COLUMN if columns == 1 else style.DOUBLE, 2.1 * rows + 0.4, options)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel, (first, part) in zip(axes.flat, panels, strict=False):
        curves(panel, part, "update", marker="o")
        panel.set_title(style.in_lines(f"{first['dataset']}: {first['network']}{style.degree_text(first)}"))
        panel.set_xlabel("updates")
    for panel in axes.flat[len(panels) :]:
        panel.remove()
    for panel in axes[:, 0]:
        panel.set_ylabel("BLEU on val")
    style.legend_below(figure, handles(table), 3)
    return figure
