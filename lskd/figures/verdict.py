"""Does a smoothed teacher help or hurt: a forest plot over T, with the answer in words and what the papers predict."""

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.analysis import comparisons, wording
from lskd.analysis.statistics import LEVEL
from lskd.figures import style
from lskd.figures.rows import measured, number, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "d_s = accuracy with the smoothed teacher − accuracy with the other, of the students of seed s; t = mean(d) /"
    " (std(d)/√n), two-sided p and 95 % interval by the t distribution with n − 1 degrees of freedom; p corrected"
    " by Holm (1979) over all comparisons that answer the same question."
)

# of Tol's muted colours, which mean no smoothing and no class; filled where something was shown
LOOKS: dict[str, dict[str, Any]] = {
    "helps": {"color": "#999933", "markerfacecolor": "#999933"},
    "hurts": {"color": "#882255", "markerfacecolor": "#882255"},
    comparisons.NOT_SHOWN: {"color": style.GREY, "markerfacecolor": "white"},
    comparisons.CANNOT_TELL: {"color": "#B0B0B0", "markerfacecolor": "white"},
}
NETWORKS = "Data: student ← teacher"
QUESTIONS = {
    "same T": "Smoothed teacher against unsmoothed, at the same T",
    "choice": "The best choice on val against the best of the other kind",
}
PREDICTED = {
    "eta_S1": "η below 0 towards similar classes (S1)",
    "eta_S2": "η above 0 towards other classes (S2)",
    "stability_eq2": "LS lowers the teacher's 1 − S, eq. 2",
    "stability_alg1": "LS lowers the teacher's 1 − S, Algorithm 1",
    "ls_t1_best": "LS teacher with T = 1 above the best other choice",
}
DIGITS = {"eta_S1": 3, "eta_S2": 3, "stability_eq2": 4, "stability_alg1": 4}
WRAP = 104  # characters of 8 pt in the width of two columns


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Every comparison of the study, a row each. UserError without both kinds of teacher."""
    students = pick(frames, "accuracy", role="student")
    numbers = comparisons.verdict(frames)
    lines = pd.DataFrame([_line(row) for row in records(numbers)])
    if len(list(comparisons.settings(numbers))) == 1:  # which the answer names
        lines = lines.drop(columns=NETWORKS)
    page = present(numbers, lines, _caption(numbers, students, options), FORMULA)
    page.attrs["answer"] = " ".join(wording.sentences(numbers))
    return page


def _line(row: dict[str, Any]) -> dict[str, str]:
    """A comparison in plain words. The few that are not of accuracies name their unit beside each number."""
    digits, unit = DIGITS.get(row["what"], 2), _unit(row)
    this, other = _sides(row)
    return {
        "Question": QUESTIONS.get(row["question"]) or f"Predicted: {PREDICTED[row['what']]}",
        NETWORKS: network(row),
        "Teacher with": this,
        "Accuracy (%)": number(row["this"], digits) + unit,
        "Compared with": other,
        "Its accuracy (%)": number(row["other"], digits) + unit,
        "Difference (points)": _difference(row, digits) + unit,
        "95 % interval": span(row, digits),
        "Seeds (n)": f"{row['n']}",
        "p": chance(row["p"]),
        "p (Holm)": chance(row["p_holm"]),
        "Verdict": row["verdict"],
    }


def _unit(row: dict[str, Any]) -> str:
    if row["what"].startswith("eta"):
        return " (η)"
    return " (1 − S)" if row["what"].startswith("stability") else ""


def _sides(row: dict[str, Any]) -> tuple[str, str]:
    """What is compared with what."""
    if row["what"].startswith("eta"):
        return f"α = {row['label_smoothing']:g}, T₁ = {row['t1']:g}, T₂ = {row['t2']:g}", "η = 0"
    if row["what"].startswith("stability"):
        return f"α = {row['label_smoothing']:g}", "no smoothing"
    return wording.cell_text(row), wording.cell_text(row, "other_")


def _difference(row: dict[str, Any], digits: int) -> str:
    spread = "" if pd.isna(row["spread"]) else f" ± {row['spread']:.{digits}f}"
    return number(row["mean"], digits, sign=True) + spread


def chance(p: float) -> str:
    """A p as a table's cell."""
    return "<0.001" if p < 0.001 else number(p, 3)


def span(row: dict[str, Any], digits: int = 2) -> str:
    """An interval as a table's cell."""
    return "—" if pd.isna(row["low"]) else f"{number(row['low'], digits)} to {number(row['high'], digits)}"


def network(row: dict[str, Any]) -> str:
    """What a row is about: "digits: resnet8-w4 ← resnet8-w16"; the teacher's stability has no student."""
    taught = "" if pd.isna(row["teacher_model"]) else f" ← {row['teacher_model']}"
    weight = "" if pd.isna(row["soft_weight"]) or row["soft_weight"] == 1 else f", weight {row['soft_weight']:g}"
    variant = f", {row['variant']}" if isinstance(row["variant"], str) and row["variant"] else ""
    return f"{row['dataset']}: {row['model']}{taught}{weight}{variant}"


def _caption(numbers: pd.DataFrame, students: pd.DataFrame, options: Options) -> str:
    """The page's text: the answer, the choice, how it was told, what was not measured."""
    choices = [wording.choice_sentence(row) for row in records(numbers[numbers["question"] == "choice"])]
    answers = [f"{a} {c}" for a, c in zip(wording.sentences(numbers), choices, strict=True)]
    missing = [text for what, text in PREDICTED.items() if what not in set(numbers["what"])]
    unseen = f" Predicted by the papers but not measured here: {'; '.join(missing)}." if missing else ""
    how = (
        "Test top-1 in percent; differences in points, paired by seed, with the t distribution's interval and paired"
        " t-test, corrected by Holm over all comparisons that answer the same question; teacher and T chosen on val."
    )
    return f"{' '.join(answers)} {how}{unseen} {measured(students, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """For each data set, teacher and student its sentence, and a line for each alpha and T: difference and interval."""
    parts = [part[part["question"] == "same T"] for _, part in comparisons.settings(table)]
    texts = [wrapped(text) for text in wording.sentences(table)]
    heights = [0.19 * len(part) + 0.14 * text.count("\n") + 0.75 for part, text in zip(parts, texts, strict=True)]
    figure = style.figure(style.DOUBLE, sum(heights) + 0.5, options)
    boxes = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for box, part, text in zip(boxes, parts, texts, strict=True):
        box.suptitle(text, x=0.01, ha="left", fontsize=8)
        panel = box.subplots()
        _panel(panel, records(part))
        panel.set_title(network(records(table.loc[part.index[:1]])[0]) if len(part) else "")
    boxes[-1].axes[0].set_xlabel("test top-1 with an LS teacher minus without (points; 95 % interval)")
    handles = [style.handle(word, **look, marker="o") for word, look in LOOKS.items()]
    style.legend_below(figure, [*handles, style.handle("* p < 0.05 (Holm)", linestyle="")], 5)
    return figure


def wrapped(text: str) -> str:
    """A sentence in lines of the width of two columns, broken around no equals sign."""
    return textwrap.fill(text.replace(" = ", "\u00a0=\u00a0"), WRAP)


def _panel(panel: Axes, lines: list[dict[str, Any]]) -> None:
    for y, row in enumerate(lines):
        half = 0 if pd.isna(row["low"]) else (row["high"] - row["low"]) / 2
        look = LOOKS[row["verdict"]] | {"marker": style.marker(row["temperature"]), "linestyle": "", "elinewidth": 1}
        panel.errorbar([row["mean"]], [y], xerr=[half], capsize=2, **look)
    panel.axvline(0, color=style.BLACK, linewidth=0.8)
    panel.margins(x=0.08)
    label_lines(panel, [wording.cell_text(row) for row in lines], [_text(row) for row in lines])


def label_lines(panel: Axes, left: list[str], right: list[str]) -> None:
    """A text at the left and the right of each line, from top to bottom."""
    panel.set_ylim(len(left) - 0.4, -0.6)
    panel.set_yticks(range(len(left)), left)
    panel.tick_params(axis="y", length=0)
    style.few_ticks(panel, x=6)
    twin = panel.twinx()
    twin.set_ylim(panel.get_ylim())
    twin.set_yticks(range(len(right)), right)
    twin.tick_params(axis="y", length=0)
    twin.grid(visible=False)


def _text(row: dict[str, Any]) -> str:
    star = " *" if row["p_holm"] < LEVEL else ""
    return f"{number(row['mean'], sign=True)} (n = {row['n']}){star}"
