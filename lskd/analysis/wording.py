"""The comparisons of a study in plain words: what label smoothing does, and what to do.

Each claim in words is a told row of the table, and each told row of the students is in words: where it helps, hurts or
makes no difference, where that cannot be told and what this n would find, whether T's are told apart, and what val and
test together advise.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lskd.analysis.comparisons import settings
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE, NOT_APART
from lskd.analysis.score import SCORES
from lskd.analysis.statistics import FEWEST, POWER, TIE
from lskd.analysis.students import Row, records

DIRECTIONS = ("helps", "hurts")


def sentences(numbers: pd.DataFrame) -> list[str]:
    """A paragraph for each data set, teacher and student of `verdict`'s rows: what LS does, and what to do."""
    return [_paragraph(part) for _, part in settings(numbers)]


def _paragraph(part: pd.DataFrame) -> str:
    effects, choice = part[part["question"] == "same T"], records(part[part["question"] == "choice"])[0]
    if choice["n"] < FEWEST and (effects["n"] < FEWEST).all():
        return _too_few(part, choice)
    first = f"On {choice['dataset']}, smoothing the teacher {choice['teacher_model']}"
    if effects.empty:  # a choice without a common T
        first += f" and not smoothing it share no T for the student {choice['model']}."
        return f"{first} {advice(part)}"
    parts: list[str] = []
    for alpha in sorted(set(effects["label_smoothing"])):
        start, of_alpha = "Smoothing it" if parts else first, part[part["label_smoothing"] == alpha]
        parts.append(f"{start} (α = {alpha:g}) {_effect(of_alpha, choice['model'])}.{_between(of_alpha)}")
    return _named_once(f"{' '.join(parts)} {advice(part)}", choice["model"])


def _too_few(part: pd.DataFrame, choice: Row) -> str:
    alphas = sorted(alpha for alpha in part["label_smoothing"].unique() if alpha > 0)
    smoothed = listed([f"α = {alpha:g}" for alpha in alphas], "or") if alphas else "α > 0"
    return (
        f"With {seeds(part['n'].max())} it cannot be told whether smoothing the teacher {choice['teacher_model']}"
        f" ({smoothed}) helps or hurts its student {choice['model']} on {choice['dataset']}: run {FEWEST} seeds or more"
        f" (best on val so far: {cell_text(choice)})."
    )


def _named_once(text: str, student: str) -> str:
    """Text that names the student where it first speaks of it, and says "that student" from then on."""
    start, name, rest = text.partition(f"its student {student}")
    return start + name + rest.replace(name, "that student") if name else text


def _effect(part: pd.DataFrame, student: str) -> str:
    """What one label smoothing does at each T: "hurts its student ... at T = 64 by 1.2 points (...), and ..."."""
    effects = part[part["question"] == "same T"]
    parts = []
    for word in DIRECTIONS:
        sizes = [f"{_at([row])} by {_size(row)}" for row in records(effects[effects["verdict"] == word])]
        if sizes:
            parts.append(f"{word} its student {student} {listed(sizes)}")
    same = records(effects[effects["verdict"] == NO_DIFFERENCE])
    if same:
        parts.append(
            f"makes no difference of {same[0]['margin']:.2g} points or more to its student {student} {_at(same)}"
        )
    untold = records(effects[effects["verdict"] == CANNOT_TELL])
    if untold:
        parts.append(f"cannot be told to help or hurt its student {student} {_untold(untold)}")
    return "; ".join(parts)


def _untold(rows: list[Row]) -> str:
    """ "at T = 1 and 2 (10 seeds would find 0.31 and 0.4 points with 80 % power)"; a part for each number of seeds."""
    parts = []
    for n in sorted({row["n"] for row in rows}):
        same_n = sorted((row for row in rows if row["n"] == n), key=lambda row: row["temperature"])
        sizes = ["no size" if np.isnan(row["detectable"]) else f"{row['detectable']:.2g}" for row in same_n]
        finds = f"would find {listed(sizes)} points with {POWER * 100:.0f} % power"
        if n < FEWEST:
            finds = "is too few" if n == 1 else "are too few"
        known = "" if n >= FEWEST and all(np.isnan(row["detectable"]) for row in same_n) else f" ({seeds(n)} {finds})"
        parts.append(f"{_at(same_n)}{known}")
    return listed(parts)


def _size(row: Row) -> str:
    """How large an effect is, without its sign, which "helps" or "hurts" says."""
    sign = 1 if row["mean"] >= 0 else -1
    mean = abs(row["mean"])
    low, high = sorted((row["low"] * sign, row["high"] * sign))
    small = ", less than the margin" if row["p_equivalence"] < row["level"] else ""
    if np.isnan(low):
        return f"{mean:.2f} points (in each of {seeds(row['n'])}{small})"
    return f"{mean:.2f} points ({interval(row, low, high, 2)}, {seeds(row['n'])}{small})"


def _between(part: pd.DataFrame) -> str:
    """Whether the effects of one smoothing differ between T; "" where there is one T or too few seeds."""
    contrasts = records(part[part["question"] == "interaction"])
    if not contrasts or max(row["n"] for row in contrasts) < FEWEST:
        return ""
    different = [row for row in contrasts if row["verdict"] in ("higher", "lower")]
    same = [row for row in contrasts if row["verdict"] == NO_DIFFERENCE]
    lowest = f"T = {contrasts[0]['other_temperature']:g}"
    texts = [f"{abs(row['mean']):.2f} points {row['verdict']} {_at([row])}" for row in different]
    if same:
        texts.append(f"no different by {same[0]['margin']:.2g} points or more {_at(same)}")
    if texts:
        rest = [row for row in contrasts if row["verdict"] == CANNOT_TELL]
        more = f"; {_at(rest).removeprefix('at ')} cannot be told from {lowest}" if rest else ""
        return f" Against {lowest}, its effect is {listed(texts)}{more}."
    if (part["verdict"] == "differ").any():
        return " Its effects at these T differ; which from which is not told."
    return " These T are not told apart." if len(contrasts) > 1 else " The two T are not told apart."


def advice(part: pd.DataFrame) -> str:
    """The best choices on val of one setting's rows, and what to do: no more than val tells apart and test bears out.

    Whether to smooth is advised where all choices not told apart from the best on val agree and the best is better on
    test than the best of the other kind; then an alpha and a T too, where they share one.
    """
    choice, cells = records(part[part["question"] == "choice"])[0], best_set(part)
    best = "Best on val, all else left out" if len(cells) == 1 else "Not told apart from the best on val"
    best += f": {_cells_text(cells)}"
    if len({row["label_smoothing"] > 0 for row in cells}) > 1:
        return f"{best}, so no advice on smoothing."
    if choice["verdict"] != "better":
        return (
            f"{best}; test {'tells against it' if choice['verdict'] == 'worse' else 'does not tell so'}, so no advice."
        )
    alphas, degrees = ({row[name] for row in cells} for name in ("label_smoothing", "temperature"))
    smooth = "smooth the teacher" if choice["label_smoothing"] else "leave the teacher unsmoothed"
    if choice["label_smoothing"] and len(alphas) == 1:
        smooth += f" (α = {choice['label_smoothing']:g})"
    distil = f", and distil {_at([choice])}" if len(degrees) == 1 and not np.isnan(choice["temperature"]) else ""
    return f"{best}. Advice: {smooth}{distil}."


def _cells_text(cells: list[Row]) -> str:
    """ "no smoothing at T = 1 and 2; α = 0.1 at T = 1"."""
    texts = []
    for alpha in sorted({row["label_smoothing"] for row in cells}):
        same = [row for row in cells if row["label_smoothing"] == alpha]
        texts.append(f"{f'α = {alpha:g}' if alpha else 'no smoothing'} {_at(same)}")
    return "; ".join(texts)


def best_set(part: pd.DataFrame) -> list[Row]:
    """The best on val and the cells not told apart from it, as rows with label_smoothing and temperature."""
    rows = records(part[part["question"] == "best on val"])
    best = {name: rows[0][name] for name in ("label_smoothing", "temperature")}
    others = [
        {name: row[f"other_{name}"] for name in best} for row in rows if row["verdict"] in (NOT_APART, CANNOT_TELL)
    ]
    return sorted(
        [best, *others], key=lambda row: (row["label_smoothing"], np.nan_to_num(row["temperature"], nan=np.inf))
    )


def choice_sentence(choice: Row) -> str:
    """What the best choice on val brings on test, and how it compares with the best of the other kind."""
    kind = "unsmoothed" if choice["label_smoothing"] else "smoothed"
    if choice["n"] < FEWEST:
        certainty = f"{seeds(choice['n'])} {'is' if choice['n'] == 1 else 'are'} too few to tell anything"
    elif choice["verdict"] == NO_DIFFERENCE:
        certainty = f"no difference of {choice['margin']:.2g} points or more"
    elif choice["verdict"] == CANNOT_TELL:
        certainty = f"{seeds(choice['n'])} cannot tell which is better"
    else:
        certainty = f"{seeds(choice['n'])} tell this from chance"
    at = f"The best on val, {cell_text(choice)}, has {choice['this']:.2f}{SCORES[choice['what']].unit} on test"
    return f"{at}, {_gap(choice, f'the best {kind} choice')}: {certainty}."


def _gap(row: Row, whom: str) -> str:
    """ "0.30 points above the best smoothed choice (α = 0.1, T = 1; 95 % interval −0.20 to 0.80)"."""
    if abs(row["mean"]) > TIE:
        gap = f"{abs(row['mean']):.2f} points {'above' if row['mean'] > 0 else 'below'}"
    else:
        gap = "level with"
    between = "" if np.isnan(row["low"]) else f"; {interval(row, row['low'], row['high'], 2)}"
    return f"{gap} {whom} ({cell_text(row, 'other_')}{between})"


def rule_sentence(rows: pd.DataFrame) -> str:
    """Whether Chandrasegaran's rule is borne out in one setting of `rule`'s rows."""
    first, compared = records(rows.iloc[:1])[0], _gap(best_other(records(rows)), "the best other choice")
    where = f"on {first['dataset']} ({first['model']} ← {first['teacher_model']})"
    what = f"the LS teacher (α = {first['label_smoothing']:g}) at T = 1"
    if rows["n"].max() < FEWEST:
        return f"With {seeds(rows['n'].max())} it cannot be told {where} whether {what} is the best choice."
    better, worse, same = (int(rows["verdict"].eq(word).sum()) for word in ("better", "worse", NO_DIFFERENCE))
    margin = f", and no different by {first['margin']:.2g} points or more from {same}," if same else ""
    ranks = f"better than {better}{margin} and worse than {worse} of the {len(rows)} others"
    held = "neither bears the rule out nor contradicts it"
    if worse:
        held = "contradicts the rule"
        compared = _gap(best_other(records(rows[rows["verdict"] == "worse"])), "another choice")
    elif better + same == len(rows):
        held = "bears the rule out" if not same else "bears the rule out within the margin"
    return f"The study {held} {where}: {what} is {compared}, and {seeds(rows['n'].max())} show it {ranks}."


def best_other(against: list[Row]) -> Row:
    """The rule against the best other choice on test; the intervals hold for all rows together, so for this one too."""
    return max(against, key=lambda row: (round(row["other"], 9), -row["other_label_smoothing"]))


def eta_sentence(claim: Row, agreeing: int, normalisations: int) -> str:
    """Whether eta moved as the paper predicts, of one setting of `predictions.agreement`."""
    words = {"seen": "falls, as predicted", "opposite seen": "rises, against the prediction"}
    between = "" if np.isnan(claim["low"]) else f"; {interval(claim, claim['low'], claim['high'], 3)}"
    mean = f"{claim['mean']:+.3f}".replace("-", "−")
    return (
        f"η on similar classes against others, from T = {claim['t1']:g} to {claim['t2']:g} on {claim['dataset']}"
        f" ({claim['model']}, α = {claim['label_smoothing']:g} against none):"
        f" {words.get(claim['verdict'], 'cannot be told to fall')} ({mean}{between}, {seeds(claim['n'])};"
        f" it falls in {agreeing} of {normalisations} normalisations)"
    )


def cell_text(row: Row, prefix: str = "") -> str:
    """A choice: "no smoothing, T = 2" or "α = 0.1, T = 2"; without T where the loss has none."""
    alpha, t = row[f"{prefix}label_smoothing"], row[f"{prefix}temperature"]
    smoothing = f"α = {alpha:g}" if alpha else "no smoothing"
    return smoothing if np.isnan(t) else f"{smoothing}, T = {t:g}"


def interval(row: Row, low: float, high: float, digits: int) -> str:
    """An interval in words, of the level of its row's family."""
    ends = [f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") for value in (low, high)]  # no "-0.00"
    return f"{100 * (1 - row['level']):.4g} % interval {ends[0]} to {ends[1]}"


def seeds(n: float) -> str:
    """A number of seeds in words."""
    return f"{n:.0f} seed" + ("" if n == 1 else "s")


def listed(texts: Sequence[str], last: str = "and") -> str:
    """Texts as a list in words: a, b and c."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def _at(rows: Sequence[Row], last: str = "and") -> str:
    """ "at T = 1, 2 and 3"; "without T" for a loss that has none."""
    degrees = sorted(row["temperature"] for row in rows)
    if np.isnan(degrees[0]):
        return "without T"
    return f"at T = {listed([f'{t:g}' for t in degrees], last)}"
