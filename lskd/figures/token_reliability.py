"""Reliability of a translation's next tokens: hard targets, temperature scaling, smoothing (Müller 2019, fig. 3)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import reliability
from lskd.figures.tokens import as_calibration

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "ECE = sum over bins b of (n_b/n) |accuracy_b − confidence_b|, 15 bins of equal width, over the target tokens given"
    " the right prefix (Müller 2019, section 3). Temperature scaling: the T that minimises the NLL of softmax(z/T) on"
    " val, measured on test."
)


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Confidence, accuracy and share of the test tokens by bin, pooled over seeds; ECE as mean, spread and n."""
    of_tokens = {
        "reliability": frames["next_token_reliability"],
        "calibration": as_calibration(frames["next_token"]),
    }
    return reliability.table_of(of_tokens, options, "tokens", FORMULA)


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """As of images."""
    return reliability.draw(table, frames, options)
