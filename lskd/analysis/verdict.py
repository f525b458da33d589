"""Does a smoothed teacher help or hurt its students? Paired statistics over seeds, and the same in plain words.

A comparison is a mean difference between two choices (label smoothing of the teacher, T), paired by seed: a student has
its teacher's seed. It comes with the paired t-test and the 95 % interval of the t distribution. p is corrected by Holm
(1979) over all comparisons of a study that answer the same question; the intervals are not corrected.

Where all n differences are equal, t is undefined: p is 1 where they are 0, else 2^(1 - n), the exact two-sided sign
test, and there is no interval. Below FEWEST pairs nothing is claimed, whatever p is.

Accuracies are top-1 in percent, their differences in percentage points. What is recommended is chosen on val alone.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from lskd.errors import UserError

LEVEL = 0.05  # of the tests; the intervals cover 1 - LEVEL
FEWEST = 3  # pairs
TIE = 1e-9  # differences nearer to each other than this are equal; one image in a million is 1e-4 points
SETTING = ["dataset", "lineage", "teacher_model", "model", "recipe", "soft_weight", "variant"]
CELL = ["label_smoothing", "temperature"]
CANNOT_TELL, NOT_SHOWN = "cannot tell", "no difference seen"

Row = dict[str, Any]
Cell = tuple[float, float]  # label smoothing of the teacher, temperature


def compare(difference_n: ArrayLike) -> Row:
    """mean, spread (sample standard deviation), low and high (95 % interval), t and p of paired differences [n]; n.

    A NaN stands for what n is too small for, and for t and the interval of equal differences (see the module).
    """
    values_n = np.asarray(difference_n, dtype=np.float64)
    n = len(values_n)
    found = dict.fromkeys(("mean", "spread", "low", "high", "t", "p"), np.nan) | {"n": n}
    if n == 0:
        return found
    mean = float(values_n.mean())
    if n == 1:
        return found | {"mean": mean}
    if np.ptp(values_n) <= TIE:
        return found | {"mean": mean, "spread": 0.0, "p": 1.0 if abs(mean) <= TIE else 2.0 ** (1 - n)}
    spread = float(values_n.std(ddof=1))
    error = spread / np.sqrt(n)
    half = float(stdtrit(n - 1, 1 - LEVEL / 2) * error)
    t = float(mean / error)
    p = float(2 * stdtr(n - 1, -abs(t)))
    return found | {"mean": mean, "spread": spread, "low": mean - half, "high": mean + half, "t": t, "p": p}


def holm(p_m: ArrayLike) -> np.ndarray:
    """Holm's (1979) adjusted p [m], which control the chance of any false claim; NaN is not counted and stays NaN."""
    p_m = np.asarray(p_m, dtype=np.float64)
    adjusted_m = np.full(p_m.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_m))
    order = known[np.argsort(p_m[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted_m[order] = np.minimum(np.maximum.accumulate(p_m[order] * factors), 1)
    return adjusted_m


def verdict(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """All comparisons of a study, a row each, from its metric families accuracy, diffusion and stability.

    `question` is "same T" (LS teacher against the alpha = 0 teacher at the same T, on test), "choice" (the cell that is
    best on val against the best on val of the other kind, smoothed or not, on test) or "prediction" (of the papers).
    `this` and `other` are the means compared, mean = this - other. The last two families may be missing or empty.
    Raises UserError where no student has both kinds of teacher.
    """
    top1 = student_top1(frames["accuracy"])
    made = [row for setting, part in _settings(top1) for row in (*_same_t(setting, part), *_choice(setting, part))]
    if not made:
        there = ", ".join(f"{alpha:g}" for alpha in sorted(top1["label_smoothing"].unique()))
        raise UserError(
            f"verdict: found teachers with label_smoothing {there}; it takes 0 and another, whose students share a T"
        )
    made += [_best(rows) for rows in _rules(top1)]
    made += [*_diffusion(frames.get("diffusion")), *_stability(frames.get("stability"))]
    return judged(pd.DataFrame(made))


def rule(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Chandrasegaran's rule, an LS teacher with T = 1, against every other choice of a study; a row for each.

    Of several smoothed teachers, the one that is best on val at T = 1. mean = the rule's test top-1 minus the other's.
    Raises UserError where no student of a smoothed teacher has T = 1, or there is nothing else.
    """
    top1 = student_top1(frames["accuracy"])
    made = [row for rows in _rules(top1) for row in rows]
    if not made:
        there = ", ".join(f"{t:g}" for t in sorted(top1["temperature"].unique()))
        raise UserError(f"summary: found T {there}; it takes a smoothed teacher's student at T = 1, and other students")
    return judged(pd.DataFrame(made))


def eta(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What the papers predict of eta, a row for each set and setting; no rows where it was not measured."""
    rows = pd.DataFrame(list(_diffusion(frames.get("diffusion"))))
    return rows if rows.empty else judged(rows)


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with p_holm, corrected within each question, and verdict, a word for each row."""
    p = rows["p"].where(rows["n"] >= FEWEST)
    rows = rows.assign(p_holm=p.groupby(rows["question"]).transform(lambda part: holm(part)))
    return rows.assign(verdict=[_word(row) for row in _records(rows)])


def _word(row: Row) -> str:
    if row["n"] < FEWEST:
        return CANNOT_TELL
    shown, as_expected = row["p_holm"] < LEVEL, row["mean"] * row["sign"] > 0
    if row["question"] == "prediction":
        return ("seen" if shown else "direction only") if as_expected else ("opposite seen" if shown else "not seen")
    words = ("helps", "hurts") if row["question"] == "same T" else ("better", "worse")
    return words[0 if as_expected else 1] if shown else NOT_SHOWN


def student_top1(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Columns SETTING, CELL, seed, val and test: each student's top-1 in percent.

    Raises UserError without students, and where two of them differ in nothing that a comparison tells apart.
    """
    found = accuracy[(accuracy["role"] == "student") & (accuracy["metric"] == "top1")]
    found = found[found["split"].isin(["val", "test"])].drop_duplicates(["run", "split"])  # a run may be in two groups
    if found.empty:
        raise UserError("accuracy: found no student; the verdict compares students, so name a group of them")
    found = found.assign(value=found["value"] * 100, lineage=[lineage(path) for path in found["teacher"]])
    keys = [*SETTING, *CELL, "seed", "split"]
    twice = found[found.duplicated(keys, keep=False)].sort_values([*keys, "run"])["run"].tolist()
    if twice:
        raise UserError(f"verdict: cannot tell {twice[0]} from {twice[1]}; name in `groups` the group of one of them")
    return found.set_index(keys)["value"].unstack("split").reindex(columns=["val", "test"]).reset_index()


def lineage(run: str) -> str:
    """A run's title without its label smoothing and seed: what a smoothed teacher shares with its alpha = 0 twin."""
    return re.sub(r"[/-]ls\d[\de.-]*(-others)?/seed\d+$", "", run)


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
    if len({alpha > 0 for alpha, _ in _cells(val)}) == 2:
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


def _best(rows: list[Row]) -> Row:
    """The rule against its runner-up, the best other choice on test: a choice that can only count against the rule."""
    runner_up = max(rows, key=lambda row: (round(row["other"], 9), -row["other_label_smoothing"]))
    return runner_up | {"question": "prediction", "what": "ls_t1_best"}


def _first(val: pd.DataFrame, fits: Callable[[Cell], bool] = lambda cell: True) -> Cell:
    """The cell with the highest mean on val; of equal ones, the least smoothed teacher, then the lowest T."""
    means = {cell: round(float(val[cell].mean()), 9) for cell in _cells(val) if fits(cell)}
    return min(means, key=lambda cell: (-means[cell], cell))


def _row(setting: Row, question: str, what: str, grid: pd.DataFrame, this: Cell, other: Cell) -> Row:
    pairs = grid[[this, other]].dropna()
    cells = dict(zip(CELL, this, strict=True)) | {f"other_{name}": v for name, v in zip(CELL, other, strict=True)}
    means = {"this": float(pairs[this].mean()), "other": float(pairs[other].mean())}
    about = {"question": question, "what": what, "split": "test", "unit": "points", "sign": 1}
    return about | setting | cells | means | compare(pairs[this] - pairs[other])


def _diffusion(frame: pd.DataFrame | None) -> Iterator[Row]:
    """eta below 0 on S1 and above 0 on S2, of an LS teacher's students: mean over target classes, on val, per seed."""
    if frame is None or frame.empty:
        return
    names = set(frame["normalisation"])
    main = "mean_norm" if "mean_norm" in names else min(names)
    found = frame[(frame["normalisation"] == main) & (frame["split"] == "val") & (frame["label_smoothing"] > 0)]
    found = found.dropna(subset=["value"]).drop_duplicates(["run", "target", "set", "t1", "t2"])
    found = found.sort_values(["seed", "target"], kind="stable")  # a sum's last bit depends on the order
    found = found.assign(lineage=[lineage(path) for path in found["teacher"]])
    keys = ["set", *SETTING, "label_smoothing", "t1", "t2"]
    for key, part in found.groupby(keys, sort=True):
        row = dict(zip(keys, key, strict=True))
        values = part.groupby("seed")["value"].mean()
        about = {"question": "prediction", "what": f"eta_{row.pop('set')}", "split": "val", "unit": main}
        means = {"sign": -1 if about["what"] == "eta_S1" else 1, "this": float(values.mean()), "other": 0.0}
        yield about | row | means | compare(values)


def _stability(frame: pd.DataFrame | None) -> Iterator[Row]:
    """1 - S of the teacher falls with LS, on test, by eq. 2 and by Algorithm 1 of Shen 2021."""
    if frame is None or frame.empty:
        return
    found = frame[(frame["role"] == "teacher") & (frame["split"] == "test")]
    found = found[found["metric"].isin(["stability_eq2", "stability_alg1"])].drop_duplicates(["run", "metric"])
    found = found.assign(value=1 - found["value"], lineage=[lineage(path) for path in found["run"]])
    found = found.assign(others=found["run"].str.contains(r"/ls[^/]*-others/")).sort_values(["others", "run"])
    keys = ["metric", "dataset", "lineage", "model", "recipe"]
    for key, part in found.groupby(keys, sort=True):
        row = dict(zip(keys, key, strict=True))
        part = part.drop_duplicates(["seed", "label_smoothing"])  # of two forms of smoothing, the uniform one
        grid = part.pivot(index="seed", columns="label_smoothing", values="value")
        for alpha in [a for a in cast(list[float], grid.columns.to_list()) if a > 0 and 0.0 in grid.columns]:
            pairs = grid[[alpha, 0.0]].dropna()
            about = {"question": "prediction", "what": row["metric"], "split": "test", "unit": "1 - S", "sign": -1}
            own = {key: value for key, value in row.items() if key != "metric"}
            cells = {"label_smoothing": alpha, "other_label_smoothing": 0.0}
            means = {"this": float(pairs[alpha].mean()), "other": float(pairs[0.0].mean())}
            yield about | own | cells | means | compare(pairs[alpha] - pairs[0.0])


def from_csv(path: Path) -> pd.DataFrame:
    """The rows of `verdict` from the CSV of its figure."""
    text = [name for name in SETTING if name != "soft_weight"]
    return pd.read_csv(path, dtype=dict.fromkeys(text, str)).fillna(dict.fromkeys(text, ""))


def sentences(numbers: pd.DataFrame) -> list[str]:
    """One plain sentence for each data set, teacher and student of `verdict`'s rows: what LS does, and what to do."""
    return [
        _sentence(part[part["question"] == "same T"], _records(part[part["question"] == "choice"]))
        for _, part in settings(numbers)
    ]


def settings(numbers: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    """The rows about students, setting by setting, each after its first row."""
    about = numbers[numbers["question"] != "prediction"]
    for _, part in about.groupby(SETTING, sort=True):
        yield _records(part.iloc[:1])[0], part


def _sentence(effects: pd.DataFrame, choice: list[Row]) -> str:
    if effects.empty:  # a choice without a common T
        return f"No T is shared by students of smoothed and unsmoothed teachers: {advice(choice[0])}."
    first = _records(effects.iloc[:1])[0]
    teacher, student, data = first["teacher_model"], first["model"], first["dataset"]
    smoothed = [f"α = {alpha:g}" for alpha in effects["label_smoothing"].unique()]
    if effects["verdict"].eq(CANNOT_TELL).all():
        about = f"smoothing the teacher {teacher} ({listed(smoothed, 'or')}) helps or hurts its student {student}"
        return (
            f"With {seeds(effects['n'].max())} it cannot be told whether {about} on {data}: run {FEWEST} seeds or more"
            f" (best on val so far: {cell_text(choice[0])})."
        )
    parts = [_effect(part, student) for _, part in effects.groupby("label_smoothing", sort=True)]
    told = "; with ".join(f"{alpha} it {part}" for alpha, part in zip(smoothed[1:], parts[1:], strict=True))
    more = f"; with {told}" if told else ""
    whole = f"On {data}, smoothing the teacher {teacher} ({smoothed[0]}) {parts[0]}{more}: {advice(choice[0])}."
    start, name, rest = whole.partition(f"its student {student}")
    return start + name + rest.replace(name, "that student") if name else whole


def _effect(part: pd.DataFrame, student: str) -> str:
    """What one label smoothing does at each T: "hurts its student ... at T = 64 by 1.2 points (...) and makes ..."."""
    told = []
    for word in ("helps", "hurts"):
        rows = _records(part[part["verdict"] == word])
        sizes = [f"at T = {row['temperature']:g} by {_size(row)}" for row in rows]
        told += [f"{word} its student {student} {listed(sizes)}"] if rows else []
    whom = "" if told else f" to its student {student}"
    for n in sorted(part["n"].unique()):
        same, few = (part[(part["n"] == n) & (part["verdict"] == word)] for word in (NOT_SHOWN, CANNOT_TELL))
        told += [] if same.empty else [f"makes no difference{whom} that {seeds(n)} can show at {_degrees(same)}"]
        told += [] if few.empty else [f"does what {seeds(n)} cannot tell at {_degrees(few)}"]
    return listed(told)


def _size(row: Row) -> str:
    mean, low, high = abs(row["mean"]), *sorted((row["low"] * _sign(row), row["high"] * _sign(row)))
    digits = 1 if mean >= 0.5 else 2
    if np.isnan(low):
        return f"{mean:.{digits}f} points (in each of {seeds(row['n'])})"
    return f"{mean:.{digits}f} points ({interval(low, high, digits)}, {seeds(row['n'])})"


def _sign(row: Row) -> int:
    return 1 if row["mean"] >= 0 else -1


def advice(choice: Row) -> str:
    """What to do, by the choice on val; leaving the teacher unsmoothed needs no proof, smoothing it does."""
    alpha, t = choice["label_smoothing"], choice["temperature"]
    if not alpha:
        return f"leave the teacher unsmoothed, and distil at T = {t:g}"
    if choice["verdict"] == "better":
        return f"smooth the teacher (α = {alpha:g}), and distil at T = {t:g}"
    return f"the best choice on val, not shown to be better, is to smooth it (α = {alpha:g}) and distil at T = {t:g}"


def choice_sentence(choice: Row) -> str:
    """What the recommended choice brings on test, and how it compares with the best of the other kind."""
    kind = "unsmoothed" if choice["label_smoothing"] else "smoothed"
    few = "is too few to tell anything" if choice["n"] == 1 else "are too few to tell anything"
    known = {CANNOT_TELL: few, NOT_SHOWN: "cannot tell this from no difference"}
    told = f"{seeds(choice['n'])} {known.get(choice['verdict'], 'tell this from chance')}"
    return f"That choice, the best on val, has {choice['this']:.2f} % on test, {_gap(choice, kind)}: {told}."


def _gap(row: Row, kind: str) -> str:
    """ "0.30 points above the best smoothed choice (α = 0.1, T = 1; 95 % interval −0.20 to 0.80)"."""
    gap = f"{abs(row['mean']):.2f} points {'above' if row['mean'] > 0 else 'below'}"
    gap = gap if abs(row["mean"]) > TIE else "level with"
    between = "" if np.isnan(row["low"]) else f"; {interval(row['low'], row['high'], 2)}"
    return f"{gap} the best {kind} choice ({cell_text(row, 'other_')}{between})"


def rule_sentence(rows: pd.DataFrame) -> str:
    """Whether Chandrasegaran's rule is borne out in one setting of `rule`'s rows."""
    first, runner_up = _records(rows.iloc[:1])[0], _best(_records(rows))
    where = f"on {first['dataset']} ({first['model']} ← {first['teacher_model']})"
    what = f"the LS teacher (α = {first['label_smoothing']:g}) at T = 1"
    if rows["n"].max() < FEWEST:
        return f"With {seeds(rows['n'].max())} it cannot be told {where} whether {what} is the best choice."
    better, worse = rows["verdict"].eq("better").sum(), rows["verdict"].eq("worse").sum()
    shown = f"{seeds(rows['n'].max())} show it better than {better} and worse than {worse} of the {len(rows)} others"
    held = "neither bears the rule out nor contradicts it"
    if worse:
        held = "contradicts the rule"
    elif runner_up["mean"] > 0:
        held = "bears the rule out" if better == len(rows) else "agrees with the rule, without proof,"
    return f"The study {held} {where}: {what} is {_gap(runner_up, 'other')}, and {shown}."


def cell_text(row: Row, prefix: str = "") -> str:
    """A choice: "no smoothing, T = 2" or "α = 0.1, T = 2"."""
    alpha, t = row[f"{prefix}label_smoothing"], row[f"{prefix}temperature"]
    return f"α = {alpha:g}, T = {t:g}" if alpha else f"no smoothing, T = {t:g}"


def interval(low: float, high: float, digits: int) -> str:
    """An interval in words."""
    shown = [f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") for value in (low, high)]  # no "-0.00"
    return f"95 % interval {shown[0]} to {shown[1]}"


def seeds(n: float) -> str:
    """A number of seeds in words."""
    return f"{n:.0f} seed" + ("" if n == 1 else "s")


def listed(texts: Sequence[str], last: str = "and") -> str:
    """Texts as a list in words: a, b and c."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def _degrees(rows: pd.DataFrame) -> str:
    return f"T = {listed([f'{t:g}' for t in sorted(rows['temperature'])])}"


def _records(frame: pd.DataFrame) -> list[Row]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
