"""What a way of teaching gains over labels alone: the same network by the same recipe, seed by seed."""

import math
from typing import Any

import pandas as pd

from lskd.analysis.statistics import FEWEST, LEVEL, compare
from lskd.figures.rows import SETTING, groups, number

ALONE = ("dataset", "model", "recipe")  # what a network taught otherwise shares with the one that labels taught
GAIN = ("gain", "gain_spread", "gain_n", "p")
FORMULA = (
    "Gain: top-1 less that of the same network trained on unsmoothed labels by the same recipe, in points, by seed;"
    " told: its mean is not 0 by a two-sided paired t-test at 5 %, each test by itself."
)


def by_seed(values: pd.DataFrame) -> "pd.Series[float]":
    """The values of one setting by seed, each the mean over the students of its teacher."""
    return values.groupby("seed")["value"].mean()


def of_labels(values: pd.DataFrame, row: dict[str, Any]) -> "pd.Series[float]":
    """The values of the network of a row's setting trained on labels as they are; empty where there is none."""
    alike = values["role"].ne("student") & values["variant"].eq("") & values["label_smoothing"].eq(0)
    for key in ALONE:
        alike &= values[key].eq(row[key])
    return by_seed(values[alike])


def paired(own: "pd.Series[float]", other: "pd.Series[float]") -> dict[str, float]:
    """The mean of the differences of two settings by seed, its spread, their number, and p of no difference."""
    result = compare((own - other).dropna().sort_index())
    return dict(zip(GAIN, (result["mean"], result["spread"], result["n"], result["p"]), strict=True))


def gains(values: pd.DataFrame) -> pd.DataFrame:
    """A row for each setting of `values` (runs with a value): mean `ours`, spread and n, and its gain over labels."""
    rows = []
    for first, part in groups(values, SETTING, sort=True):
        own, labels = by_seed(part), of_labels(values, first)
        rows.append(
            {key: first[key] for key in SETTING}
            | {"ours": own.mean(), "spread": own.std(), "n": len(own)}
            | {"labels": labels.mean(), "labels_spread": labels.std(), "labels_n": len(labels)}
            | paired(own, labels)
        )
    return pd.DataFrame(rows)


def gain_text(row: dict[str, Any]) -> str:
    """ "+1.20 ± 0.40 (3), told": a gain, and whether a test tells it from none; "—" for what is not compared."""
    if math.isnan(row["gain"]):
        return "—"
    spread = "" if math.isnan(row["gain_spread"]) else f" ± {row['gain_spread']:.2f}"
    is_told = row["gain_n"] >= FEWEST and row["p"] < LEVEL
    return f"{number(row['gain'], sign=True)}{spread} ({row['gain_n']:.0f}), {'told' if is_told else 'cannot tell'}"
