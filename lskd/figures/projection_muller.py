"""Penultimate activations on the plane through three templates (Müller 2019, figure 1)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.projection import caption, centres, class_handles, network, order_of, points_of, splits_of
from lskd.figures.rows import alphas, groups, present

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "Penultimate features of three classes on the plane through their last-layer templates [w, b]: the origin at the"
    " first, the x axis towards the second, the third at y > 0 (Müller 2019, section 2)."
)
ROW = ["dataset", "network", "temperature"]


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """The points shown: one seed's, train and val. Raises UserError without any."""
    points = points_of(frames, "muller")
    what = "Penultimate activations on the plane through the three classes' templates (Müller 2019, figure 1)"
    return present(points, centres(points), caption(what, points, options), FORMULA)


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each network, on the same axes; columns: w/o LS train and val, then w/ LS train and val."""
    rows = list(groups(table, ROW))
    smoothings, splits = alphas(table), splits_of(table)
    columns = len(smoothings) * len(splits)
    figure = style.figure(style.DOUBLE, (style.DOUBLE / columns - 0.25) * len(rows) + 0.6, options)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for i, (first, part) in enumerate(rows):
        name = first["network"].replace(" (teacher)", "")
        grid[i, 0].set_ylabel(f"{name}{style.degree_text(first)}\n{first['dataset']}")
        for j, alpha in enumerate(smoothings):
            pair = grid[i, j * len(splits) : (j + 1) * len(splits)]
            network(pair, part[part["label_smoothing"] == alpha], splits, order_of(table, options), part)
            for panel, split in zip(pair, splits, strict=True):
                panel.tick_params(labelleft=panel is grid[i, 0])
                if i == 0:
                    panel.set_title(f"{style.alpha_text(alpha)}\n{split}")
    style.legend_below(figure, class_handles(table, options), 4)
    style.settle(figure)
    return figure
