"""The students of a study as arrays of their score: what comparisons, the choice on val and the bootstrap read.

A *setting* is one teacher network, student network, recipe and way of distilling; a *cell* of it is a choice of label
smoothing for the teacher and T. A *seed* is that of a pair of teachers, without and with smoothing. Its students differ
in seeds of their own, nested in the teachers' seed and the same in every cell.
Axes: s seeds, j students of one teacher, c cells.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lskd.analysis.score import score_of
from lskd.errors import UserError

SETTING = ["dataset", "lineage", "teacher_model", "model", "recipe", "soft_weight", "variant"]
CELL = ["label_smoothing", "temperature"]

Row = dict[str, Any]
Cell = tuple[float, float | None]  # label smoothing of the teacher; T, None for a loss without one
Contrast = Mapping[Cell, float]  # the weight of each cell in a difference
Place = tuple[int, int, Cell]  # seed, student, cell


@dataclass(frozen=True)
class Students:
    """The students of one setting: points by split, [S, J, C], NaN where there is none; their titles.

    `score` is the metric of the points: top-1 in percent, or BLEU.
    """

    setting: Row
    seeds: list[int]
    cells: list[Cell]
    points: dict[str, np.ndarray]
    score: str
    titles: dict[Place, str]

    def differences(self, split: str, contrast: Contrast) -> np.ndarray:
        """The weighted sum of cells [S, J], in points where the weights sum to 0."""
        return sum(
            (weight * self.points[split][:, :, self.cells.index(cell)] for cell, weight in contrast.items()),
            np.zeros(()),
        )

    def smoothings_at(self, temperature: float | None) -> list[float]:
        """The label smoothings above 0 whose students share this T with those of an unsmoothed teacher."""
        alphas = sorted(alpha for alpha, t in self.cells if t == temperature)
        return [alpha for alpha in alphas if alpha > 0] if 0.0 in alphas else []

    def best_on_val(self, fits: Callable[[Cell], bool] = lambda cell: True) -> Cell:
        """The cell with the highest mean on val; of equal ones, the least smoothed teacher, then the lowest T."""
        means = {cell: round(self.mean("val", cell), 9) for cell in self.cells if fits(cell)}
        return min(means, key=lambda cell: (-np.nan_to_num(means[cell], nan=-np.inf), order(cell)))

    def mean(self, split: str, cell: Cell) -> float:
        """A cell's mean over seeds of the mean over students; NaN where nothing was measured."""
        value_s = by_seed(self.points[split][:, :, self.cells.index(cell)])
        return float(value_s.mean()) if len(value_s) else np.nan


def by_seed(value_sj: np.ndarray) -> np.ndarray:
    """The mean over the students of each seed that has one, of values [S, J] with NaN for a missing student."""
    count_s = (~np.isnan(value_sj)).sum(1)
    return np.nansum(value_sj, 1)[count_s > 0] / count_s[count_s > 0]


def order(cell: Cell) -> tuple[float, bool, float]:
    """What cells are sorted by: smoothing, then T; one without T comes last."""
    return cell[0], cell[1] is None, cell[1] or 0.0


def settings_of(rows: pd.DataFrame) -> list[Students]:
    """The students of each setting, sorted, from rows of the metric family accuracy or bleu (`score.scored`).

    Raises UserError without students, and where two of them differ in nothing that a comparison tells apart.
    """
    score = score_of(rows)
    is_used = (rows["role"] == "student") & (rows["metric"] == score.metric) & rows["split"].isin(["val", "test"])
    rows = rows[is_used].drop_duplicates(["run", "split"])  # a run may be in two groups
    if rows.empty:
        raise UserError(f"{score.name}: found no student; the verdict compares students, so name a group of them")
    values: dict[tuple[Any, ...], dict[tuple[str, Place], tuple[str, float]]] = {}
    for row in records(rows.sort_values("run", kind="stable")):
        setting = tuple(_known(row[name]) for name in SETTING)
        place = (row["split"], (int(row["seed"]), int(_known(row.get("student")) or 0), cell_of(row)))
        of_setting = values.setdefault(setting, {})
        if place in of_setting:
            raise UserError(
                f"verdict: cannot tell {of_setting[place][0]} from {row['run']}; name in `groups` the group of one"
                " of them"
            )
        of_setting[place] = (row["run"], score.factor * row["value"])
    return [
        _students(key, values[key], score.metric)
        for key in sorted(values, key=lambda key: [(v is None, v) for v in key])
    ]


def _students(setting: tuple[Any, ...], values: dict[tuple[str, Place], tuple[str, float]], score: str) -> Students:
    places = [place for _, place in values]
    seeds, students = sorted({place[0] for place in places}), sorted({place[1] for place in places})
    cells = sorted({place[2] for place in places}, key=order)
    points = {split: np.full((len(seeds), len(students), len(cells)), np.nan) for split in ("val", "test")}
    for (split, (seed, student, cell)), (_, value) in values.items():
        points[split][seeds.index(seed), students.index(student), cells.index(cell)] = value
    named = {name: np.nan if value is None else value for name, value in zip(SETTING, setting, strict=True)}
    return Students(named, seeds, cells, points, score, {place: run for (_, place), (run, _) in values.items()})


def cell_of(row: Row) -> Cell:
    """The cell of a row of metrics."""
    return float(row["label_smoothing"]), _known(row["temperature"])


def records(frame: pd.DataFrame) -> list[Row]:
    """A frame's rows as dicts."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _known(value: Any) -> Any:
    """A value, or None for a missing one, which unlike NaN equals itself."""
    return None if pd.isna(value) else value
