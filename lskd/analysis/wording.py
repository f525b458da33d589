"""The comparisons of a study in plain words: what label smoothing does, and what to do."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lskd.analysis.comparisons import CANNOT_TELL, NOT_SHOWN, Row, best_other, records, settings
from lskd.analysis.statistics import FEWEST, TIE


def sentences(numbers: pd.DataFrame) -> list[str]:
    """One plain sentence for each data set, teacher and student of `verdict`'s rows: what LS does, and what to do."""
    return [
        _sentence(part[part["question"] == "same T"], records(part[part["question"] == "choice"]))
        for _, part in settings(numbers)
    ]


def _sentence(effects: pd.DataFrame, choice: list[Row]) -> str:
    if effects.empty:  # a choice without a common T
        return f"No T is shared by students of smoothed and unsmoothed teachers: {advice(choice[0])}."
    first = records(effects.iloc[:1])[0]
    teacher, student, data = first["teacher_model"], first["model"], first["dataset"]
    smoothed = [f"α = {alpha:g}" for alpha in effects["label_smoothing"].unique()]
    if effects["verdict"].eq(CANNOT_TELL).all():
        about = f"smoothing the teacher {teacher} ({listed(smoothed, 'or')}) helps or hurts its student {student}"
        return (
            f"With {seeds(effects['n'].max())} it cannot be told whether {about} on {data}: run {FEWEST} seeds or more"
            f" (best on val so far: {cell_text(choice[0])})."
        )
    parts = [_effect(part, student) for _, part in effects.groupby("label_smoothing", sort=True)]
    whole = f"On {data}, smoothing the teacher {teacher} ({smoothed[0]}) {parts[0]}"
    for alpha, part in zip(smoothed[1:], parts[1:], strict=True):
        whole += f"; with {alpha} it {part}"
    return _named_once(f"{whole}: {advice(choice[0])}.", student)


def _named_once(text: str, student: str) -> str:
    """A sentence that names the student where it first speaks of it, and says "that student" from then on."""
    start, name, rest = text.partition(f"its student {student}")
    return start + name + rest.replace(name, "that student") if name else text


def _effect(part: pd.DataFrame, student: str) -> str:
    """What one label smoothing does at each T: "hurts its student ... at T = 64 by 1.2 points (...) and makes ..."."""
    effects = []
    for word in ("helps", "hurts"):
        sizes = [f"at T = {row['temperature']:g} by {_size(row)}" for row in records(part[part["verdict"] == word])]
        if sizes:
            effects.append(f"{word} its student {student} {listed(sizes)}")
    whom = "" if effects else f" to its student {student}"
    for n in sorted(part["n"].unique()):
        same_n = part[part["n"] == n]
        not_shown, untold = same_n[same_n["verdict"] == NOT_SHOWN], same_n[same_n["verdict"] == CANNOT_TELL]
        if not not_shown.empty:
            effects.append(f"makes no difference{whom} that {seeds(n)} can show at {_degrees(not_shown)}")
        if not untold.empty:
            effects.append(f"does what {seeds(n)} cannot tell at {_degrees(untold)}")
    return listed(effects)


def _size(row: Row) -> str:
    """How large an effect is, without its sign, which "helps" or "hurts" says."""
    sign = 1 if row["mean"] >= 0 else -1
    mean = abs(row["mean"])
    low, high = sorted((row["low"] * sign, row["high"] * sign))
    digits = 1 if mean >= 0.5 else 2
    if np.isnan(low):
        return f"{mean:.{digits}f} points (in each of {seeds(row['n'])})"
    return f"{mean:.{digits}f} points ({interval(low, high, digits)}, {seeds(row['n'])})"


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
    if choice["verdict"] == CANNOT_TELL:
        certainty = "is too few to tell anything" if choice["n"] == 1 else "are too few to tell anything"
    elif choice["verdict"] == NOT_SHOWN:
        certainty = "cannot tell this from no difference"
    else:
        certainty = "tell this from chance"
    gap = f"{choice['this']:.2f} % on test, {_gap(choice, kind)}"
    return f"That choice, the best on val, has {gap}: {seeds(choice['n'])} {certainty}."


def _gap(row: Row, kind: str) -> str:
    """ "0.30 points above the best smoothed choice (α = 0.1, T = 1; 95 % interval −0.20 to 0.80)"."""
    if abs(row["mean"]) > TIE:
        gap = f"{abs(row['mean']):.2f} points {'above' if row['mean'] > 0 else 'below'}"
    else:
        gap = "level with"
    between = "" if np.isnan(row["low"]) else f"; {interval(row['low'], row['high'], 2)}"
    return f"{gap} the best {kind} choice ({cell_text(row, 'other_')}{between})"


def rule_sentence(rows: pd.DataFrame) -> str:
    """Whether Chandrasegaran's rule is borne out in one setting of `rule`'s rows."""
    first, runner_up = records(rows.iloc[:1])[0], best_other(records(rows))
    where = f"on {first['dataset']} ({first['model']} ← {first['teacher_model']})"
    what = f"the LS teacher (α = {first['label_smoothing']:g}) at T = 1"
    if rows["n"].max() < FEWEST:
        return f"With {seeds(rows['n'].max())} it cannot be told {where} whether {what} is the best choice."
    better, worse = rows["verdict"].eq("better").sum(), rows["verdict"].eq("worse").sum()
    against_others = (
        f"{seeds(rows['n'].max())} show it better than {better} and worse than {worse} of the {len(rows)} others"
    )
    held = "neither bears the rule out nor contradicts it"
    if worse:
        held = "contradicts the rule"
    elif runner_up["mean"] > 0:
        held = "bears the rule out" if better == len(rows) else "agrees with the rule, without proof,"
    return f"The study {held} {where}: {what} is {_gap(runner_up, 'other')}, and {against_others}."


def cell_text(row: Row, prefix: str = "") -> str:
    """A choice: "no smoothing, T = 2" or "α = 0.1, T = 2"."""
    alpha, t = row[f"{prefix}label_smoothing"], row[f"{prefix}temperature"]
    return f"α = {alpha:g}, T = {t:g}" if alpha else f"no smoothing, T = {t:g}"


def interval(low: float, high: float, digits: int) -> str:
    """An interval in words."""
    ends = [f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") for value in (low, high)]  # no "-0.00"
    return f"95 % interval {ends[0]} to {ends[1]}"


def seeds(n: float) -> str:
    """A number of seeds in words."""
    return f"{n:.0f} seed" + ("" if n == 1 else "s")


def listed(texts: Sequence[str], last: str = "and") -> str:
    """Texts as a list in words: a, b and c."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def _degrees(rows: pd.DataFrame) -> str:
    return f"T = {listed([f'{t:g}' for t in sorted(rows['temperature'])])}"
