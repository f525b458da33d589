"""The statistics of a comparison: paired differences over seeds, and p corrected for many comparisons.

The paired t-test and the 95 % interval of the t distribution. Where all n differences are equal, t is undefined: p is 1
where they are 0, else 2^(1 - n), the exact two-sided sign test, and there is no interval. Below FEWEST pairs nothing is
claimed, whatever p is. Axes: n pairs, m comparisons.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

LEVEL = 0.05  # of the tests; the intervals cover 1 - LEVEL
FEWEST = 3  # pairs
TIE = 1e-9  # differences nearer to each other than this are equal; one image in a million is 1e-4 points


def compare(difference_n: ArrayLike) -> dict[str, Any]:
    """mean, spread (sample standard deviation), low and high (95 % interval), t and p of paired differences [n]; n.

    A NaN stands for what n is too small for, and for t and the interval of equal differences (see the module).
    """
    values_n = np.asarray(difference_n, dtype=np.float64)
    n = len(values_n)
    unknown = dict.fromkeys(("mean", "spread", "low", "high", "t", "p"), np.nan) | {"n": n}
    if n == 0:
        return unknown
    mean = float(values_n.mean())
    if n == 1:
        return unknown | {"mean": mean}
    if np.ptp(values_n) <= TIE:
        sign_test = 1.0 if abs(mean) <= TIE else 2.0 ** (1 - n)
        return unknown | {"mean": mean, "spread": 0.0, "p": sign_test}
    spread = float(values_n.std(ddof=1))
    error = spread / np.sqrt(n)
    half = float(stdtrit(n - 1, 1 - LEVEL / 2) * error)
    t = float(mean / error)
    p = float(2 * stdtr(n - 1, -abs(t)))
    return {"mean": mean, "spread": spread, "low": mean - half, "high": mean + half, "t": t, "p": p, "n": n}


def holm(p_m: ArrayLike) -> np.ndarray:
    """Holm's (1979) adjusted p [m], which control the chance of any false claim; NaN is not counted and stays NaN."""
    p_m = np.asarray(p_m, dtype=np.float64)
    adjusted_m = np.full(p_m.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_m))
    order = known[np.argsort(p_m[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted_m[order] = np.minimum(np.maximum.accumulate(p_m[order] * factors), 1)
    return adjusted_m
