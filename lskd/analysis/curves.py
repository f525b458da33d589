"""Curves of students' accuracy over how soft targets are, or over a dose; straight between what was measured.

Axes: s seeds, j students of one teacher, t temperatures, k doses or kinds of teacher.
"""

import numpy as np
import pandas as pd


def at_equal(x_hard_t: np.ndarray, hard_t: np.ndarray, x_ls_t: np.ndarray, ls_t: np.ndarray) -> tuple[float, float]:
    """The mean gap of two curves over their common range of x: at the same x, and at the same T; NaN without a range.

    x is how soft targets are, hard_t and ls_t are accuracies [T] at the same T, straight between them. Both means are
    over the same students of the LS teacher, each at its own x; they are compared with the hard teacher's students of
    the same x, or with those of the same T.
    """
    low, high = max(x_hard_t.min(), x_ls_t.min()), min(x_hard_t.max(), x_ls_t.max())
    if not low < high:  # NaN too
        return np.nan, np.nan
    knots = np.unique(np.clip(np.concatenate([x_hard_t, x_ls_t]), low, high))
    by_x, hard_by_x = np.argsort(x_ls_t, kind="stable"), np.argsort(x_hard_t, kind="stable")
    same_x = np.interp(knots, x_ls_t[by_x], ls_t[by_x]) - np.interp(knots, x_hard_t[hard_by_x], hard_t[hard_by_x])
    same_t = np.interp(knots, x_ls_t[by_x], (ls_t - hard_t)[by_x])
    width = high - low
    return float(np.trapezoid(same_x, knots) / width), float(np.trapezoid(same_t, knots) / width)


def at_x(x_t: np.ndarray, y_t: np.ndarray, x: float) -> float:
    """A curve's value at x, straight between its points; NaN outside them."""
    order = np.argsort(x_t, kind="stable")
    return float(np.interp(x, x_t[order], y_t[order], left=np.nan, right=np.nan))


def crossing(keeps: np.ndarray, accuracy: np.ndarray, wanted: float) -> float:
    """The largest lambda at which a dose-response, straight between its doses, is at `wanted`; NaN if never."""
    order = np.argsort(-keeps)
    keeps, above = keeps[order], accuracy[order] - wanted
    for i in range(len(keeps) - 1):
        if above[i] * above[i + 1] <= 0 and above[i] != above[i + 1]:
            return float(keeps[i] + (keeps[i + 1] - keeps[i]) * above[i] / (above[i] - above[i + 1]))
    return np.nan


def slope(keeps: np.ndarray, accuracy_sjk: np.ndarray) -> np.ndarray:
    """The least-squares slope [S, J] of accuracies [S, J, k] over k doses lambda, in points from lambda 0 to 1."""
    centred = keeps - keeps.mean()
    return accuracy_sjk @ centred / (centred @ centred)


def spearman(x_k: np.ndarray, y_k: np.ndarray) -> float:
    """Spearman's rank correlation; NaN below two values, or where all of one are equal."""
    if len(x_k) < 2 or np.ptp(x_k) == 0 or np.ptp(y_k) == 0:
        return np.nan
    ranks_2k = pd.DataFrame([x_k, y_k]).rank(axis=1)
    return float(np.corrcoef(ranks_2k)[0, 1])
