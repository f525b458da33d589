"""One family of claims: all rows of a table that may say that something is so, judged together.

A claim is a row whose `weight` is above 0. Bonferroni in one step: with m the sum of the weights, a row has the share
weight / m of the level, p_adj = min(1, m p / weight), and its interval covers 1 - level weight / m. So a difference is
told if and only if the interval leaves out 0, and "no difference" (TOST) if and only if the interval that leaves out
that share on each side lies within the margin; all intervals hold together with a chance of 1 - level. A row of weight
0 stands beside: its interval covers 95 % by itself, and its word is the direction.
"""

import math
from typing import Any

import numpy as np

from lskd.analysis.statistics import FEWEST, LEVEL, TIE, detectable, equivalence, half_width

CANNOT_TELL, NO_DIFFERENCE, NOT_APART = "cannot tell", "no difference", "not told apart"
TOLD = {  # the words for a difference above and below 0 (of a prediction: as predicted, and not)
    "same T": ("helps", "hurts"),
    "interaction": ("higher", "lower"),
    "omnibus": ("differ", "differ"),
    "best on val": ("left out", "left out"),  # of the set that holds the best
    "choice": ("better", "worse"),
    "rule": ("better", "worse"),
    "prediction": ("seen", "opposite seen"),
    "truncation": ("higher", "lower"),
    "smoothing": ("helps", "hurts"),
}
BESIDE = ("higher, no claim", "lower, no claim", "equal, no claim")

Row = dict[str, Any]


def judged(rows: list[Row], level: float = LEVEL) -> list[Row]:
    """`rows` with claims (m), level, p_adj, low, high, p_equivalence, low_ and high_equivalence, detectable, verdict.

    A row has question, weight, sign (of what is predicted; else 1), is_one_sided, margin (NaN: none) and the results of
    `compare` or `omnibus`. Rows of fewer than FEWEST seeds tell nothing and burden no other.
    """
    claims = math.ceil(sum(row["weight"] for row in rows if row["n"] >= FEWEST) - TIE)
    return [row | _judged(row, max(claims, 1), level) for row in rows]


def _judged(row: Row, claims: int, level: float) -> Row:
    about: Row = {"claims": claims, "level": level}
    if not row["weight"]:
        about |= _interval(row, LEVEL / 2)
        return about | {"p_adj": np.nan, "verdict": CANNOT_TELL if row["n"] < FEWEST else _direction(row["mean"])}
    own = level * row["weight"] / claims
    about |= _interval(row, own if row["is_one_sided"] else own / 2)
    about |= {"p_adj": _adjusted(row["p"], level, own)}
    if row["is_one_sided"]:
        about["high"] = np.nan
    elif not math.isnan(row["mean"]):
        about |= _no_difference(row, level, own) | {"detectable": detectable(row["spread"], row["n"], own)}
    return about | {"verdict": _word(row | about)}


def _adjusted(p: float, level: float, own: float) -> float:
    return float(np.minimum(1.0, p * (level / own)))


def _interval(row: Row, tail: float) -> Row:
    half = half_width(row["spread"], row["n"], tail)
    return {"low": row["mean"] - half, "high": row["mean"] + half}


def _no_difference(row: Row, level: float, own: float) -> Row:
    p = equivalence(row["mean"], row["spread"], row["n"], row["margin"])
    within = _interval(row, own) if row["margin"] > 0 else dict.fromkeys(("low", "high"), np.nan)
    ends = {f"{end}_equivalence": value for end, value in within.items()}
    return {"p_equivalence": _adjusted(p, level, own)} | ends


def _word(row: Row) -> str:
    if row["n"] < FEWEST:
        return CANNOT_TELL
    if row["p_adj"] < row["level"]:
        return TOLD[row["question"]][0 if not row["mean"] * row["sign"] < 0 else 1]
    if row["question"] == "best on val":
        return NOT_APART
    return NO_DIFFERENCE if row.get("p_equivalence", 1.0) < row["level"] else CANNOT_TELL


def _direction(mean: float) -> str:
    return BESIDE[2] if abs(mean) <= TIE else BESIDE[0] if mean > 0 else BESIDE[1]
