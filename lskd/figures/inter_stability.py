"""Accuracy and inter-class stability, by Shen 2021's eq. 5-7 and in the form of his Algorithm 1 (table 10)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import stability as intra
from lskd.figures.stability import stability

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "S = 1 − (1/K) sum over classes of |mean p of the class − mean p of all|² (Shen 2021, eq. 5–7), and the same "
    "with a standard deviation, as in Algorithm 1. Shown as 1 − S."
)


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Accuracy in percent and 1 - inter-class stability on test by network and alpha, beside the paper's."""
    return stability(frames, options, ["stability_inter", "stability_inter_std"], FORMULA)


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each network and alpha; panels: accuracy, and 1 - S between classes by each definition."""
    return intra.draw(table, frames, options)
