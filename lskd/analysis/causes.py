"""Why does a smoothed teacher teach worse? Interventions on teachers' logits, a row each, and a word for each cause.

A *gap* is the accuracy of an LS teacher's students minus that of the hard teacher's, in points, on test. T0 is the
reference temperature. For each cause there are three claims: the plain gap, the gap that remains after an intervention,
and how much smaller that is, paired by seed:

- softness: the gap at the same T; the gap at the same entropy of what is taught; their difference (`at_equal`);
- calibration: the gap at T0; the gap when each teacher's logits are divided by its T* (Guo 2017); their difference;
- scale: the gap at T0; the gap when logits are standardised (Sun 2024); their difference;
- erasure: the gap at T0; the LS teacher's students against those of a hard teacher whose differences within a class
  are erased (lambda = 0); the slope of the hard teacher's students over lambda, the share that is kept.

The word of a cause, by `word`, from these claims alone:

- "survives": there is a gap, told and not within the margin; it is told to be smaller; and what remains is within the
  margin (equivalence), or told and of the other sign;
- "part of it": told to be smaller, and a gap of the same sign is told to remain;
- "at least part of it": told to be smaller; whether a gap remains cannot be told;
- "does not explain it": a gap of the same sign is told to remain, and it is not told to be smaller;
- "cannot tell": all else, as where no gap is told at first.

All claims of a table are one family (`family.py`). Rows beside them have weight 0.
Axes: s seeds, j students of one teacher, t temperatures, k kinds of teacher.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lskd.analysis.comparisons import SHARE_OF_GAIN, SMALLEST_MARGIN
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE, judged
from lskd.analysis.interventions import HARD, SMOOTH, Pair, Taught, pairs, plain
from lskd.analysis.statistics import FEWEST, compare, components, look_level
from lskd.analysis.students import Row, by_seed
from lskd.errors import UserError

CAUSES = {  # by cause: its plain gap, what remains, and how much smaller that is
    "softness": ("same T", "same entropy", "same entropy, smaller"),
    "calibration": ("plain", "calibrated", "calibrated, smaller"),
    "scale": ("plain", "standardized", "standardized, smaller"),
    "erasure": ("plain", "erased", "slope"),
}
SURVIVES, PART, PART_OR_ALL, NOT = "survives", "part of it", "at least part of it", "does not explain it"
SMALLER, LARGER = "smaller", "larger"
UNTOLD = (CANNOT_TELL, NO_DIFFERENCE)

Frames = Mapping[str, pd.DataFrame]
Options = dict[str, Any]


def causes(frames: Frames, options: Options | None = None) -> pd.DataFrame:
    """All rows of a study: claims, rows beside them, and for each pair of networks and cause its word.

    Reads the metric families accuracy, taught and calibration (which may be missing). `this` and `other` are what is
    compared, mean = this - other. Options: margin (points), reference_temperature, looks, planned_looks. Raises
    UserError where no pair of networks has students of both teachers by plain distillation at one T above 1.
    """
    options = options or {}
    studied = pairs(frames)
    if not studied:
        raise UserError("causes: found no hard and smoothed teacher whose students, by kd, share a T; add such groups")
    seeds = {seed for pair in studied for seed in pair.seeds}
    level = look_level(len(seeds), options.get("looks") or (), options.get("planned_looks") or ())[0]
    rows = judged([row for pair in studied for row in _rows(pair, options)], level)
    rows = [row | {"verdict": _in_words(row)} for row in rows]
    table = pd.DataFrame(rows)
    return pd.concat([table, pd.DataFrame(_words(table))], ignore_index=True)


def reference(pair: Pair, options: Options) -> float:
    """T0: as the option says, else the T above 1 that is best on val for the hard teacher's plain students.

    It is sought among the T of interventions where there are such. Raises UserError where nothing is left.
    """
    shared = pair.temperatures(SMOOTH)
    wanted = options.get("reference_temperature")
    if wanted is not None and wanted not in shared:
        known = ", ".join(f"{t:g}" for t in shared)
        raise UserError(f"reference_temperature: found {wanted:g}, but both teachers have students by kd at T {known}")
    if wanted is not None:
        return float(wanted)
    above = [t for t in shared if t > 1]
    intervened = {taught.temperature for taught in pair.all_taught() if not taught.is_plain}
    candidates = [t for t in above if t in intervened] or above
    if not candidates:
        raise UserError("causes: found students by kd at T 1 or less alone; add a T above 1 for both teachers")
    return min(candidates, key=lambda t: (-round(pair.mean("val", plain(HARD, t)), 9), t))


def margin(pair: Pair, options: Options) -> float:
    """The margin of "no difference": the option, else 0.5 points or a fifth of what distillation gains on val."""
    if options.get("margin"):
        return float(options["margin"])
    distilled = max(pair.mean("val", plain(HARD, t)) for t in pair.temperatures(HARD))
    return float(np.fmax(SMALLEST_MARGIN, SHARE_OF_GAIN * (distilled - pair.alone)))


def curve(pair: Pair, teacher: str, what: str, of_teacher_alone_at: float | None = None) -> tuple[np.ndarray, ...]:
    """T [T], and [S, J, T] `what` was taught and the top-1 on test, by plain distillation, of T that both teachers have.

    Given a temperature, that of the student stays there, and T is of the teacher alone.
    """
    by_t = _by_temperature(pair, teacher, of_teacher_alone_at)
    common = sorted(by_t.keys() & _by_temperature(pair, HARD, of_teacher_alone_at).keys())
    xs, ys = ([pair.get(name, by_t[t]) for t in common] for name in (what, "test"))
    nothing_sjt = np.zeros((len(pair.seeds), len(pair.students), 0))
    return (np.array(common), *(np.stack(values, axis=2) if values else nothing_sjt for values in (xs, ys)))


def _by_temperature(pair: Pair, teacher: str, student_t: float | None) -> dict[float, Taught]:
    """How students by kd were taught, by T; with `student_t`, by the T of their teacher alone."""
    found = {}
    for taught in pair.all_taught():
        is_kd = taught.teacher == teacher and taught.way == "kd" and taught.transform == "none"
        is_wanted = taught.is_plain if student_t is None else taught.temperature == student_t
        if is_kd and is_wanted and taught.teacher_temperature is not None:
            found[taught.teacher_temperature] = taught
    return found


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
    means = (np.trapezoid(values, knots) / (high - low) for values in (same_x, same_t))
    return tuple(float(value) for value in means)


def crossing(keeps: np.ndarray, accuracy: np.ndarray, wanted: float) -> float:
    """The largest lambda below 1 at which a dose-response, straight between its doses, is at `wanted`; NaN if never."""
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
    return float(np.corrcoef(rankdata(x_k), rankdata(y_k))[0, 1])


def word(plain_gap: Row, remaining: Row, smaller: Row) -> str:
    """A cause in one word, by the rule above, from its three claims: mean, verdict, p_equivalence and level of each."""
    if plain_gap["verdict"] in UNTOLD or _is_within_margin(plain_gap):
        return CANNOT_TELL
    direction = np.sign(plain_gap["mean"])
    is_smaller = smaller["verdict"] not in UNTOLD and smaller["mean"] * direction < 0
    is_told = remaining["verdict"] not in UNTOLD
    is_beyond = is_told and remaining["mean"] * direction < 0
    if is_smaller and (_is_within_margin(remaining) or is_beyond):
        return SURVIVES
    if is_smaller:
        return PART if is_told else PART_OR_ALL
    return NOT if is_told and not is_beyond else CANNOT_TELL


def _is_within_margin(row: Row) -> bool:
    return bool(row["p_equivalence"] < row["level"])


def _in_words(row: Row) -> str:
    """The verdict of a row; of a difference of two gaps, which is the larger."""
    if row["question"] != "interaction" or not row["weight"] or row["verdict"] in UNTOLD:
        return str(row["verdict"])
    return SMALLER if row["mean"] * row["other"] < 0 else LARGER


def _words(table: pd.DataFrame) -> Iterator[Row]:
    """A row for each pair of networks and cause whose claims are there: `this` is what remains, `other` the plain gap."""
    for _, part in table.groupby("pair", sort=False):
        by_what = {row["what"]: row for row in part[part["weight"] > 0].to_dict("records")}
        for cause, names in CAUSES.items():
            if all(name in by_what for name in names):
                plain_gap, remaining, smaller = (by_what[name] for name in names)
                about = {name: plain_gap[name] for name in ("pair", *_NETWORKS, "label_smoothing", "claims", "level")}
                about |= {"question": "cause", "what": cause, "cause": cause, "weight": 0.0, "n": plain_gap["n"]}
                about |= {
                    "this": remaining["mean"],
                    "other": plain_gap["mean"],
                    "temperature": remaining["temperature"],
                }
                yield about | {"verdict": word(plain_gap, remaining, smaller)}


_NETWORKS = ("dataset", "teacher_model", "model", "recipe")


def _rows(pair: Pair, options: Options) -> Iterator[Row]:
    """All rows about one pair, not yet judged."""
    t0 = reference(pair, options)
    number = " ".join(map(str, pair.networks.values()))
    parts = _gaps(pair, t0), _softness(pair, t0), _calibration(pair, t0), _scale(pair, t0), _erasure(pair, t0)
    for part in (*parts, _rivals(pair, t0), _losses(pair)):
        for row in part:
            about = {"pair": number, "label_smoothing": pair.alpha, "reference": t0} | pair.networks
            yield about | row | {"margin": margin(pair, options) if row["has_margin"] else np.nan}


def _gap(pair: Pair, cause: str, what: str, ls: Taught, weight: float = 1.0) -> Row:
    """The gap of two teachers whose students are otherwise taught alike."""
    values = [pair.get("test", ls._replace(teacher=teacher)) for teacher in (SMOOTH, HARD)]
    return _row(cause, what, "same T", *values, ls.temperature, weight) | {"way": ls.way}


def _gaps(pair: Pair, t0: float) -> Iterator[Row]:
    """The plain gap at T0 is a claim; beside it, the others. And each teacher at its T that is best on val."""
    for t in pair.temperatures(SMOOTH):
        yield _gap(pair, "", "plain" if t == t0 else "plain, other T", plain(SMOOTH, t), float(t == t0))
    best = [
        min(pair.temperatures(kind), key=lambda t: (-round(pair.mean("val", plain(kind, t)), 9), t))
        for kind in (SMOOTH, HARD)
    ]
    ls_sj, hard_sj = (pair.get("test", plain(kind, t)) for kind, t in zip((SMOOTH, HARD), best, strict=True))
    yield _row("softness", "best T", "same T", ls_sj, hard_sj, best[0]) | {"other_temperature": best[1]}


def _softness(pair: Pair, t0: float) -> Iterator[Row]:
    """The gap at the same entropy and at the same T; beside, by gamma, and with the T of the teacher alone at T0."""
    yield from _at_equal(pair, "entropy", None, 1.0)
    yield from _at_equal(pair, "gamma", None, 0.0)
    yield from _at_equal(pair, "entropy", t0, 0.0)


def _at_equal(pair: Pair, what: str, student_t: float | None, weight: float) -> Iterator[Row]:
    _, x_hard_sjt, hard_sjt = curve(pair, HARD, what, student_t)
    degrees, x_ls_sjt, ls_sjt = curve(pair, SMOOTH, what, student_t)
    if len(degrees) < 2 or hard_sjt.shape != ls_sjt.shape:
        return
    gap_sj2 = np.full((*ls_sjt.shape[:2], 2), np.nan)
    for place in np.ndindex(ls_sjt.shape[:2]):
        if not np.isnan(ls_sjt[place] + hard_sjt[place]).any():
            gap_sj2[place] = at_equal(x_hard_sjt[place], hard_sjt[place], x_ls_sjt[place], ls_sjt[place])
    same_x_sj, same_t_sj = gap_sj2[:, :, 0], gap_sj2[:, :, 1]
    zero_sj = np.zeros_like(same_x_sj)
    more = "" if student_t is None else ", teacher's T alone"
    names = f"same {what}{more}", f"same T{more}", f"same {what}{more}, smaller"
    t = np.nan if student_t is None else student_t
    if what == "entropy":
        yield _row("softness", names[1], "same T", same_t_sj, zero_sj, t, weight)
    yield _row("softness", names[0], "same T", same_x_sj, zero_sj, t, weight)
    yield _smaller("softness", names[2], same_x_sj, same_t_sj, t, weight)


def _calibration(pair: Pair, t0: float) -> Iterator[Row]:
    """Both teachers at their fitted T*, at each T; how much smaller the gap is, at T0."""
    for taught in _of_teachers(pair, "kd", "calibrate"):
        is_reference = taught.temperature == t0
        yield _gap(pair, "calibration", "calibrated" if is_reference else "calibrated, other T", taught)
        if taught.temperature in pair.temperatures(SMOOTH):
            weight, more = (1.0, "") if is_reference else (0.0, ", other T")
            yield _against_plain(pair, "calibration", f"calibrated, smaller{more}", taught, weight)


def _scale(pair: Pair, t0: float) -> Iterator[Row]:
    for taught in _of_teachers(pair, "standardized_kd", "none"):
        if taught.temperature == t0:
            yield _gap(pair, "scale", "standardized", taught)
            yield _against_plain(pair, "scale", "standardized, smaller", taught, 1.0)


def _of_teachers(pair: Pair, way: str, transform: str) -> list[Taught]:
    """How LS teachers taught so that hard ones did too, by this way after this transform; by T."""
    same = [t for t in pair.all_taught() if (t.teacher, t.way, t.transform) == (SMOOTH, way, transform)]
    same = [t for t in same if t.temperature == t.teacher_temperature and pair.has(t._replace(teacher=HARD))]
    return sorted(same, key=lambda taught: (taught.temperature is None, taught.temperature or 0.0))


def _against_plain(pair: Pair, cause: str, what: str, ls: Taught, weight: float) -> Row:
    """How much smaller a gap is than the plain one at its T."""
    gap_sj, plain_sj = (
        pair.get("test", taught) - pair.get("test", taught._replace(teacher=HARD))
        for taught in (ls, plain(SMOOTH, ls.temperature))
    )
    return _smaller(cause, what, gap_sj, plain_sj, ls.temperature, weight)


def _smaller(cause: str, what: str, gap_sj: np.ndarray, plain_sj: np.ndarray, t: float | None, weight: float) -> Row:
    row = _row(cause, what, "interaction", gap_sj, plain_sj, t, weight) | {"has_margin": False}
    return row | {"share": row["this"] / row["other"] if row["other"] else np.nan}


def _erasure(pair: Pair, t0: float) -> Iterator[Row]:
    """Dose-response of the hard teacher's students over lambda, and its controls; beside, what LS erases itself."""
    hard, ls = plain(HARD, t0), plain(SMOOTH, t0)
    keeps, accuracy_sjk = doses(pair, t0)
    if len(keeps) > 1:
        slope_sj = slope(keeps, accuracy_sjk)
        yield _row("erasure", "slope", "prediction", slope_sj, np.zeros_like(slope_sj), t0) | {"has_margin": False}
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
    if len(keeps) > 1:
        mean_k = np.array([by_seed(accuracy_sjk[:, :, k]).mean() for k in range(len(keeps))])
        at = crossing(keeps, mean_k, pair.mean("test", ls))
        yield _number("erasure", "lambda of LS", at, t0, len(pair.seeds))
    ratio_sj = pair.get("within_class_std", ls) / pair.get("within_class_std", hard)
    yield _row("erasure", "within-class ratio", "prediction", ratio_sj, np.zeros_like(ratio_sj), t0, 0.0)


def doses(pair: Pair, t0: float) -> tuple[np.ndarray, np.ndarray]:
    """lambda [k], ascending, and the hard teacher's students' top-1 on test [S, J, k]; 1 is plain distillation."""
    by_keep = {1.0: plain(HARD, t0)}
    for taught in pair.all_taught():
        if taught.keep is not None and taught == plain(HARD, t0)._replace(transform="erase", keep=taught.keep):
            by_keep.setdefault(taught.keep, taught)
    keeps = sorted(by_keep)
    return np.array(keeps), np.stack([pair.get("test", by_keep[keep]) for keep in keeps], axis=2)


def _rivals(pair: Pair, t0: float) -> Iterator[Row]:
    """Students of the other kinds of teacher against the hard one's; beside, teachers' ECE and its rank correlation."""
    kinds = sorted({taught.teacher for taught in pair.all_taught()} - {HARD, SMOOTH})
    for t in [t for t in sorted({1.0, t0}) if pair.has(plain(HARD, t))]:
        for kind in kinds:
            if pair.has(plain(kind, t)):
                values = (pair.get("test", plain(each, t)) for each in (kind, HARD))
                yield _row("calibration", "rival", "choice", *values, t) | {"kind": kind}
        yield from _correlation(pair, [HARD, SMOOTH, *kinds], t)
    for kind in [SMOOTH, *kinds]:
        taught = next((plain(kind, t) for t in pair.temperatures(kind)), None)
        if taught and ("ece", taught) in pair.values:
            values = (pair.get("ece", taught._replace(teacher=each)) for each in (kind, HARD))
            yield _row("calibration", "ece", "prediction", *values, None, 0.0) | {"kind": kind, "has_margin": False}


def _correlation(pair: Pair, kinds: list[str], t: float) -> Iterator[Row]:
    """Spearman's correlation of the teachers' ECE and their students' top-1, over kinds of teacher, T* among them."""
    points = [(plain(kind, t), "ece") for kind in kinds]
    points += [(plain(kind, t)._replace(transform="calibrate"), "ece_scaled") for kind in kinds]
    known = [(pair.mean(ece, taught), pair.mean("test", taught)) for taught, ece in points]
    known_k2 = np.array([point for point in known if not np.isnan(point).any()]).reshape(-1, 2)
    if len(known_k2) > 2:
        yield _number("calibration", "ece and top-1", spearman(known_k2[:, 0], known_k2[:, 1]), t, len(known_k2))


def _losses(pair: Pair) -> Iterator[Row]:
    """The gap under each other loss, at each of its T."""
    ways = sorted({taught.way for taught in pair.all_taught()} - {"kd", "standardized_kd"})
    for way in ways:
        for taught in _of_teachers(pair, way, "none"):
            yield _gap(pair, "losses", "loss", taught)


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
    about: Row = {"question": question, "cause": cause, "what": what, "temperature": temperature, "weight": weight}
    about |= {"sign": 1, "is_one_sided": False, "has_margin": True}
    return about | sides | compare(by_seed(difference_sj)) | components(difference_sj)


def _number(cause: str, what: str, value: float, temperature: float, n: int) -> Row:
    """A number beside the claims that has no spread over seeds."""
    nothing_sj = np.zeros((0, 1))
    row = _row(cause, what, "prediction", nothing_sj, nothing_sj, temperature, 0.0)
    return row | {"this": value, "mean": value, "n": n, "has_margin": False}
