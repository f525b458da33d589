"""The students of two networks by how they were taught: what the causes of a gap are read from.

A *pair* is a teacher network and a student network on one data set; its teachers differ in how they learned. Students
of one seed differ in seeds of their own, the same whoever teaches them and how.
Axes: s seeds, j students of one teacher.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from lskd.analysis.students import Row, by_seed, records
from lskd.errors import UserError

NETWORKS = ["dataset", "teacher_model", "model", "recipe"]
HARD, SMOOTH = "hard", "LS"  # kinds of teacher; any other has its variant's name, such as squared_error
OF_TAUGHT = ("entropy", "gamma", "within_class_std")
OF_TEACHER = ("ece", "ece_scaled")
PERCENT = {"val", "test", *OF_TEACHER}


class Taught(NamedTuple):
    """How a student was taught, by which kind of teacher; None where the way of teaching has no such option."""

    teacher: str
    way: str
    transform: str
    keep: float | None
    teacher_temperature: float | None
    temperature: float | None

    @property
    def is_plain(self) -> bool:
        """Whether it is plain distillation, at one T."""
        return self == plain(self.teacher, self.temperature)


@dataclass(frozen=True)
class Pair:
    """The students of two networks: numbers [S, J], NaN for a missing one, by what is measured and how it was taught.

    Measured are top-1 on val and test, and the teachers' `ece` and `ece_scaled` on test, in percent, and what students
    were taught: OF_TAUGHT. A teacher's ECE stands beside each of its students. `alone` is the student network's own
    top-1 on val, trained on labels; NaN where the study has none.
    """

    networks: Row
    alpha: float
    seeds: list[int]
    students: list[int]
    alone: float
    values: dict[tuple[str, Taught], np.ndarray] = field(repr=False)

    def has(self, taught: Taught) -> bool:
        """Whether a student was taught so."""
        return ("test", taught) in self.values

    def all_taught(self) -> list[Taught]:
        """Each way in which a student was taught."""
        return [taught for what, taught in self.values if what == "test"]

    def get(self, what: str, taught: Taught) -> np.ndarray:
        """Numbers [S, J] of students taught so; NaN where nothing was measured."""
        unknown_sj = np.full((len(self.seeds), len(self.students)), np.nan)
        return self.values.get((what, taught), unknown_sj)

    def mean(self, what: str, taught: Taught) -> float:
        """The mean over seeds of the mean over students; NaN where nothing was measured."""
        value_s = by_seed(self.get(what, taught))
        return float(value_s.mean()) if len(value_s) else np.nan

    def temperatures(self, teacher: str) -> list[float]:
        """T of the students by plain distillation that a kind of teacher shares with the hard one, ascending."""
        degrees = (taught.temperature for taught in self.all_taught() if taught.teacher == teacher and taught.is_plain)
        return sorted(t for t in degrees if t is not None and self.has(plain(HARD, t)))


def plain(teacher: str, temperature: float | None) -> Taught:
    """Plain distillation at one T."""
    return Taught(teacher, "kd", "none", None, temperature, temperature)


def pairs(frames: Mapping[str, pd.DataFrame]) -> list[Pair]:
    """The pairs of networks, sorted, whose students have a hard and a smoothed teacher at one T.

    Reads the metric families accuracy and taught, and calibration where it is there. Raises UserError where students
    cannot be told apart, a teacher is not shown, or a pair has two smoothings.
    """
    accuracy = frames["accuracy"]
    is_top1 = (accuracy["metric"] == "top1") & accuracy["split"].isin(["val", "test"])
    rows = accuracy[is_top1].drop_duplicates(["run", "split"]).sort_values("run", kind="stable")
    teachers = {row["run"]: row for row in records(rows)}
    measured = _measured(rows, frames)
    known = {row["run"]: row for row in records(frames["taught"].drop_duplicates("run"))}
    students = rows[(rows["role"] == "student") & (rows["split"] == "test") & rows["run"].isin(known)]
    pairs = [
        _pair(part, teachers, known, measured, _alone(rows, part)) for _, part in students.groupby(NETWORKS, sort=True)
    ]
    return [pair for pair in pairs if pair.temperatures(SMOOTH)]


def _measured(top1: pd.DataFrame, frames: Mapping[str, pd.DataFrame]) -> dict[tuple[str, str], float]:
    """By run and what: top-1 on val and test, what it was taught, and a teacher's ECE on test."""
    parts = [top1.assign(what=top1["split"]), frames["taught"].assign(what=lambda frame: frame["metric"])]
    ece = frames.get("calibration")
    if ece is not None and not ece.empty:
        parts.append(ece[(ece["split"] == "test") & ece["metric"].isin(OF_TEACHER)].assign(what=lambda f: f["metric"]))
    rows = (row for part in parts for row in records(part[["run", "what", "value"]]))
    return {(row["run"], row["what"]): (100 if row["what"] in PERCENT else 1) * row["value"] for row in rows}


def _alone(top1: pd.DataFrame, students: pd.DataFrame) -> float:
    """Mean top-1 on val, in percent, of the students' network when it learns from labels."""
    alone = top1[(top1["role"] == "baseline") & (top1["split"] == "val") & (top1["label_smoothing"] == 0)]
    for name in ("dataset", "model", "recipe"):
        alone = alone[alone[name] == students[name].iloc[0]]
    return 100 * float(alone["value"].mean())


def _pair(
    students: pd.DataFrame,
    teachers: dict[str, Row],
    known: dict[str, Row],
    measured: dict[tuple[str, str], float],
    alone: float,
) -> Pair:
    seeds = sorted(students["seed"].unique())
    places = sorted(students["student"].fillna(0).unique())
    ways = [(row, _taught(row, teachers, known[row["run"]])) for row in records(students)]
    alpha = _one(row["label_smoothing"] for row, taught in ways if taught.teacher == SMOOTH)
    values: dict[tuple[str, Taught], np.ndarray] = {}
    titles: dict[tuple[Taught, int, int], str] = {}
    for row, taught in ways:
        place = seeds.index(row["seed"]), places.index(0 if pd.isna(row["student"]) else row["student"])
        other = titles.setdefault((taught, *place), row["run"])
        if other != row["run"]:
            raise UserError(f"causes: cannot tell {other} from {row['run']}; name in `groups` the group of one of them")
        of_run = {what: (row["run"], what) for what in ("val", "test", *OF_TAUGHT)}
        of_run |= {what: (row["teacher"], what) for what in OF_TEACHER}
        for what, key in of_run.items():
            if key in measured:
                nothing_sj = np.full((len(seeds), len(places)), np.nan)
                values.setdefault((what, taught), nothing_sj)[place] = measured[key]
    networks = {name: students[name].iloc[0] for name in NETWORKS}
    return Pair(networks, alpha, [int(s) for s in seeds], [int(j) for j in places], alone, values)


def _one(alphas: Iterable[float]) -> float:
    """The one smoothing of a pair; NaN without any."""
    several = sorted({*alphas})
    if len(several) > 1:
        listed = ", ".join(f"{alpha:g}" for alpha in several)
        raise UserError(
            f"causes: found label_smoothing {listed}; it compares one with 0: name in `groups` those of one"
        )
    return several[0] if several else np.nan


def _taught(row: Row, teachers: dict[str, Row], how: Row) -> Taught:
    """How a student was taught: `row` of the accuracies, `how` of the metric family taught."""
    if row["teacher"] not in teachers:
        raise UserError(f"causes: the teacher {row['teacher']} is not shown, whose kind is needed; add its group")
    variant = teachers[row["teacher"]]["variant"]
    kind = variant or (SMOOTH if row["label_smoothing"] > 0 else HARD)
    keep, own, both = map(_number, (how["keep"], how["teacher_temperature"], row["temperature"]))
    return Taught(kind, how["way"], how["transform"], keep, own, both)


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
