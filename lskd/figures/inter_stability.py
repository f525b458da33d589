"""Accuracy and inter-class stability (Shen 2021, eq. 5-7 and table 10)."""

from typing import Any

import pandas as pd

from lskd.figures.stability import draw as draw  # the same dots, of another definition
from lskd.figures.stability import stability

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Accuracy in percent and 1 - inter-class stability on test by network and alpha, beside the paper's."""
    return stability(frames, options, ["stability_inter"])
