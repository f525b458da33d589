"""Does a smoothed teacher help or hurt: a forest plot over T, with the answer in words and what the papers predict."""

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.analysis import comparisons, predictions, protocol, wording
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE
from lskd.analysis.score import Score, score_of, scored
from lskd.figures import style
from lskd.figures.rows import groups, measured, number, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "d_s = accuracy with the smoothed teacher − accuracy with the other, mean over the students of the teachers of seed"
    " s; t = mean(d) / (std(d)/√n), two-sided p by the t distribution with n − 1 degrees of freedom; interval mean(d)"
    " ± t(1 − level/2m) std(d)/√n for m claims, so that all of them hold together; no difference where the interval"
    " with t(1 − level/m) lies within the margin (docs/statistics.md)."
)

# of Tol's muted colours, which mean no smoothing and no class; filled where something was shown
UP, DOWN = ({"color": colour, "markerfacecolor": colour} for colour in ("#999933", "#882255"))
LOOKS: dict[str, dict[str, Any]] = {
    "helps": UP,
    "hurts": DOWN,
    NO_DIFFERENCE: {"color": style.GREY, "markerfacecolor": style.GREY},
    CANNOT_TELL: {"color": "#B0B0B0", "markerfacecolor": "white"},
}
LOOKS_BETWEEN = LOOKS | {"higher": UP, "lower": DOWN}
NETWORKS = "Data: student ← teacher"
QUESTIONS = {
    "same T": "Smoothed teacher against unsmoothed, at the same T",
    "interaction": "That effect against the one at the lowest T",
    "omnibus": "Do these effects differ between T?",
    "best on val": "The best on val against each other choice, on val",
    "choice": "The best on val against the best of the other kind",
    "calibration": "Students' calibration error (ECE), smoothed teacher against unsmoothed",
}
PREDICTED = {
    "eta_S1_S2": "η falls on similar classes (S1) against others (S2)",
    "eta_S1": "η falls towards similar classes (S1)",
    "eta_S2": "η rises towards other classes (S2)",
    "stability_eq2_beyond": "1 − S, eq. 2, below what smoothing gives mechanically",
    "stability_alg1_beyond": "1 − S, Algorithm 1, below what smoothing gives mechanically",
    "stability_eq2": "LS lowers the teacher's 1 − S, eq. 2",
    "stability_alg1": "LS lowers the teacher's 1 − S, Algorithm 1",
    "ls_t1_best": "LS teacher with T = 1 above the best other choice on val",
}
MEASURED = {"eta_S1_S2": "η", "stability_eq2_beyond": "stability", "ece": "calibration"}  # by a family's first row
BAND = "#EFEFEF"
BOOTSTRAP_LEVEL = 0.05
WRAP = 104  # characters of 8 pt in the width of two columns


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Every comparison of the study, a row each. UserError without both kinds of teacher."""
    rows = scored(frames)
    score = score_of(rows)
    pick({score.name: rows}, score.name, role="student")
    numbers = comparisons.verdict(frames, options)
    lines = pd.DataFrame([_line(row, score) for row in records(numbers)])
    if len(list(comparisons.settings(numbers))) == 1:  # which the answer names
        lines = lines.drop(columns=NETWORKS)
    caption = " ".join([_caption(numbers, rows, options), *_bootstrapped(frames.get("bleu_bootstrap"))])
    page = present(numbers, lines, caption, FORMULA)
    page.attrs["answer"] = " ".join(wording.sentences(numbers))
    return page


def _line(row: dict[str, Any], score: Score) -> dict[str, str]:
    """A comparison in plain words. The few that are not of the students' score name their unit beside each number."""
    digits, unit = _digits(row["what"]), _unit(row)
    this, other = _sides(row)
    return {
        "Question": QUESTIONS.get(row["question"]) or f"Predicted: {PREDICTED[row['what']]}",
        NETWORKS: network(row),
        "Teacher with": this,
        score.axis[:1].upper() + score.axis[1:]: _with_unit(number(row["this"], digits), unit),
        "Compared with": other,
        f"Its {score.axis}": _with_unit(number(row["other"], digits), unit),
        "Difference (points)": _with_unit(_difference(row, digits), unit),
        "Interval (over images too)": span(row, digits) + _in_brackets(images_span(row, digits)),
        "Seeds (n)": f"{row['n']}",
        "p (by sign flips)": chance(row["p_adj"]) + _in_brackets(chance(row["p_flip"])),
        "p (no difference)": chance(row["p_equivalence"]),
        "Would find (80 %)": number(row["detectable"], digits),
        "Verdict": row["verdict"],
    }


def _with_unit(text: str, unit: str) -> str:
    return text if text == "—" else text + unit


def _digits(what: str) -> int:
    return 3 if what.startswith("eta") else 4 if what.startswith("stability") else 2


def _unit(row: dict[str, Any]) -> str:
    if row["question"] in ("interaction", "omnibus"):
        return " (effect)"
    if row["what"].startswith("eta"):
        return " (η)"
    return {"stability": " (1 − S)", "ece": " (ECE)"}.get(row["what"].partition("_")[0], "")


def _sides(row: dict[str, Any]) -> tuple[str, str]:
    """What is compared with what."""
    alpha = f"α = {row['label_smoothing']:g}"
    if row["question"] == "omnibus":
        return alpha, "every T"
    if row["what"].startswith("eta"):
        return f"{alpha}, T₁ = {row['t1']:g}, T₂ = {row['t2']:g}, {row['unit']}", "no smoothing"
    if row["what"].startswith("stability"):
        ratio = f", ratio {row['this'] / row['hard']:.3f}" if row["hard"] else ""
        expected = f"{row['factor']:.3g} × no smoothing's" if row["what"].endswith("beyond") else "no smoothing"
        return f"{alpha}{ratio}, {row['split']}", expected
    return wording.cell_text(row), wording.cell_text(row, "other_")


def _difference(row: dict[str, Any], digits: int) -> str:
    if row["question"] == "omnibus":
        return f"F = {number(row['f'])}"
    spread = "" if pd.isna(row["spread"]) else f" ± {row['spread']:.{digits}f}"
    return number(row["mean"], digits, sign=True) + spread


def chance(p: float) -> str:
    """A p as a table's cell."""
    return "<0.001" if p < 0.001 else number(p, 3)


def span(row: dict[str, Any], digits: int = 2) -> str:
    """An interval as a table's cell; one side of it, of a one-sided test."""
    if pd.isna(row["low"]):
        return "—"
    if pd.isna(row["high"]):
        return f"above {number(row['low'], digits)}"
    return f"{number(row['low'], digits)} to {number(row['high'], digits)}"


def images_span(row: dict[str, Any], digits: int = 2) -> str:
    """The interval over seeds and images as a table's cell."""
    return span({"low": row["low_images"], "high": row["high_images"]}, digits)


def _in_brackets(text: str) -> str:
    return "" if text == "—" else f" ({text})"


def network(row: dict[str, Any]) -> str:
    """What a row is about: "digits: resnet8-w4 ← resnet8-w16"; the teacher's stability has no student."""
    taught = "" if pd.isna(row["teacher_model"]) else f" ← {row['teacher_model']}"
    weight = "" if pd.isna(row["soft_weight"]) or row["soft_weight"] == 1 else f", weight {row['soft_weight']:g}"
    variant = f", {row['variant']}" if isinstance(row["variant"], str) and row["variant"] else ""
    return f"{row['dataset']}: {row['model']}{taught}{weight}{variant}"


def _caption(numbers: pd.DataFrame, rows: pd.DataFrame, options: Options) -> str:
    """The page's text: the answer, the choice, how it was told, what was not measured."""
    students = rows[rows["role"] == "student"]
    choices = [wording.choice_sentence(row) for row in records(numbers[numbers["question"] == "choice"])]
    answers = [f"{a} {c}" for a, c in zip(wording.sentences(numbers), choices, strict=True)]
    how = (
        f"Test {score_of(rows).words}; differences in points, paired by the teachers' seed; teacher and T chosen on"
        " val."
        f" {protocol.protocol(numbers, students['seed'].nunique(), options)}"
        " p in brackets: of all effects together by flipping the signs of whole seeds (max-T), which assumes no normal"
        ' distribution. Rows with "no claim" stand beside, each with a 95 % interval of its own.'
    )
    missing = _missing(numbers) if score_of(rows).metric == "top1" else []
    measured_on = [*missing, *protocol.one_teacher(rows), measured(students, options)]
    return " ".join([*answers, how, *_eta(numbers), *_images(numbers), *measured_on])


def _bootstrapped(rows: pd.DataFrame | None) -> list[str]:
    """What sacrebleu's paired bootstrap says of the students of each seed, at each T; it is beside the claims."""
    if rows is None or rows.empty:
        return []
    is_told = rows["p"] < BOOTSTRAP_LEVEL
    rows = rows.assign(
        falls=is_told & (rows["value"] < rows["other_value"]), rises=is_told & (rows["value"] > rows["other_value"])
    )
    parts = []
    for row, part in groups(rows, ["temperature"], sort=True):
        where = "without T" if pd.isna(row["temperature"]) else f"at T = {row['temperature']:g}"
        parts.append(f"{where} BLEU falls in {part['falls'].sum()} and rises in {part['rises'].sum()} of {len(part)}")
    return [
        f"Beside, sacrebleu's paired bootstrap over test sentences ({rows['resamples'].iloc[0]:,} resamples) of the two"
        f" students of each seed, p < {BOOTSTRAP_LEVEL} and uncorrected, which tells these networks apart, not two ways"
        f" of training: {'; '.join(parts)}."
    ]


def _eta(numbers: pd.DataFrame) -> list[str]:
    return [f"{wording.eta_sentence(*each)}." for each in predictions.agreement(numbers)]


def _images(numbers: pd.DataFrame) -> list[str]:
    if numbers["low_images"].isna().all():
        return []
    return ["Intervals over images too: seeds and test images drawn anew, 2,000 times; percentiles 2.5 and 97.5."]


def _missing(numbers: pd.DataFrame) -> list[str]:
    names = [name for what, name in MEASURED.items() if what not in set(numbers["what"])]
    return [f"Not measured here: {', '.join(names)}."] if names else []


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """For each data set, teacher and student its answer, and a line for each effect and each of its differences."""
    parts = [part[part["question"].isin(["same T", "interaction"])] for _, part in comparisons.settings(table)]
    texts = [wrapped(text) for text in wording.sentences(table)]
    heights = [0.19 * len(part) + 0.14 * text.count("\n") + 0.75 for part, text in zip(parts, texts, strict=True)]
    figure = style.figure(style.DOUBLE, sum(heights) + 0.65, options)
    boxes = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for box, part, text in zip(boxes, parts, texts, strict=True):
        box.suptitle(text, x=0.01, ha="left", fontsize=8)
        panel = box.subplots()
        _panel(panel, records(part))
        panel.set_title(network(records(table.loc[part.index[:1]])[0]) if len(part) else "")
    score = score_of(table[table["question"] == "same T"])
    boxes[-1].axes[0].set_xlabel(f"test {score.short} with an LS teacher minus without (points)")
    style.legend_below(figure, _handles(table), 4)
    return figure


def _handles(table: pd.DataFrame) -> list[Any]:
    level = f"{100 * (1 - table['level'].iloc[0]):.4g} %"
    handles = [style.handle(word, **look, marker="o") for word, look in LOOKS.items()]
    handles.append(style.handle(f"{level} interval of all claims together", color=style.GREY, linewidth=1))
    handles.append(style.handle("the part that tests no difference", color=style.GREY, linewidth=2.5))
    if table["low_images"].notna().any():
        handles.append(style.handle("over images too (95 %)", color=style.BLACK, linewidth=0.6))
    return [*handles, style.handle("margin", color=BAND, linewidth=6)]


def wrapped(text: str) -> str:
    """A sentence in lines of the width of two columns, broken around no equals sign."""
    return textwrap.fill(text.replace(" = ", "\u00a0=\u00a0"), WRAP)


def _panel(panel: Axes, lines: list[dict[str, Any]]) -> None:
    for y, row in enumerate(lines):
        look = LOOKS_BETWEEN[row["verdict"]]
        panel.errorbar(
            [row["mean"]],
            [y],
            xerr=[0 if pd.isna(row["low"]) else (row["high"] - row["low"]) / 2],
            **look | {"marker": style.marker(row["temperature"]), "linestyle": "", "elinewidth": 1, "capsize": 2},
        )
        panel.hlines(y, row["low_equivalence"], row["high_equivalence"], color=look["color"], linewidth=2.5)
        panel.hlines(y + 0.25, row["low_images"], row["high_images"], color=style.BLACK, linewidth=0.6)
    for row in lines[:1]:
        panel.axvspan(-row["margin"], row["margin"], color=BAND, zorder=0)
    panel.axvline(0, color=style.BLACK, linewidth=0.8)
    panel.margins(x=0.08)
    label_lines(panel, [_label(row) for row in lines], [_text(row) for row in lines])


def _label(row: dict[str, Any]) -> str:
    """What a line compares, beside it."""
    if row["question"] == "same T":
        return wording.cell_text(row)
    return f"{wording.cell_text(row)} minus T = {row['other_temperature']:g}"


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
    return f"{number(row['mean'], sign=True)} (n = {row['n']})"
