"""Does a smoothed teacher help or hurt its students? The comparisons of a study, a row each, from its metrics.

A comparison is a mean difference between two choices (label smoothing of the teacher, T), paired by seed: a student has
its teacher's seed. p is corrected by Holm over all comparisons of a study that answer the same question; the intervals
are not corrected. Accuracies are top-1 in percent, their differences in percentage points. What is recommended is
chosen on val alone.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pandas as pd

from lskd.analysis.statistics import FEWEST, LEVEL, compare, holm
from lskd.errors import UserError

SETTING = ["dataset", "lineage", "teacher_model", "model", "recipe", "soft_weight", "variant"]
CELL = ["label_smoothing", "temperature"]
CANNOT_TELL, NOT_SHOWN = "cannot tell", "no difference seen"

Row = dict[str, Any]
Frames = dict[str, pd.DataFrame]
Cell = tuple[float, float]  # label smoothing of the teacher, temperature


def verdict(frames: Frames) -> pd.DataFrame:
    """All comparisons of a study, a row each, from its metric families accuracy, diffusion and stability.

    `question` is "same T" (LS teacher against the alpha = 0 teacher at the same T, on test), "choice" (the cell that is
    best on val against the best on val of the other kind, smoothed or not, on test) or "prediction" (of the papers).
    `this` and `other` are the means compared, mean = this - other. The last two families may be missing or empty.
    Raises UserError where no student has both kinds of teacher.
    """
    top1 = student_top1(frames["accuracy"])
    rows: list[Row] = []
    for setting, part in _settings(top1):
        rows += [*_same_t(setting, part), *_choice(setting, part)]
    if not rows:
        smoothings = ", ".join(f"{alpha:g}" for alpha in sorted(top1["label_smoothing"].unique()))
        raise UserError(
            f"verdict: found teachers with label_smoothing {smoothings}; it takes 0 and another, whose students share a"
            " T"
        )
    rows += [best_other(against) for against in _rules(top1)]
    rows += [*_diffusion(frames.get("diffusion")), *_stability(frames.get("stability"))]
    return judged(pd.DataFrame(rows))


def rule(frames: Frames) -> pd.DataFrame:
    """Chandrasegaran's rule, an LS teacher with T = 1, against every other choice of a study; a row for each.

    Of several smoothed teachers, the one that is best on val at T = 1. mean = the rule's test top-1 minus the other's.
    Raises UserError where no student of a smoothed teacher has T = 1, or there is nothing else.
    """
    top1 = student_top1(frames["accuracy"])
    rows = [row for against in _rules(top1) for row in against]
    if not rows:
        degrees = ", ".join(f"{t:g}" for t in sorted(top1["temperature"].unique()))
        raise UserError(
            f"summary: found T {degrees}; it takes a smoothed teacher's student at T = 1, and other students"
        )
    return judged(pd.DataFrame(rows))


def eta(frames: Frames) -> pd.DataFrame:
    """What the papers predict of eta, a row for each set and setting; no rows where it was not measured."""
    rows = pd.DataFrame(list(_diffusion(frames.get("diffusion"))))
    return rows if rows.empty else judged(rows)


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with p_holm, corrected within each question, and verdict, a word for each row."""
    p = rows["p"].where(rows["n"] >= FEWEST)
    rows = rows.assign(p_holm=p.groupby(rows["question"]).transform(lambda part: holm(part)))
    return rows.assign(verdict=[_word(row) for row in records(rows)])


def _word(row: Row) -> str:
    if row["n"] < FEWEST:
        return CANNOT_TELL
    is_shown, as_expected = row["p_holm"] < LEVEL, row["mean"] * row["sign"] > 0
    if row["question"] == "prediction":
        if as_expected:
            return "seen" if is_shown else "direction only"
        return "opposite seen" if is_shown else "not seen"
    if not is_shown:
        return NOT_SHOWN
    if row["question"] == "same T":
        return "helps" if as_expected else "hurts"
    return "better" if as_expected else "worse"


def student_top1(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Columns SETTING, CELL, seed, val and test: each student's top-1 in percent.

    Raises UserError without students, and where two of them differ in nothing that a comparison tells apart.
    """
    students = accuracy[(accuracy["role"] == "student") & (accuracy["metric"] == "top1")]
    students = students[students["split"].isin(["val", "test"])]
    students = students.drop_duplicates(["run", "split"])  # a run may be in two groups
    if students.empty:
        raise UserError("accuracy: found no student; the verdict compares students, so name a group of them")
    students = students.assign(value=students["value"] * 100)
    keys = [*SETTING, *CELL, "seed", "split"]
    alike = students[students.duplicated(keys, keep=False)].sort_values([*keys, "run"])["run"].tolist()
    if alike:
        raise UserError(f"verdict: cannot tell {alike[0]} from {alike[1]}; name in `groups` the group of one of them")
    return students.set_index(keys)["value"].unstack("split").reindex(columns=["val", "test"]).reset_index()


def settings(numbers: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    """The rows of `verdict` or `rule` about students, setting by setting, each after its first row."""
    students = numbers[numbers["question"] != "prediction"]
    for _, part in students.groupby(SETTING, sort=True):
        yield records(part.iloc[:1])[0], part


def best_other(against: list[Row]) -> Row:
    """The rule against its runner-up, the best other choice on test: a choice that can only count against the rule."""
    runner_up = max(against, key=lambda row: (round(row["other"], 9), -row["other_label_smoothing"]))
    return runner_up | {"question": "prediction", "what": "ls_t1_best"}


def records(frame: pd.DataFrame) -> list[Row]:
    """A frame's rows as dicts."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _settings(top1: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    for key, part in top1.groupby(SETTING, sort=True):
        yield dict(zip(SETTING, key, strict=True)), part


def _grid(part: pd.DataFrame, split: str) -> pd.DataFrame:
    """Top-1: a row for each seed, a column for each cell."""
    return part.pivot(index="seed", columns=CELL, values=split)


def _cells(grid: pd.DataFrame) -> list[Cell]:
    return sorted(cast(list[Cell], grid.columns.to_list()))


def _same_t(setting: Row, part: pd.DataFrame) -> Iterator[Row]:
    grid = _grid(part, "test")
    for alpha, t in _cells(grid):
        if alpha > 0 and (0.0, t) in grid.columns:
            yield _row(setting, "same T", "top1", grid, (alpha, t), (0.0, t))


def _choice(setting: Row, part: pd.DataFrame) -> Iterator[Row]:
    val = _grid(part, "val")
    kinds = {alpha > 0 for alpha, _ in _cells(val)}
    if len(kinds) == 2:
        best = _first(val)
        other = _first(val, lambda cell: (cell[0] > 0) != (best[0] > 0))
        yield _row(setting, "choice", "top1", _grid(part, "test"), best, other) | {"val": val[best].mean()}


def _rules(top1: pd.DataFrame) -> Iterator[list[Row]]:
    """For each setting, the rule against each other choice. A loss without a temperature has no T = 1."""
    for setting, part in _settings(top1[~top1["variant"].str.contains("logit_mse")]):
        val, test = _grid(part, "val"), _grid(part, "test")
        others = [cell for cell in _cells(test) if not _of_rule(cell)]
        if others and len(others) < len(test.columns):
            best = _first(val, _of_rule)
            yield [_row(setting, "rule", "top1", test, best, other) for other in others]


def _of_rule(cell: Cell) -> bool:
    return cell[0] > 0 and cell[1] == 1


def _first(val: pd.DataFrame, fits: Callable[[Cell], bool] = lambda cell: True) -> Cell:
    """The cell with the highest mean on val; of equal ones, the least smoothed teacher, then the lowest T."""
    means = {cell: round(float(val[cell].mean()), 9) for cell in _cells(val) if fits(cell)}
    return min(means, key=lambda cell: (-means[cell], cell))


def _row(setting: Row, question: str, what: str, grid: pd.DataFrame, this: Cell, other: Cell) -> Row:
    pairs = grid[[this, other]].dropna()
    about = {"question": question, "what": what, "split": "test", "unit": "points", "sign": 1}
    cells = dict(zip(CELL, this, strict=True))
    other_cells = {f"other_{name}": value for name, value in zip(CELL, other, strict=True)}
    means = {"this": float(pairs[this].mean()), "other": float(pairs[other].mean())}
    return about | setting | cells | other_cells | means | compare(pairs[this] - pairs[other])


def _diffusion(frame: pd.DataFrame | None) -> Iterator[Row]:
    """eta below 0 on S1 and above 0 on S2, of an LS teacher's students: mean over target classes, on val, per seed."""
    if frame is None or frame.empty:
        return
    names = set(frame["normalisation"])
    main = "mean_norm" if "mean_norm" in names else min(names)
    smoothed = frame[(frame["normalisation"] == main) & (frame["split"] == "val") & (frame["label_smoothing"] > 0)]
    smoothed = smoothed.dropna(subset=["value"]).drop_duplicates(["run", "target", "set", "t1", "t2"])
    smoothed = smoothed.sort_values(["seed", "target"], kind="stable")  # a sum's last bit depends on it
    keys = ["set", *SETTING, "label_smoothing", "t1", "t2"]
    for key, part in smoothed.groupby(keys, sort=True):
        setting = dict(zip(keys, key, strict=True))
        side = setting.pop("set")
        eta_by_seed = part.groupby("seed")["value"].mean()
        about = {"question": "prediction", "what": f"eta_{side}", "split": "val", "unit": main}
        means = {"sign": -1 if side == "S1" else 1, "this": float(eta_by_seed.mean()), "other": 0.0}
        yield about | setting | means | compare(eta_by_seed)


def _stability(frame: pd.DataFrame | None) -> Iterator[Row]:
    """1 - S of the teacher falls with LS, on test, by eq. 2 and by Algorithm 1 of Shen 2021."""
    if frame is None or frame.empty:
        return
    teachers = frame[(frame["role"] == "teacher") & (frame["split"] == "test")]
    teachers = teachers[teachers["metric"].isin(["stability_eq2", "stability_alg1"])]
    teachers = teachers.drop_duplicates(["run", "metric"])
    teachers = teachers.assign(value=1 - teachers["value"], is_other_form=teachers["smoothing"] != "uniform")
    teachers = teachers.sort_values(["is_other_form", "run"])
    keys = ["metric", "dataset", "lineage", "model", "recipe"]
    for key, part in teachers.groupby(keys, sort=True):
        setting = dict(zip(keys, key, strict=True))
        about = {"question": "prediction", "what": setting.pop("metric"), "split": "test", "unit": "1 - S", "sign": -1}
        part = part.drop_duplicates(["seed", "label_smoothing"])  # of two forms of smoothing, the uniform one
        grid = part.pivot(index="seed", columns="label_smoothing", values="value")
        for row in _against_unsmoothed(grid):
            yield about | setting | row


def _against_unsmoothed(grid: pd.DataFrame) -> Iterator[Row]:
    """Each smoothing of a grid (a row for each seed, a column for each alpha) against alpha = 0."""
    if 0.0 not in grid.columns:
        return
    for alpha in cast(list[float], grid.columns.to_list()):
        if alpha > 0:
            pairs = grid[[alpha, 0.0]].dropna()
            cells = {"label_smoothing": alpha, "other_label_smoothing": 0.0}
            means = {"this": float(pairs[alpha].mean()), "other": float(pairs[0.0].mean())}
            yield cells | means | compare(pairs[alpha] - pairs[0.0])
