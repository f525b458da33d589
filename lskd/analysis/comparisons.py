"""Does a smoothed teacher help or hurt its students? The comparisons of a study, a row each, from its metrics.

A comparison is a mean difference between choices (label smoothing of the teacher, T), paired by the teachers' seed:
a difference is averaged over the students of a seed first. All claims of a table are one family (`family.py`).
Scores are top-1 in percent, or BLEU, and their differences points. What is recommended is chosen on val alone.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from lskd.analysis import images, predictions
from lskd.analysis.family import judged
from lskd.analysis.score import score_of, scored
from lskd.analysis.statistics import compare, components, look_level, omnibus, one_sided, sign_flips
from lskd.analysis.students import CELL, SETTING, Cell, Contrast, Row, Students, by_seed, order, records, settings_of
from lskd.errors import UserError

SMALLEST_MARGIN = 0.5  # points
SHARE_OF_GAIN = 0.2  # of what distillation gains: a margin that is no less
COLUMNS = [
    *("question", "what", "split", "unit", "sign", "weight", "verdict"),
    *SETTING,
    *CELL,
    *("other_label_smoothing", "other_temperature", "t1", "t2", "factor", "val"),
    *("this", "other", "hard", "mean", "spread", "n", "low", "high", "t", "f", "df1", "df2", "p", "p_adj", "p_flip"),
    *("margin", "p_equivalence", "low_equivalence", "high_equivalence", "detectable"),
    *("between_seeds", "between_students", "low_images", "high_images", "claims", "level"),
]

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]


def verdict(frames: Frames, options: Options | None = None) -> pd.DataFrame:
    """All comparisons of a study, a row each, from its metric families; all but accuracy, or bleu, may be missing.

    `question` is "same T" (LS teacher against the alpha = 0 teacher at the same T, on test), "interaction" (that effect
    against the one at the lowest T), "omnibus" (do the effects differ between T), "best on val" (the best against each
    other cell, on val), "choice" (the cell that is best on val against the best on val of the other kind, smoothed or
    not, on test), "prediction" (of the papers) or "calibration". `this` and `other` are what is compared, mean = this -
    other. Options: margin (points), looks and planned_looks (numbers of seeds). Raises UserError where no student has
    both kinds of teacher.
    """
    options = options or {}
    settings = settings_of(scored(frames))
    baselines = _baselines(scored(frames))
    rows = [row for each in settings for row in student_rows(each, margin(each, baselines, options))]
    if not rows:
        alphas = ", ".join(f"{alpha:g}" for alpha in sorted({cell[0] for each in settings for cell in each.cells}))
        raise UserError(
            f"verdict: found teachers with label_smoothing {alphas}; it takes 0 and another, whose students share a T"
        )
    rows += [row for each in settings for row in _rule_on_val(each)]
    rows += predictions.rows(frames)
    rows = judged(with_flips(rows), level(settings, options))
    return _table(images.with_intervals(rows, frames.get("correct")))


def rule(frames: Frames, options: Options | None = None) -> pd.DataFrame:
    """Chandrasegaran's rule, an LS teacher with T = 1, against every other choice of a study; a row for each.

    Of several smoothed teachers, the one that is best on val at T = 1. mean = the rule's test top-1 minus the other's.
    Then the rows of `verdict` about eta, the rule's reason: one family. Options as in `verdict`. Raises UserError where
    no student of a smoothed teacher has T = 1, or there is nothing else.
    """
    options = options or {}
    settings = settings_of(scored(frames))
    baselines = _baselines(scored(frames))
    rows = [row for each in settings for row in _rule(each, margin(each, baselines, options))]
    if not rows:
        degrees = ", ".join(f"{t:g}" for t in sorted({t for each in settings for _, t in each.cells if t is not None}))
        raise UserError(
            f"summary: found T {degrees}; it takes a smoothed teacher's student at T = 1, and other students"
        )
    return _table(judged(rows + list(predictions.diffusion(frames.get("diffusion"))), level(settings, options)))


def settings(numbers: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    """The rows of `verdict` or `rule` about students' top-1, setting by setting, each after its first row."""
    students = numbers[~numbers["question"].isin(["prediction", "calibration"])]
    for _, part in students.groupby(SETTING, sort=True, dropna=False):
        yield records(part.iloc[:1])[0], part


def level(settings: list[Students], options: Options) -> float:
    """The level of this look: see `statistics.look_level`."""
    seeds = len({seed for each in settings for seed in each.seeds})
    return look_level(seeds, options.get("looks") or (), options.get("planned_looks") or ())[0]


def margin(students: Students, baselines: dict[tuple[Any, ...], float], options: Options) -> float:
    """The margin of "no difference" in points: the option, else SMALLEST_MARGIN or SHARE_OF_GAIN, what is larger.

    What distillation gains is on val, so that no test number moves the margin: the best mean of students of an
    unsmoothed teacher, above the same network trained by the same recipe on labels.
    """
    if options.get("margin"):
        return float(options["margin"])
    alone = baselines.get(tuple(students.setting[name] for name in ("dataset", "model", "recipe")), np.nan)
    distilled = max((students.mean("val", cell) for cell in students.cells if cell[0] == 0), default=np.nan)
    return float(np.fmax(SMALLEST_MARGIN, SHARE_OF_GAIN * (distilled - alone)))


def student_rows(students: Students, margin: float) -> list[Row]:
    """The claims about one setting, not yet judged; none where its teachers are all smoothed, or none is."""
    if len({alpha > 0 for alpha, _ in students.cells}) < 2:
        return []
    rows = [*_same_t(students), *_interactions(students), *_best_on_val(students), *_choice(students)]
    return [row | {"margin": margin if row["has_margin"] else np.nan} for row in rows]


def with_flips(rows: list[Row]) -> list[Row]:
    """`rows` with p_flip: of all effects at the same T together, by flipping whole seeds (max-T)."""
    effects = [row for row in rows if row["question"] == "same T"]
    seeds = sorted({seed for row in effects for seed in row["behind"][0].seeds})
    difference_nk = np.full((len(seeds), len(effects)), np.nan)
    for place, row in enumerate(effects):
        students, contrast = row["behind"]
        difference_sj = students.differences("test", contrast)
        is_known_s = ~np.isnan(difference_sj).all(1)
        known = [seeds.index(seed) for seed, is_known in zip(students.seeds, is_known_s, strict=True) if is_known]
        difference_nk[known, place] = by_seed(difference_sj)
    p_k = iter(sign_flips(difference_nk)) if effects else iter(())
    return [row | {"p_flip": float(next(p_k))} if row["question"] == "same T" else row for row in rows]


def _baselines(rows: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """Mean points on val of the networks trained on labels alone, by data set, network and recipe."""
    keys = ["dataset", "model", "recipe"]
    score = score_of(rows)
    is_used = (rows["role"] == "baseline") & (rows["metric"] == score.metric) & (rows["split"] == "val")
    rows = rows[is_used & (rows["label_smoothing"] == 0)].drop_duplicates("run")
    return {tuple(key): score.factor * float(part["value"].mean()) for key, part in rows.groupby(keys)}


def _same_t(students: Students) -> Iterator[Row]:
    for alpha, t in students.cells:
        if alpha > 0 and (0.0, t) in students.cells:
            yield _row(students, "same T", {(alpha, t): 1}, {(0.0, t): 1})


def _interactions(students: Students) -> Iterator[Row]:
    """Each effect against that at the lowest T; of three T or more, whether any two differ."""
    degrees = sorted({t for _, t in students.cells if t is not None})
    for alpha in sorted({alpha for alpha, _ in students.cells if alpha > 0}):
        effects: list[Contrast] = [
            {(alpha, t): 1.0, (0.0, t): -1.0} for t in degrees if alpha in students.smoothings_at(t)
        ]
        for effect in effects[1:]:
            yield _row(students, "interaction", effect, effects[0])
        if len(effects) > 2:
            yield _omnibus(students, alpha, effects)


def _omnibus(students: Students, alpha: float, effects: list[Contrast]) -> Row:
    """Whether the effects of one smoothing differ between T, of the seeds that have all of them."""
    difference_sjk = np.stack([students.differences("test", effect) for effect in effects], axis=2)
    is_known_sj = ~np.isnan(difference_sjk).any(2)
    by_effect = [by_seed(np.where(is_known_sj, difference_sjk[:, :, k], np.nan)) for k in range(len(effects))]
    unknown = dict.fromkeys(("mean", "spread"), np.nan)
    about = _about(students, "omnibus") | {"has_margin": False, "label_smoothing": alpha, "temperature": np.nan}
    return about | unknown | omnibus(np.stack(by_effect, axis=1))


def _best_on_val(students: Students) -> Iterator[Row]:
    """The best on val against each other cell, one-sided: what is not left out is a set that holds the true best.

    Multiple comparisons with the best (Hsu 1981), by paired t-tests that share one claim, "the best is in this set": it
    fails with a chance of no more than that claim's level, as the true best is out only if it loses one of cells - 1
    tests. Of several that are equally the best, one in the set makes it true.
    """
    best = students.best_on_val()
    for cell in students.cells:
        if cell != best:
            row = _row(students, "best on val", {best: 1.0}, {cell: 1.0}, "val")
            about = {"weight": 1 / (len(students.cells) - 1), "is_one_sided": True, "has_margin": False}
            yield row | about | {"p": one_sided(row)}


def _choice(students: Students) -> Iterator[Row]:
    best = students.best_on_val()
    other = students.best_on_val(lambda cell: (cell[0] > 0) != (best[0] > 0))
    yield _row(students, "choice", {best: 1.0}, {other: 1.0}) | {"val": students.mean("val", best)}


def _rule(students: Students, margin: float) -> list[Row]:
    """The rule against each other choice. A loss without a temperature has no T = 1."""
    others = [cell for cell in students.cells if not _of_rule(cell)]
    if _without_temperature(students) or not others or len(others) == len(students.cells):
        return []
    best = {students.best_on_val(_of_rule): 1.0}
    return [_row(students, "rule", best, {other: 1.0}) | {"margin": margin} for other in others]


def _rule_on_val(students: Students) -> list[Row]:
    """The rule against the best other choice on val, beside the claims."""
    others = _rule(students, np.nan)
    best = students.best_on_val(lambda cell: not _of_rule(cell)) if others else None
    about = {"question": "prediction", "what": "ls_t1_best", "weight": 0.0}
    return [row | about for row in others if row["behind"][1].get(best) == -1]


def _of_rule(cell: Cell) -> bool:
    return cell[0] > 0 and cell[1] == 1


def _without_temperature(students: Students) -> bool:
    return "logit_mse" in students.setting["variant"]


def _about(students: Students, question: str, split: str = "test") -> Row:
    about: Row = {"question": question, "what": students.score, "split": split, "unit": "points", "sign": 1}
    return about | {"weight": 1.0, "is_one_sided": False, "has_margin": True, "margin": np.nan} | students.setting


def _row(students: Students, question: str, this: Contrast, other: Contrast, split: str = "test") -> Row:
    """The mean difference of two choices, or of two effects, over seeds; `behind` is what the bootstrap needs."""
    contrast = dict(chain(this.items(), ((cell, -weight) for cell, weight in other.items())))
    difference_sj = students.differences(split, contrast)
    sides: Row = {}
    for prefix, side in (("", this), ("other_", other)):
        value_s = by_seed(np.where(np.isnan(difference_sj), np.nan, students.differences(split, side)))
        sides |= {f"{prefix}{name}": value for name, value in zip(CELL, _first(side), strict=True)}
        sides["other" if prefix else "this"] = float(value_s.mean()) if len(value_s) else np.nan
    results = compare(by_seed(difference_sj)) | components(difference_sj)
    return _about(students, question, split) | sides | results | {"behind": (students, contrast)}


def _first(side: Contrast) -> tuple[float, float]:
    """The cell that names a side: of an effect, the smoothed one."""
    alpha, t = max(side, key=order)
    return alpha, np.nan if t is None else t


def _table(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a table that has each of COLUMNS, NaN where a row has none."""
    return pd.DataFrame(list(rows)).reindex(columns=COLUMNS)
