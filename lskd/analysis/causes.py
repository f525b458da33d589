"""Why does a smoothed teacher teach worse? Interventions on what its students are taught, a row each.

A *gap* is the accuracy of an LS teacher's students minus that of the hard teacher's, in points on test. T0 is the
reference temperature. For each cause three claims are made: the plain gap, the gap that remains after an intervention,
and how much smaller that is, paired by seed.

- softness: the gap at T0, that against a hard teacher whose T makes its targets of the entropy of the LS teacher's at
  T0, and their difference; and over all T the mean gap at the same entropy against that at the same T
  (`curves.at_equal`);
- calibration: the gap at T0, that of teachers at their fitted T* (Guo 2017), and their difference;
- scale: the gap at T0, that under standardised logits (Sun 2024), and their difference;
- erasure: the gap at T0; the LS teacher's students against those of a hard teacher whose differences within a class are
  erased (lambda = 0); and the slope of the hard teacher's students over lambda, the share that is kept.

What follows from them is in `cause_words.py`. All claims are one family (`family.py`); rows of weight 0 stand beside.
Axes: s seeds, j students of one teacher, t temperatures, k doses or kinds of teacher.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lskd.analysis.cause_words import CAUSES, in_words, word
from lskd.analysis.comparisons import SHARE_OF_GAIN, SMALLEST_MARGIN
from lskd.analysis.curves import at_equal, at_x, crossing, slope, spearman
from lskd.analysis.family import judged
from lskd.analysis.interventions import HARD, NETWORKS, SMOOTH, Pair, Taught, pairs, plain
from lskd.analysis.statistics import compare, components, look_level
from lskd.analysis.students import Row, by_seed, records
from lskd.errors import UserError

WITH_MARGIN = ("same T", "choice")  # of these questions "no difference" is an answer
STANDARDIZED = "standardized_kd"

Frames = Mapping[str, pd.DataFrame]
Options = dict[str, Any]


def causes(frames: Frames, options: Options | None = None) -> pd.DataFrame:
    """All rows of a study: claims, what stands beside them, and for each pair of networks and cause its word.

    Reads the metric families accuracy, taught and calibration (which may be missing). `this` and `other` are what is
    compared, mean = this - other. Options: margin (points), reference_temperature, looks, planned_looks. Raises
    UserError where no pair of networks has students of both teachers by plain distillation at one T above 1.
    """
    options = options or {}
    studied = studied_pairs(frames)
    seeds = {seed for pair in studied for seed in pair.seeds}
    level = look_level(len(seeds), options.get("looks") or (), options.get("planned_looks") or ())[0]
    rows = judged([row for pair in studied for row in _rows(pair, options)], level)
    table = pd.DataFrame([row | {"verdict": in_words(row)} for row in rows])
    return pd.concat([table, pd.DataFrame(_words(table))], ignore_index=True)


def studied_pairs(frames: Frames) -> list[Pair]:
    """The pairs of networks of a study. UserError where there is none."""
    studied = pairs(frames)
    if not studied:
        raise UserError("causes: found no hard and smoothed teacher whose students, by kd, share a T; add such groups")
    return studied


def reference(pair: Pair, options: Options) -> float:
    """T0: as the option says, else the T above 1 that is best on val for the hard teacher's plain students.

    It is sought among the T at which interventions were made, where there are such. UserError where nothing is left.
    """
    shared = pair.temperatures(SMOOTH)
    wanted = options.get("reference_temperature")
    if wanted is not None and wanted not in shared:
        known = ", ".join(f"{t:g}" for t in shared)
        raise UserError(f"reference_temperature: found {wanted:g}, but both teachers have students by kd at T {known}")
    if wanted is not None:
        return float(wanted)
    above = [t for t in shared if t > 1]
    intervened = {
        each.temperature for each in pair.all_taught() if each.way in ("kd", STANDARDIZED) and not each.is_plain
    }
    candidates = [t for t in above if t in intervened] or above
    if not candidates:
        raise UserError("causes: found students by kd at T 1 or less alone; add a T above 1 for both teachers")
    return _best_on_val(pair, HARD, candidates)


def margin(pair: Pair, options: Options) -> float:
    """The margin of "no difference": the option, else 0.5 points or a fifth of what distillation gains on val."""
    if options.get("margin"):
        return float(options["margin"])
    distilled = max(pair.mean("val", plain(HARD, t)) for t in pair.temperatures(HARD))
    return float(np.fmax(SMALLEST_MARGIN, SHARE_OF_GAIN * (distilled - pair.alone)))


def curve(
    pair: Pair, teacher: str, what: str, student_t: float | None = None
) -> tuple[list[float], np.ndarray, np.ndarray]:
    """T, and `what` was taught and the top-1 on test, [S, J, T] each, by kd at each T that HARD and SMOOTH share.

    With `student_t` that of the student stays there, and T is the teacher's alone.
    """
    own, hard, smooth = (_by_teacher_t(pair, kind, student_t) for kind in (teacher, HARD, SMOOTH))
    degrees = sorted(hard.keys() & smooth.keys())
    nothing_sjt = np.zeros((len(pair.seeds), len(pair.students), 0))
    x_sjt, y_sjt = (
        np.stack([pair.get(name, own[t]) for t in degrees], axis=2) if degrees else nothing_sjt
        for name in (what, "test")
    )
    return degrees, x_sjt, y_sjt


def doses(pair: Pair, t0: float) -> tuple[np.ndarray, np.ndarray]:
    """lambda [k], ascending, and the hard teacher's students' top-1 on test [S, J, k]; 1 is plain distillation."""
    hard = plain(HARD, t0)
    erased = {each.keep for each in pair.all_taught() if each == hard._replace(transform="erase", keep=each.keep)}
    by_keep = {keep: hard._replace(transform="erase", keep=keep) for keep in erased if keep is not None} | {1.0: hard}
    keeps = sorted(by_keep)
    return np.array(keeps), np.stack([pair.get("test", by_keep[keep]) for keep in keeps], axis=2)


def _by_teacher_t(pair: Pair, teacher: str, student_t: float | None) -> dict[float, Taught]:
    """How students by kd were taught, by the T of their teacher."""
    by_teacher_temperature: dict[float, Taught] = {}
    for each in pair.all_taught():
        is_kd = (each.teacher, each.way, each.transform) == (teacher, "kd", "none")
        is_wanted = each.is_plain if student_t is None else each.temperature == student_t
        if is_kd and is_wanted and each.teacher_temperature is not None:
            by_teacher_temperature[each.teacher_temperature] = each
    return by_teacher_temperature


def _best_on_val(pair: Pair, teacher: str, degrees: list[float]) -> float:
    return min(degrees, key=lambda t: (-round(pair.mean("val", plain(teacher, t)), 9), t))


def _words(table: pd.DataFrame) -> Iterator[Row]:
    """A row for each pair and cause whose claims are there: `this` is what remains, `other` the plain gap."""
    shared = ("pair", *NETWORKS, "label_smoothing", "reference", "claims", "level")
    for _, part in table.groupby("pair", sort=False):
        by_what = {row["what"]: row for row in records(part[part["weight"] > 0])}
        for cause, names in CAUSES.items():
            if all(name in by_what for name in names):
                gap, remaining, smaller = (by_what[name] for name in names)
                about = {"question": "cause", "what": cause, "cause": cause, "weight": 0.0, "n": gap["n"]}
                sizes = {"this": remaining["mean"], "other": gap["mean"], "temperature": remaining["temperature"]}
                about |= sizes | {name: gap[name] for name in shared}
                yield about | {"verdict": word(gap, remaining, smaller)}


def _rows(pair: Pair, options: Options) -> Iterator[Row]:
    """All rows about one pair, not yet judged."""
    t0, within = reference(pair, options), margin(pair, options)
    about = pair.networks | {"label_smoothing": pair.alpha, "reference": t0}
    about["pair"] = " ".join(map(str, pair.networks.values()))
    parts = _gaps(pair, t0), _softness(pair, t0), _calibration(pair, t0), _scale(pair, t0), _erasure(pair, t0)
    for part in (*parts, _rivals(pair, t0), _ece(pair), _losses(pair)):
        for row in part:
            has_margin = row["weight"] > 0 and row["question"] in WITH_MARGIN
            yield about | row | {"margin": within if has_margin else np.nan}


def _gaps(pair: Pair, t0: float) -> Iterator[Row]:
    """The plain gap at T0; beside it those at other T; and each teacher at the T that is best for it on val."""
    for t in pair.temperatures(SMOOTH):
        yield _gap(pair, "gap", "plain" if t == t0 else "plain, other T", plain(SMOOTH, t), float(t == t0))
    own, hards = (_best_on_val(pair, kind, pair.temperatures(SMOOTH)) for kind in (SMOOTH, HARD))
    ls_sj, hard_sj = pair.get("test", plain(SMOOTH, own)), pair.get("test", plain(HARD, hards))
    yield _row("softness", "best T", "same T", ls_sj, hard_sj, own) | {"other_temperature": hards}


def _softness(pair: Pair, t0: float) -> Iterator[Row]:
    """Softness matched at T0, and along all T; beside it by gamma, and where the T of the teacher alone moves."""
    yield from _matched_at(pair, t0)
    for row in _matched(pair, "entropy", None):
        yield row | {"weight": float(row["what"] != "matched T")}
    yield from (row | {"weight": 0.0} for row in _matched(pair, "gamma", None))
    yield from (row | {"weight": 0.0} for row in _matched(pair, "entropy", t0))


def _matched_at(pair: Pair, t0: float) -> Iterator[Row]:
    """The LS teacher's students at T0 against the hard teacher's of the same entropy: how much smaller the gap is.

    The T of the hard teacher alone moves; where the study has no such students, that of its students too.
    """
    degrees, x_sjt, hard_sjt = curve(pair, HARD, "entropy", t0)
    if len(degrees) < 2:
        degrees, x_sjt, hard_sjt = curve(pair, HARD, "entropy")
    if len(degrees) < 2:
        return
    x_ls_sj, ls_sj = (pair.get(what, plain(SMOOTH, t0)) for what in ("entropy", "test"))
    matched_sj = np.full_like(ls_sj, np.nan)
    for place in np.ndindex(ls_sj.shape):
        matched_sj[place] = at_x(x_sjt[place], hard_sjt[place], float(x_ls_sj[place]))
    yield _row("softness", "matched at T0", "same T", ls_sj, matched_sj, t0)
    plain_sj = ls_sj - pair.get("test", plain(HARD, t0))
    yield _smaller("softness", "matched at T0, smaller", ls_sj - matched_sj, plain_sj, t0)


def _matched(pair: Pair, what: str, student_t: float | None) -> Iterator[Row]:
    """The gap at the same T, that at the same softness, and how much smaller it is."""
    degrees, x_ls_sjt, ls_sjt = curve(pair, SMOOTH, what, student_t)
    _, x_hard_sjt, hard_sjt = curve(pair, HARD, what, student_t)
    if len(degrees) < 2:
        return
    gap_sj2 = np.full((*ls_sjt.shape[:2], 2), np.nan)
    for place in np.ndindex(ls_sjt.shape[:2]):
        if not np.isnan(ls_sjt[place] + hard_sjt[place]).any():
            gap_sj2[place] = at_equal(x_hard_sjt[place], hard_sjt[place], x_ls_sjt[place], ls_sjt[place])
    same_x_sj, same_t_sj = gap_sj2[:, :, 0], gap_sj2[:, :, 1]
    zero_sj, more = np.zeros_like(same_x_sj), "" if student_t is None else ", teacher's T alone"
    if what == "entropy":
        yield _row("softness", f"matched T{more}", "same T", same_t_sj, zero_sj, student_t)
    yield _row("softness", f"matched {what}{more}", "same T", same_x_sj, zero_sj, student_t)
    yield _smaller("softness", f"matched {what}, smaller{more}", same_x_sj, same_t_sj, student_t)


def _calibration(pair: Pair, t0: float) -> Iterator[Row]:
    """Both teachers at their fitted T*, at each T; how much smaller the gap is is claimed at T0, else beside."""
    for taught in _of_both(pair, "kd", "calibrate"):
        more = "" if taught.temperature == t0 else ", other T"
        yield _gap(pair, "calibration", f"calibrated{more}", taught)
        if taught.temperature in pair.temperatures(SMOOTH):
            row = _smaller_than_plain(pair, "calibration", f"calibrated, smaller{more}", taught)
            yield row | {"weight": float(not more)}


def _scale(pair: Pair, t0: float) -> Iterator[Row]:
    """Logits standardised for teacher and student, at T0."""
    for taught in _of_both(pair, STANDARDIZED, "none"):
        if taught.temperature == t0:
            yield _gap(pair, "scale", "standardized", taught)
            yield _smaller_than_plain(pair, "scale", "standardized, smaller", taught)


def _erasure(pair: Pair, t0: float) -> Iterator[Row]:
    """Dose-response of the hard teacher's students over lambda, and its controls; beside, what LS erases itself."""
    hard, ls = plain(HARD, t0), plain(SMOOTH, t0)
    keeps, accuracy_sjk = doses(pair, t0)
    if len(keeps) > 1:
        slope_sj = slope(keeps, accuracy_sjk)
        yield _row("erasure", "slope", "prediction", slope_sj, np.zeros_like(slope_sj), t0)
        mean_k = np.array([by_seed(accuracy_sjk[:, :, k]).mean() for k in range(len(keeps))])
        at = crossing(keeps, mean_k, pair.mean("test", ls))
        yield _number("erasure", "lambda of LS", at, t0, len(pair.seeds))
    erased = hard._replace(transform="erase", keep=0.0)
    shuffled, randomized = (hard._replace(transform=name) for name in ("shuffle", "randomize"))
    contrasts = {
        "erased": (ls, erased),
        "shuffled": (shuffled, hard),
        "shuffled, erased": (shuffled, erased),
        "randomized, erased": (randomized, erased),
    }
    for what, (this, other) in contrasts.items():
        if pair.has(this) and pair.has(other):
            yield _row("erasure", what, "choice", pair.get("test", this), pair.get("test", other), t0)
    std_sj, hards_std_sj = (pair.get("within_class_std", each) for each in (ls, hard))
    ratio_sj = np.divide(std_sj, hards_std_sj, out=np.full_like(std_sj, np.nan), where=hards_std_sj > 0)
    row = _row("erasure", "within-class ratio", "prediction", ratio_sj, np.zeros_like(ratio_sj), t0, 0.0)
    yield row | {"other": np.nan}


def _rivals(pair: Pair, t0: float) -> Iterator[Row]:
    """Students of other kinds of teacher against the hard one's at T = 1 and T0; beside, how they go with ECE."""
    kinds = _other_kinds(pair)
    for t in [t for t in sorted({1.0, t0}) if pair.has(plain(HARD, t))]:
        for kind in kinds:
            if pair.has(plain(kind, t)):
                this_sj, hard_sj = (pair.get("test", plain(each, t)) for each in (kind, HARD))
                yield _row("calibration", "rival", "choice", this_sj, hard_sj, t) | {"kind": kind}
        points = [(plain(kind, t), "ece") for kind in (HARD, SMOOTH, *kinds)]
        points += [(taught._replace(transform="calibrate"), "ece_scaled") for taught, _ in points]
        known = [(pair.mean(ece, taught), pair.mean("test", taught)) for taught, ece in points]
        known_k2 = np.array([point for point in known if not np.isnan(point).any()]).reshape(-1, 2)
        if len(known_k2) > 2:
            yield _number("calibration", "ece and top-1", spearman(*known_k2.T), t, len(known_k2))


def _ece(pair: Pair) -> Iterator[Row]:
    """Beside: the ECE of each kind of teacher against the hard one's."""
    for kind in [SMOOTH, *_other_kinds(pair)]:
        of_kind = [plain(kind, t) for t in pair.temperatures(kind)][:1]
        for taught in of_kind:
            this_sj, hard_sj = (pair.get("ece", taught._replace(teacher=each)) for each in (kind, HARD))
            if not np.isnan(this_sj + hard_sj).all():
                yield _row("calibration", "ece", "prediction", this_sj, hard_sj, None, 0.0) | {"kind": kind}


def _losses(pair: Pair) -> Iterator[Row]:
    """The gap under each other loss, at each of its T."""
    for way in sorted({taught.way for taught in pair.all_taught()} - {"kd", STANDARDIZED}):
        for taught in _of_both(pair, way, "none"):
            yield _gap(pair, "losses", "loss", taught)


def _other_kinds(pair: Pair) -> list[str]:
    return sorted({taught.teacher for taught in pair.all_taught()} - {HARD, SMOOTH})


def _of_both(pair: Pair, way: str, transform: str) -> list[Taught]:
    """How LS teachers taught, by this way after this transform and at one T, so that hard ones did too; by T."""
    same = [
        each
        for each in pair.all_taught()
        if (each.teacher, each.way, each.transform) == (SMOOTH, way, transform)
        and each.temperature == each.teacher_temperature
        and pair.has(each._replace(teacher=HARD))
    ]
    return sorted(same, key=lambda each: each.temperature or 0.0)


def _gap(pair: Pair, cause: str, what: str, ls: Taught, weight: float = 1.0) -> Row:
    """The gap of two teachers whose students are otherwise taught alike."""
    ls_sj, hard_sj = (pair.get("test", ls._replace(teacher=teacher)) for teacher in (SMOOTH, HARD))
    return _row(cause, what, "same T", ls_sj, hard_sj, ls.temperature, weight) | {"kind": ls.way}


def _smaller_than_plain(pair: Pair, cause: str, what: str, ls: Taught) -> Row:
    """How much smaller a gap is than the plain one at its T."""
    gap_sj, plain_sj = (
        pair.get("test", taught) - pair.get("test", taught._replace(teacher=HARD))
        for taught in (ls, plain(SMOOTH, ls.temperature))
    )
    return _smaller(cause, what, gap_sj, plain_sj, ls.temperature)


def _smaller(cause: str, what: str, gap_sj: np.ndarray, plain_sj: np.ndarray, t: float | None) -> Row:
    """The difference of two gaps, and the `share` of the plain one that remains."""
    row = _row(cause, what, "interaction", gap_sj, plain_sj, t)
    return row | {"share": row["this"] / row["other"] if row["other"] else np.nan}


def _row(
    cause: str,
    what: str,
    question: str,
    this_sj: np.ndarray,
    other_sj: np.ndarray,
    temperature: float | None,
    weight: float = 1.0,
) -> Row:
    """The mean difference of numbers [S, J] over seeds, students averaged first."""
    difference_sj = this_sj - other_sj
    sides = {}
    for name, value_sj in (("this", this_sj), ("other", other_sj)):
        value_s = by_seed(np.where(np.isnan(difference_sj), np.nan, value_sj))
        sides[name] = float(value_s.mean()) if len(value_s) else np.nan
    about: Row = {"question": question, "cause": cause, "what": what, "weight": weight, "sign": 1}
    about |= {"temperature": np.nan if temperature is None else temperature, "is_one_sided": False}
    return about | sides | compare(by_seed(difference_sj)) | components(difference_sj)


def _number(cause: str, what: str, value: float, temperature: float, n: int) -> Row:
    """A number beside the claims that has no spread over seeds."""
    nothing_sj = np.zeros((0, 1))
    row = _row(cause, what, "prediction", nothing_sj, nothing_sj, temperature, 0.0)
    return row | {"this": value, "mean": value, "n": 0 if np.isnan(value) else n}
