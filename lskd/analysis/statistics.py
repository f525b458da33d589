"""The statistics of a comparison: paired differences over seeds, one value a seed of the teachers.

The paired t-test, intervals of the t distribution, equivalence by two one-sided tests, the effect that a test detects,
a repeated-measures F, and the sign-flip test, which assumes no normal distribution. Where all n differences are equal,
t is undefined: the exact sign test stands for it, p = 2^(1 - n) two-sided (1 where they are 0), and there is no
interval. Below FEWEST pairs nothing is claimed, whatever p is.
Axes: n pairs (seeds), k comparisons, f sign flips, s seeds, j students of one teacher.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import fdtrc, nctdtr, stdtr, stdtrit

LEVEL = 0.05  # the chance of any false claim in a table
POWER = 0.8  # of the effect that is said to be detectable
FEWEST = 3  # pairs
TIE = 1e-9  # differences nearer to each other than this are equal; one image in a million is 1e-4 points
EXACT_FLIPS = 16  # seeds up to which all 2^n sign flips are made; above, DRAWN_FLIPS of them
DRAWN_FLIPS = 1 << 16


def compare(difference_n: ArrayLike) -> dict[str, Any]:
    """mean, spread (sample standard deviation), t, two-sided p and n of paired differences [n].

    NaN stands for what n is too small for, and for the t of equal differences (see the module).
    """
    values_n = np.asarray(difference_n, dtype=np.float64)
    n = len(values_n)
    unknown = dict.fromkeys(("mean", "spread", "t", "p"), np.nan) | {"n": n}
    if n == 0:
        return unknown
    mean = float(values_n.mean())
    if n == 1:
        return unknown | {"mean": mean}
    if np.ptp(values_n) <= TIE:
        sign_test = 1.0 if abs(mean) <= TIE else 2.0 ** (1 - n)
        return unknown | {"mean": mean, "spread": 0.0, "p": sign_test}
    spread = float(values_n.std(ddof=1))
    t = float(mean / spread * np.sqrt(n))
    return {"mean": mean, "spread": spread, "t": t, "p": float(2 * stdtr(n - 1, -abs(t))), "n": n}


def one_sided(result: dict[str, Any]) -> float:
    """p of the mean of `compare` not being above 0; NaN where n is below 2."""
    p, mean = result["p"], result["mean"]
    if result["spread"] == 0 and mean <= TIE:
        return 1.0
    return p / 2 if mean > 0 else 1 - p / 2


def half_width(spread: float, n: int, tail: float) -> float:
    """Half of the interval that leaves out `tail` on each side; NaN without a spread (n < 2, or equal differences)."""
    if n < 2 or not spread > 0:
        return np.nan
    return float(stdtrit(n - 1, 1 - tail) * spread / np.sqrt(n))


def equivalence(mean: float, spread: float, n: int, margin: float) -> float:
    """p of |true mean| >= margin by two one-sided t-tests (Schuirmann 1987), the larger of the two; NaN where n < 2.

    Below a level it says "no difference of `margin` or more", and then, and only then, does the interval that leaves
    out that level on each side lie within the margin.
    """
    if n < 2 or np.isnan(margin):
        return np.nan
    if spread == 0:
        return 2.0**-n if abs(mean) < margin else 1.0
    return float(stdtr(n - 1, (abs(mean) - margin) / spread * np.sqrt(n)))


def detectable(spread: float, n: int, level: float) -> float:
    """The true mean that the two-sided t-test at `level` finds with a chance of POWER; NaN without a spread."""
    return np.nan if n < 2 or not spread > 0 else _noncentrality(n, level) * spread / np.sqrt(n)


@cache
def _noncentrality(n: int, level: float) -> float:
    """delta for which the noncentral t with n - 1 degrees of freedom exceeds the critical t with a chance of POWER."""
    critical = float(stdtrit(n - 1, 1 - level / 2))

    def lack(delta: float) -> float:
        below, lower = np.nan_to_num(nctdtr(n - 1, delta, critical)), np.nan_to_num(nctdtr(n - 1, delta, -critical))
        return float(below - lower - (1 - POWER))

    highest = critical
    while lack(highest) > 0:
        highest *= 2
    return float(brentq(lack, 0, highest, xtol=1e-12))


def omnibus(difference_nk: np.ndarray) -> dict[str, Any]:
    """F, both degrees of freedom, p and n of one-way repeated measures: are the k means [n, k] equal?

    Degrees of freedom by Greenhouse and Geisser (1959), so that the k may differ in spread; it works for n <= k too.
    """
    n, k = difference_nk.shape
    result: dict[str, Any] = dict.fromkeys(("f", "df1", "df2", "p"), np.nan) | {"n": n}
    if n < 2 or k < 2:
        return result
    centred_nk = difference_nk - difference_nk.mean(1, keepdims=True)
    mean_k = centred_nk.mean(0)
    residual_nk = centred_nk - mean_k
    if np.abs(residual_nk).max() <= TIE:
        return result | {"p": 1.0 if np.ptp(mean_k) <= TIE else 2.0 ** (1 - n)}
    f = n * (n - 1) * float(mean_k @ mean_k) / float((residual_nk**2).sum())
    covariance_kk = residual_nk.T @ residual_nk
    epsilon = float(np.trace(covariance_kk) ** 2 / (k - 1) / (covariance_kk**2).sum())
    df1, df2 = epsilon * (k - 1), epsilon * (k - 1) * (n - 1)
    return {"f": f, "df1": df1, "df2": df2, "p": float(fdtrc(df1, df2, f)), "n": n}


def sign_flips(difference_nk: np.ndarray) -> np.ndarray:
    """Adjusted p [k] of differences [n, k] by flipping the sign of whole seeds; NaN stands for a missing difference.

    The max-T test (Westfall and Young 1993): of all 2^n flips, the share in which the largest |t| of the k is at least
    this one's. Exact where each seed's differences are as likely as their negatives; no p is below 2^(1 - n). The
    statistic is |sum| / sqrt(n sum of squares), which rises with |t| and is defined for equal differences too.
    """
    present_nk = ~np.isnan(difference_nk)
    values_nk = np.where(present_nk, difference_nk, 0.0)
    scale_k = np.sqrt(present_nk.sum(0) * (values_nk**2).sum(0))
    statistic_fk = np.abs(_flips(len(values_nk)) @ values_nk) / np.where(scale_k > 0, scale_k, 1)
    return (statistic_fk.max(1)[:, None] >= statistic_fk[0] - TIE).mean(0)


@lru_cache(maxsize=8)
def _flips(n: int) -> np.ndarray:
    """Signs [f, n], the first flip none. A flip and its negative give one |t|, so the last seed keeps its sign."""
    if n <= EXACT_FLIPS:
        return 1.0 - 2.0 * ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1)
    signs_fn = np.random.default_rng(0).choice([-1.0, 1.0], (DRAWN_FLIPS, n))
    signs_fn[0] = 1
    return signs_fn


def components(difference_sj: np.ndarray) -> dict[str, float]:
    """Spread (standard deviation) of differences [s, j] between seeds and between the students of one seed.

    One-way random effects by the method of moments, a negative variance as 0 (Searle 1971, chapter 11); NaN stands for
    a missing student. Both are NaN where no seed has two students or there is one seed.
    """
    unknown = {"between_seeds": np.nan, "between_students": np.nan}
    students_s = (~np.isnan(difference_sj)).sum(1)
    values_sj, students_s = difference_sj[students_s > 0], students_s[students_s > 0]
    seeds, total = len(students_s), int(students_s.sum())
    if seeds < 2 or total == seeds:
        return unknown
    mean_s = np.nansum(values_sj, 1) / students_s
    within = float(np.nansum((values_sj - mean_s[:, None]) ** 2) / (total - seeds))
    grand = float(mean_s @ students_s / total)
    between = float(students_s @ (mean_s - grand) ** 2 / (seeds - 1))
    size = (total - float((students_s**2).sum()) / total) / (seeds - 1)
    return {"between_seeds": np.sqrt(max(between - within, 0) / size), "between_students": np.sqrt(within)}


def look_level(seeds: int, looks: Iterable[int] = (), planned: Iterable[int] = ()) -> tuple[float, float]:
    """The level of a look at so many seeds, and the bound on the chance of any false claim in it and all before it.

    `looks` are the earlier looks that were not planned: each look after them has half the level of the one before. The
    planned looks share LEVEL in proportion to the seeds that each adds (a Bonferroni bound: the levels are summed).
    """
    planned, looks = sorted(planned), list(looks)
    spent = sum(LEVEL / 2**place for place in range(len(looks)))
    if seeds in planned:
        before = max((n for n in planned if n < seeds), default=0)
        level, spent_as_planned = LEVEL * (seeds - before) / planned[-1], LEVEL * before / planned[-1]
        return level, level + spent_as_planned + spent
    passed = max((n for n in planned if n < seeds), default=0)
    level = LEVEL / 2 ** len(looks)
    return level, level + spent + (LEVEL * passed / planned[-1] if planned else 0.0)
