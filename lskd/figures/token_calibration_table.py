"""Calibration error of a translation's next tokens by method (Müller 2019, table 3, the row of WMT En-De)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import calibration_table
from lskd.figures.tokens import as_calibration

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "ECE = sum over bins b of (n_b/n) |accuracy_b − confidence_b|, 15 bins of equal width, over the target tokens given"
    " the right prefix, before and after temperature scaling fitted on val (Müller 2019, table 3)."
)


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Calibration on test by network and method, and on val where the paper's is on val, beside the paper's."""
    of_tokens = {"calibration": as_calibration(frames["next_token"])}
    return calibration_table.table_of(of_tokens, options, FORMULA, of_tokens=True)


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """As of images."""
    return calibration_table.draw(table, frames, options)
