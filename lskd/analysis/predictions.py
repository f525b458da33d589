"""What the papers predict of eta and of stability, and the calibration that students inherit: rows not yet judged.

**eta** (Chandrasegaran 2022; lskd/metrics/diffusion.py) of an LS teacher's student against that of its hard twin's,
paired by seed, each a mean over target classes: distances to similar classes (S1) fall with T, those to other classes
(S2) rise. With d the distances from a target to the other classes and r = d2 / d1 - 1, the normalisation mean_distance
makes sum_k d_k the same at T1 and T2, so that sum_k d1_k r_k = 0; mean_norm does so for the sum over all targets. Then
S1 cannot fall on average unless S2 rises (eta is the mean of r without the weights d1, so its own sum is 0 only in the
first order): eta on S1 minus eta on S2 is one finding, and one row. Divided by the features' norm, by nothing, or of
unit features, the distances may all fall or rise, and S1 and S2 have a row each.

**Stability** (Shen 2021; lskd/metrics/stability.py). If smoothing did nothing but move a teacher's outputs p to
(1 - a) p + a / K, the differences from a class's mean would shrink by 1 - a: eq. 2's scatter, which is of squares, by
(1 - a)^2 (0.81 at a = 0.1), the standard deviations of Algorithm 1 by 1 - a (0.90). The claim is what goes beyond that
factor, on train, which is what students are taught: (1 - S) with LS minus the factor times (1 - S) without.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lskd.analysis.statistics import compare
from lskd.analysis.students import SETTING, Row, records

MAIN = "mean_norm"
TIED = ("mean_norm", "mean_distance")
CONTRAST = "eta_S1_S2"
POWERS = {"stability_eq2": 2, "stability_alg1": 1}  # of 1 - alpha in the mechanical factor

Frames = dict[str, pd.DataFrame]


def rows(frames: Frames) -> list[Row]:
    """The rows of the families diffusion, stability and calibration, each of which may be missing or empty."""
    parts = (
        diffusion(frames.get("diffusion")),
        stability(frames.get("stability")),
        calibration(frames.get("calibration")),
    )
    return [row for part in parts for row in part]


def diffusion(frame: pd.DataFrame | None) -> Iterator[Row]:
    """eta on val against the hard teacher's; the contrast S1 - S2 of the main normalisation is the claim.

    Beside it, the contrast of each other normalisation, and S1 and S2 where they are not tied by algebra.
    """
    if frame is None or frame.empty:
        return
    names = set(frame["normalisation"])
    main = MAIN if MAIN in names else min(names)
    etas = frame[frame["split"] == "val"].dropna(subset=["value"])
    etas = etas.drop_duplicates(["run", "target", "set", "normalisation", "t1", "t2"])
    etas = etas.sort_values(["seed", "run", "target"], kind="stable")  # a sum's last bit depends on it
    keys = [*SETTING, "t1", "t2", "normalisation"]
    for key, part in etas.groupby(keys, sort=True, dropna=False):
        setting: Row = dict(zip(keys, key, strict=True))
        normalisation = setting.pop("normalisation")
        for what, sign, grid in _sides(part, normalisation):
            is_claim = what == CONTRAST and normalisation == main
            about = _about(what, "val", normalisation, sign, float(is_claim))
            for row in _against_unsmoothed(grid):
                yield about | setting | row


def _sides(part: pd.DataFrame, normalisation: str) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """What is compared of one normalisation's etas: its name, its predicted sign, and a grid."""
    grids = {name: _grid(part[part["set"] == name]) for name in sorted(set(part["set"]))}
    if len(grids) == 2:
        yield CONTRAST, -1, grids["S1"] - grids["S2"]
    if normalisation not in TIED:
        for name, grid in grids.items():
            yield f"eta_{name}", -1 if name == "S1" else 1, grid


def _grid(part: pd.DataFrame) -> pd.DataFrame:
    """Mean values: a row for each seed, a column for each alpha."""
    return part.pivot_table(index="seed", columns="label_smoothing", values="value", sort=True)


def stability(frame: pd.DataFrame | None) -> Iterator[Row]:
    """1 - S of the smoothed teacher against the factor times the hard one's, on train the claim; plainly, beside.

    Of two forms of smoothing the uniform one; of another form alone, the plain rows, as its factor needs K.
    """
    if frame is None or frame.empty:
        return
    teachers = frame[(frame["role"] == "teacher") & frame["split"].isin(["train", "test"])]
    teachers = teachers[teachers["metric"].isin(list(POWERS))].drop_duplicates(["run", "metric", "split"])
    teachers = teachers.assign(value=1 - teachers["value"], is_other_form=teachers["smoothing"] != "uniform")
    teachers = teachers.assign(is_test=teachers["split"] == "test")
    teachers = teachers.sort_values(["is_other_form", "run"])
    keys = ["metric", "dataset", "lineage", "model", "recipe", "is_test"]  # train, the claim's, first
    for key, part in teachers.groupby(keys, sort=True):
        setting: Row = dict(zip(keys, key, strict=True))
        metric, split = setting.pop("metric"), "test" if setting.pop("is_test") else "train"
        part = part.drop_duplicates(["seed", "label_smoothing"])
        others = set(part.loc[part["is_other_form"], "label_smoothing"])
        beyond = _about(f"{metric}_beyond", split, "1 - S", -1, float(split == "train"))
        for row in _against_unsmoothed(_grid(part), POWERS[metric]):
            if row["label_smoothing"] not in others:
                yield beyond | setting | row
        for row in _against_unsmoothed(_grid(part)):
            yield _about(metric, split, "1 - S", -1, 0.0) | setting | row


def calibration(frame: pd.DataFrame | None) -> Iterator[Row]:
    """The students' expected calibration error on test, in points, with a smoothed teacher and without; beside."""
    if frame is None or frame.empty:
        return
    students = frame[(frame["role"] == "student") & (frame["split"] == "test") & (frame["metric"] == "ece")]
    students = students.drop_duplicates("run").sort_values("run", kind="stable")
    students = students.assign(value=100 * students["value"])
    keys = [*SETTING, "temperature"]
    for key, part in students.groupby(keys, sort=True, dropna=False):
        setting: Row = dict(zip(keys, key, strict=True))
        about = _about("ece", "test", "points", 1, 0.0) | {"question": "calibration"}
        for row in _against_unsmoothed(_grid(part)):
            yield about | setting | row | {"other_temperature": setting["temperature"]}


def agreement(numbers: pd.DataFrame) -> list[tuple[Row, int, int]]:
    """For each claim about eta its row, and in how many of how many normalisations S1 - S2 moves as predicted."""
    contrasts = numbers[numbers["what"] == CONTRAST]
    keys = [*SETTING, "label_smoothing", "t1", "t2"]
    result = []
    for _, part in contrasts.groupby(keys, sort=True, dropna=False):
        (claim,) = records(part[part["weight"] > 0])
        result.append((claim, int((part["mean"] * part["sign"] > 0).sum()), len(part)))
    return result


def _about(what: str, split: str, unit: str, sign: int, weight: float) -> Row:
    about: Row = {"question": "prediction", "what": what, "split": split, "unit": unit, "sign": sign}
    return about | {"weight": weight, "is_one_sided": False, "margin": np.nan}


def _against_unsmoothed(grid: pd.DataFrame, power: int = 0) -> Iterator[Row]:
    """Each smoothing of a grid (a row a seed, a column an alpha) against (1 - alpha)^power times alpha = 0."""
    if 0.0 not in grid.columns:
        return
    for alpha in (float(str(alpha)) for alpha in grid.columns):
        if alpha > 0:
            pairs = grid[[alpha, 0.0]].dropna()
            factor = (1 - alpha) ** power
            this, hard = pairs[alpha], pairs[0.0]
            cells = {"label_smoothing": alpha, "other_label_smoothing": 0.0, "factor": factor}
            means = {"this": float(this.mean()), "hard": float(hard.mean()), "other": factor * float(hard.mean())}
            yield cells | means | compare(this - factor * hard)
