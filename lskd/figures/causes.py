"""Why a smoothed teacher teaches worse: accuracy over T, over softness and over lambda, and the gap that remains."""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.analysis import cause_words, protocol
from lskd.analysis.causes import causes, curve, doses, studied_pairs
from lskd.analysis.interventions import HARD, SMOOTH, Pair, plain
from lskd.analysis.students import by_seed
from lskd.figures import style
from lskd.figures.rows import measured, number, pick, present, records
from lskd.figures.verdict import chance, label_lines, span

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "gap = accuracy of the LS teacher's students − that of the hard teacher's, on test, by seed, students averaged"
    " first. At the same entropy: accuracy over the mean entropy of softmax(z/T) on train, straight between the T of"
    " the study; mean of LS − hard over the entropies that both have. Erasure: m_y + λ(z − m_y), with m_y the mean"
    " logits of the label's class; its slope by least squares over λ. Tests and intervals as in docs/statistics.md."
)
NETWORKS = "Data: student ← teacher"
TEACHER_ALONE = ", T of the teacher alone"
COMPARED = {  # by row: what is compared with what; {t} its T, {kind} its loss or kind of teacher
    "plain": ("LS teacher, kd, {t}", "hard teacher, kd, {t}"),
    "plain, other T": ("LS teacher, kd, {t}", "hard teacher, kd, {t}"),
    "best T": ("LS teacher, best T on val ({t})", "hard teacher, best T on val ({other_t})"),
    "matched at T0": ("LS teacher, kd, {t}", "hard teacher, kd, at the T of the same entropy"),
    "matched at T0, smaller": ("that gap", "the plain gap, {t}"),
    "matched T": ("LS − hard, mean over softness, same T", "0"),
    "matched entropy": ("LS − hard, mean over softness, same entropy", "0"),
    "matched entropy, smaller": ("that gap", "the gap at the same T"),
    "matched gamma": ("LS − hard, mean over softness, same γ", "0"),
    "matched gamma, smaller": ("that gap", "the gap at the same T"),
    "matched T, teacher's T alone": (f"LS − hard, same T{TEACHER_ALONE}", "0"),
    "matched entropy, teacher's T alone": (f"LS − hard, same entropy{TEACHER_ALONE}", "0"),
    "matched entropy, smaller, teacher's T alone": ("that gap", f"the gap at the same T{TEACHER_ALONE}"),
    "calibrated": ("LS teacher at its T*, {t}", "hard teacher at its T*, {t}"),
    "calibrated, other T": ("LS teacher at its T*, {t}", "hard teacher at its T*, {t}"),
    "calibrated, smaller": ("that gap", "the plain gap, {t}"),
    "calibrated, smaller, other T": ("that gap", "the plain gap, {t}"),
    "rival": ("{kind} teacher, kd, {t}", "hard teacher, kd, {t}"),
    "ece": ("ECE of the {kind} teacher, %", "ECE of the hard teacher, %"),
    "ece and top-1": ("rank correlation of teachers' ECE and students' top-1, {t}", "—"),
    "standardized": ("LS teacher, standardised logits, {t}", "hard teacher, standardised logits, {t}"),
    "standardized, smaller": ("that gap", "the plain gap, {t}"),
    "slope": ("hard teacher, slope over λ, {t}", "0"),
    "lambda of LS": ("λ at which the hard teacher teaches as well as the LS teacher, {t}", "—"),
    "erased": ("LS teacher, kd, {t}", "hard teacher, erased (λ = 0), {t}"),
    "shuffled": ("hard teacher, shuffled within classes, {t}", "hard teacher, kd, {t}"),
    "shuffled, erased": ("hard teacher, shuffled within classes, {t}", "hard teacher, erased (λ = 0), {t}"),
    "randomized, erased": ("hard teacher, noise within classes, {t}", "hard teacher, erased (λ = 0), {t}"),
    "within-class ratio": ("within-class deviation of targets, LS / hard, {t}", "—"),
    "loss": ("LS teacher, {kind}, {t}", "hard teacher, {kind}, {t}"),
}
GAPS = {  # the gaps that are drawn beside each other, and what they are called there
    "plain": "kd, {t}",
    "matched at T0": "same entropy, {t}",
    "matched entropy": "same entropy, all T",
    "matched T": "same T, all T",
    "best T": "each at its best T",
    "calibrated": "both at T*, {t}",
    "calibrated, other T": "both at T*, {t}",
    "standardized": "standardised, {t}",
    "erased": "hard one erased, {t}",
    "loss": "{kind}, {t}",
}
LEVELS = {"LS": "LS", "shuffle": "shuffled", "randomize": "noise"}
ALONG_T: dict[str, Any] = {"marker": "o"}
ALONG_TEACHERS: dict[str, Any] = {"marker": "s", "linestyle": ":", "markerfacecolor": "white"}
BAND = "#EFEFEF"
WRAP = 104  # characters of 8 pt in the width of two columns


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Every row of the analysis, the words of the causes first. UserError without both kinds of teacher."""
    students = pick(frames, "accuracy", role="student")
    numbers = causes(frames, options)
    is_word = numbers["question"] == "cause"
    numbers = pd.concat([numbers[is_word], numbers[~is_word]], ignore_index=True)
    lines = pd.DataFrame([_line(row) for row in records(numbers)])
    if numbers["pair"].nunique() == 1:  # which the answer names
        lines = lines.drop(columns=NETWORKS)
    answer = " ".join(cause_words.sentences(numbers))
    judged = protocol.protocol(numbers[numbers["question"] != "cause"], students["seed"].nunique(), options)
    texts = [
        answer,
        "Test top-1 in percent; differences in points, paired by the teachers' seed.",
        judged,
        'Rows with "no claim" stand beside, each with a 95 % interval of its own.',
        *protocol.one_teacher(frames["accuracy"]),
        measured(students, options),
    ]
    page = present(numbers, lines, " ".join(texts), FORMULA)
    page.attrs["answer"] = answer
    return page


def _line(row: dict[str, Any]) -> dict[str, str]:
    """A row in plain words."""
    digits = 3 if row["what"] in ("ece and top-1", "lambda of LS", "within-class ratio") else 2
    this, other = _sides(row)
    has_share = not pd.isna(row["share"])
    return {
        "Cause": row["cause"],
        NETWORKS: network(row),
        "Compared": this,
        "Value": number(row["this"], digits),
        "With": other,
        "Its value": number(row["other"], digits),
        "Difference": number(row["mean"], digits, sign=True) + _spread(row, digits),
        "Interval": span(row, digits),
        "Remains": f"{number(100 * row['share'], 0)} %" if has_share else "—",
        "n": f"{row['n']:.0f}",
        "p (all)": chance(row["p_adj"]),
        "Verdict": row["verdict"],
    }


def _spread(row: dict[str, Any], digits: int) -> str:
    return "" if pd.isna(row["spread"]) else f" ± {row['spread']:.{digits}f}"


def _sides(row: dict[str, Any]) -> tuple[str, str]:
    """What is compared with what, in words."""
    if row["question"] == "cause":
        return f"gap that remains {cause_words.AFTER[row['cause']]}", "plain gap"
    this, other = (_worded(text, row) for text in COMPARED[row["what"]])
    return this, other


def _worded(text: str, row: dict[str, Any]) -> str:
    t, other_t = (style.temperature_text(row.get(name, np.nan)) for name in ("temperature", "other_temperature"))
    return text.format(t=t, other_t=other_t, kind=row["kind"])


def network(row: dict[str, Any]) -> str:
    """A pair of networks: "glyphs: resnet8-w4 ← resnet8-w16"."""
    return f"{row['dataset']}: {row['model']} ← {row['teacher_model']}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """For each pair of networks its answer, three curves, and the gap that remains after each intervention."""
    of_pairs = [part for _, part in table.groupby("pair", sort=False)]
    texts = [textwrap.fill(text.replace(" = ", "\u00a0=\u00a0"), WRAP) for text in cause_words.sentences(table)]
    forests = [records(part[part["what"].isin(GAPS)]) for part in of_pairs]
    heights = [0.17 * len(rows) + 0.14 * text.count("\n") + 2.8 for rows, text in zip(forests, texts, strict=True)]
    figure = style.figure(style.DOUBLE, sum(heights) + 0.5, options)
    boxes = figure.subfigures(len(of_pairs), 1, squeeze=False, height_ratios=heights)[:, 0]
    for box, pair, rows, text, height in zip(boxes, studied_pairs(frames), forests, texts, heights, strict=True):
        box.suptitle(text, x=0.01, ha="left", fontsize=8)
        panels = box.subplot_mosaic([["t", "softness", "dose"], ["gaps"] * 3], height_ratios=[1.75, height - 2.2])
        t0 = rows[0]["reference"]
        _over_t(panels["t"], pair)
        _over_entropy(panels["softness"], pair, t0)
        _over_lambda(panels["dose"], pair, t0)
        _gaps(panels["gaps"], sorted(rows, key=lambda row: list(GAPS).index(row["what"])))
    style.legend_below(figure, _handles(table), 4)
    return figure


def _colour(pair: Pair, teacher: str) -> str:
    return style.alpha_colour(0.0 if teacher == HARD else pair.alpha)


def _over_t(panel: Axes, pair: Pair) -> None:
    """(a) Accuracy over T: mean and standard deviation over seeds."""
    for teacher in (HARD, SMOOTH):
        degrees, _, top1_sjt = curve(pair, teacher, "entropy")
        mean_t, spread_t = _moments(top1_sjt)
        colour = _colour(pair, teacher)
        panel.plot(degrees, mean_t, color=colour, marker="o", markersize=3)
        panel.fill_between(degrees, mean_t - spread_t, mean_t + spread_t, color=colour, alpha=0.15, linewidth=0)
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(lambda t, _: f"{t:g}")
    panel.set(xlabel="T", ylabel="student's test top-1 (%)", title="(a) same T")
    style.few_ticks(panel, y=5)


def _over_entropy(panel: Axes, pair: Pair, t0: float) -> None:
    """(b) Accuracy over entropy: along T, and along the T of the teacher alone at T0."""
    for teacher in (HARD, SMOOTH):
        for student_t, looks in ((None, ALONG_T), (t0, ALONG_TEACHERS)):
            _, entropy_sjt, top1_sjt = curve(pair, teacher, "entropy", student_t)
            if top1_sjt.shape[2] > (student_t is not None):  # at T0 alone it is a point of the other curve
                x_t, y_t = _moments(entropy_sjt)[0], _moments(top1_sjt)[0]
                panel.plot(x_t, y_t, color=_colour(pair, teacher), markersize=3, **looks)
    panel.set(xlabel="entropy of targets (nats)", title="(b) same softness")
    style.few_ticks(panel, x=5, y=5)


def _over_lambda(panel: Axes, pair: Pair, t0: float) -> None:
    """(c) Dose-response of the hard teacher's students, with the levels of the controls and of the LS teacher's."""
    keeps, top1_sjk = doses(pair, t0)
    mean_k, spread_k = _moments(top1_sjk)
    panel.errorbar(keeps, mean_k, yerr=spread_k, color=style.BLUE, marker="o", markersize=3, capsize=2, elinewidth=0.8)
    hard = plain(HARD, t0)
    for name, (colour, line) in _levels(pair.alpha).items():
        taught = plain(SMOOTH, t0) if name == "LS" else hard._replace(transform=name)
        if pair.has(taught):
            panel.axhline(pair.mean("test", taught), color=colour, linestyle=line, linewidth=1)
    panel.set(xlabel="λ, within-class part kept", title=f"(c) erased, T = {t0:g}", xlim=(-0.05, 1.05))
    style.few_ticks(panel, x=5, y=5)


def _levels(alpha: float) -> dict[str, tuple[str, str]]:
    return {"LS": (style.alpha_colour(alpha), "--"), "shuffle": (style.BLACK, "-."), "randomize": (style.GREY, ":")}


def _moments(value_sjk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sample standard deviation over seeds, [K] each, of numbers [S, J, K]; of one seed the latter is 0."""
    columns = [by_seed(value_sjk[:, :, k]) for k in range(value_sjk.shape[2])]
    means = np.array([column.mean() if len(column) else np.nan for column in columns])
    return means, np.array([column.std(ddof=1) if len(column) > 1 else 0.0 for column in columns])


def _gaps(panel: Axes, rows: list[dict[str, Any]]) -> None:
    """(d) The gap after each intervention, with the intervals that hold together."""
    for y, row in enumerate(rows):
        colour = _gap_colour(row)
        panel.hlines(y, row["low"], row["high"], color=colour, linewidth=1)
        panel.hlines(y, row["low_equivalence"], row["high_equivalence"], color=colour, linewidth=2.5)
        is_told = row["verdict"] not in cause_words.UNTOLD
        panel.plot([row["mean"]], [y], "o", color=colour, markerfacecolor=colour if is_told else "white")
    panel.axvspan(-rows[0]["margin"], rows[0]["margin"], color=BAND, zorder=0)
    panel.axvline(0, color=style.BLACK, linewidth=0.8)
    panel.margins(x=0.08)
    panel.set(xlabel="LS teacher minus hard teacher (points)", title="(d) the gap, after each intervention")
    texts = [f"{number(row['mean'], sign=True)}  {row['verdict']}" for row in rows]
    label_lines(panel, [_worded(GAPS[row["what"]], row) for row in rows], texts)


def _gap_colour(row: dict[str, Any]) -> str:
    if row["what"] in ("plain", "matched T"):
        return style.BLACK
    return style.GREY if row["what"] == "loss" else style.CLASSES[0]


def _handles(table: pd.DataFrame) -> list[Any]:
    alpha, level = table["label_smoothing"].iloc[0], f"{100 * (1 - table['level'].iloc[0]):.4g} %"
    handles = [
        style.handle(style.alpha_text(each), color=style.alpha_colour(each), marker="o") for each in (0.0, alpha)
    ]
    handles.append(style.handle("T of the teacher alone", color=style.GREY, **ALONG_TEACHERS))
    handles += [
        style.handle(f"{LEVELS[name]} (c)", color=colour, linestyle=line)
        for name, (colour, line) in _levels(alpha).items()
    ]
    handles.append(style.handle(f"{level} interval of all claims together", color=style.GREY, linewidth=1))
    handles.append(style.handle("the part that tests no difference", color=style.GREY, linewidth=2.5))
    handles.append(style.handle("margin", color=BAND, linewidth=6))
    return handles
