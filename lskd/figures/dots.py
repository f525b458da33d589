"""A dot plot: a row for each setting, a panel for each quantity, the numbers written at its right."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.figures import style


def dots(lines: list[dict[str, Any]], titles: list[str], options: dict[str, Any], left: bool = False) -> Figure:
    """`lines`: label, colour, marker and values, one (value, spread, text) for each of `titles`, from top to bottom.

    `left`: the axis starts at 0, as it must where the distance from 0 is the message.
    """
    width = style.COLUMN + 0.8 if len(titles) == 1 else style.DOUBLE
    figure = style.figure(width, 0.19 * len(lines) + 0.95, options)
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for i, (panel, title) in enumerate(zip(axes, titles, strict=True)):
        _panel(panel, lines, i, len(titles))
        panel.set_xlabel(title)
        if left:
            panel.update_datalim([(0, 0)], updatey=False)  # so that the right margin is a part of the whole axis
            panel.autoscale_view(scaley=False)
            panel.set_xlim(left=0)
        panel.set_yticks(range(len(lines)), [line["label"] for line in lines] if i == 0 else [""] * len(lines))
    return figure


def _panel(panel: Axes, lines: list[dict[str, Any]], column: int, panels: int) -> None:
    for row, line in enumerate(lines):
        value, spread, _ = line["values"][column]
        look = {"color": line["colour"], "marker": line["marker"], "linestyle": "", "elinewidth": 1}
        panel.errorbar([value], [row], xerr=[0 if spread != spread else spread], **look)  # NaN: one run, no bar
    panel.margins(x=0.12)
    panel.set_ylim(len(lines) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)
    style.few_ticks(panel, x=3 if panels < 3 else 2)
    right = panel.twinx()
    right.set_ylim(panel.get_ylim())
    right.set_yticks(range(len(lines)), [line["values"][column][2] for line in lines])
    right.tick_params(axis="y", length=0)
    right.grid(visible=False)
