"""The student's accuracy against its teacher's, over teachers by recipe and network (Shen 2021, figure 8, table 8)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.analysis.statistics import FEWEST, LEVEL, compare
from lskd.analysis.wording import seeds
from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.beside import published
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, number, over_seeds, pick, present, records
from lskd.figures.rows import temperatures as shown_temperatures
from lskd.figures.verdict import chance

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "Test top-1 in %, mean and sample standard deviation over seeds. Slope: by seed, least squares of the student's on"
    " its teacher's accuracy over all teachers of one student; t test of its mean over seeds being 0."
)
STUDENT = ["dataset", "model", "recipe", "temperature", "soft_weight", "variant"]  # of which all teachers are compared
PAPER = "paper"
LEAST_TEACHERS = 3  # through two points goes any line, the steeper the nearer both are


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Both accuracies in percent by teacher and student, over seeds; then those that the paper prints.

    Raises UserError where a student's teacher is not shown.
    """
    runs = pick(frames, "accuracy", split="test", metric="top1")
    both = _both(runs, options)
    students = over_seeds(both.assign(value=both["student_top1"]), SETTING).rename(columns={"mean": "ours"})
    teachers = over_seeds(both.assign(value=both["teacher_top1"]), SETTING)[[*SETTING, "mean", "spread"]]
    teachers = teachers.rename(columns={"mean": "teacher_ours", "spread": "teacher_spread"})
    numbers = students.merge(teachers, on=SETTING).assign(source="ours")
    numbers["taught_by"] = [_teacher(row) for row in records(numbers)]
    numbers = numbers.sort_values([*STUDENT, "teacher_ours"], kind="stable")
    theirs = _papers(published(options))
    answer = " ".join(_slope(part) for _, part in groups(both, STUDENT, sort=True))
    caption = (
        "Test top-1 in % of students and of the teachers that taught them (number of seeds in brackets)."
        f" {answer} {measured(both, options)}{_of_paper(theirs)}"
    )
    page = present(pd.concat([numbers, theirs], ignore_index=True), _layout(numbers, theirs), caption, FORMULA)
    page.attrs["answer"] = answer
    return page


def _both(runs: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The students, a row each, with student_top1 and teacher_top1 in percent."""
    students = pick({"accuracy": runs}, "accuracy", role="student")
    known = shown_temperatures(students, options)
    students = students[students["temperature"].isna() | students["temperature"].isin(known)].drop_duplicates("run")
    top1 = {row["run"]: 100 * row["value"] for row in records(runs)}
    hidden = [title for title in students["teacher"] if title not in top1]
    if hidden:
        raise UserError(f"teacher_student: the teacher {hidden[0]} is not shown; add its group")
    taught_by = [top1[title] for title in students["teacher"]]
    return students.assign(student_top1=100 * students["value"], teacher_top1=taught_by)


def _teacher(row: dict[str, Any]) -> str:
    """A teacher's network and recipe."""
    return ", ".join(row["lineage"].split("/")[1:])


def _slope(part: pd.DataFrame) -> str:
    """How a student's accuracy goes with its teacher's, and whether that is told from nothing."""
    first = records(part)[0]
    name = f"{first['dataset']}, {first['model']}{style.degree_text(first)}"
    means = part.groupby(["lineage", "label_smoothing"])[["teacher_top1", "student_top1"]].mean()
    if len(means) < LEAST_TEACHERS:
        return f"{name}: {len(means)} teacher{'s' * (len(means) > 1)}, too few for a slope."
    slopes = [slope for _, own in part.groupby("seed") if (slope := _least_squares(own)) is not None]
    test = compare(slopes)
    ranks = means["teacher_top1"].rank().corr(means["student_top1"].rank())
    spread = "" if np.isnan(test["spread"]) else f" ± {test['spread']:.2f}"
    word = "told from 0" if test["n"] >= FEWEST and test["p"] < LEVEL else "not told from 0"
    p = "" if np.isnan(test["p"]) else f", p = {chance(test['p'])}".replace("= <", "< ")
    return (
        f"{name}: over {len(means)} teachers, a point more of the teacher's accuracy goes with"
        f" {number(test['mean'], sign=True)}{spread} points of the student's ({seeds(test['n'])}{p}: {word}); rank"
        f" correlation of the means {number(ranks)}."
    )


def _least_squares(own: pd.DataFrame) -> float | None:
    """The slope of the students' over the teachers' accuracy of one seed; None where all teachers are alike."""
    teachers = own.groupby(["lineage", "label_smoothing"])[["teacher_top1", "student_top1"]].mean()
    away = teachers - teachers.mean()
    scatter = float((away["teacher_top1"] ** 2).sum())
    return float((away["teacher_top1"] * away["student_top1"]).sum()) / scatter if scatter > 0 else None


def _papers(theirs: pd.DataFrame | None) -> pd.DataFrame:
    """The paper's students, each with its teacher, in the columns of ours; empty where it prints none."""
    keys = ["dataset", "teacher", "method", "smoothed"]
    if theirs is None:
        return pd.DataFrame()
    top1 = theirs[theirs["metric"] == "top1"]
    teachers = top1[top1["teacher"] == ""].assign(teacher=top1["model"])[[*keys, "value"]]
    pairs = top1[top1["teacher"] != ""].merge(teachers, on=keys, suffixes=("", "_teacher"))
    names = [", ".join(text for text in (row["teacher"], row["method"]) if text) for row in records(pairs)]
    return pd.DataFrame(
        {
            "source": PAPER,
            "dataset": pairs["dataset"],
            "model": pairs["model"],
            "taught_by": names,
            "smoothed": pairs["smoothed"],
            "teacher_ours": pairs["value_teacher"],
            "ours": pairs["value"],
        }
    )


def _of_paper(theirs: pd.DataFrame) -> str:
    return " The paper's numbers are of other data: compare the order, not the values." if len(theirs) else ""


def _layout(numbers: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    ours = [
        {
            "Student": f"{row['dataset']}: {row['model']}{style.degree_text(row)}",
            "Teacher": row["taught_by"],
            "α": f"{row['label_smoothing']:g}",
            "Teacher's top-1 (%)": cell(row["teacher_ours"], row["teacher_spread"], row["n"]),
            "Student's top-1 (%)": cell(row["ours"], row["spread"], row["n"]),
        }
        for row in records(numbers)
    ]
    printed = [
        {
            "Student": f"paper, {row['dataset']}: {row['model']}",
            "Teacher": row["taught_by"],
            "α": "w/ LS" if row["smoothed"] else "0",
            "Teacher's top-1 (%)": number(row["teacher_ours"]),
            "Student's top-1 (%)": number(row["ours"]),
        }
        for row in records(theirs)
    ]
    return pd.DataFrame([*ours, *printed])


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A panel for each student, and one for the paper's: its accuracy over the teacher's, a point a teacher."""
    ours, theirs = table[table["source"] == "ours"], table[table["source"] == PAPER]
    panels = [(_title(first), part) for first, part in groups(ours, STUDENT)]
    panels += [(f"paper: {first['dataset']}, {first['model']}", p) for first, p in groups(theirs, ["dataset", "model"])]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = style.figure(style.COLUMN * 1.2 if columns == 1 else style.DOUBLE, 2.4 * rows + 1.2, options)
    axes = figure.subplots(rows, columns, squeeze=False)
    marks = dict(zip(sorted(set(ours["taught_by"])), style.CLASS_MARKERS * len(ours), strict=False))
    for panel, (title, part) in zip(axes.flat, panels, strict=False):
        _panel(panel, part, marks)
        panel.set_title(style.in_lines(title))
        panel.set_xlabel("teacher's test top-1 (%)")
    for panel in list(axes.flat)[len(panels) :]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_ylabel("student's test top-1 (%)")
    handles = [style.handle(name, color=style.GREY, marker=mark, linestyle="") for name, mark in marks.items()]
    for alpha in alphas(ours):
        handles.append(style.handle(style.alpha_text(alpha), color=style.alpha_colour(alpha), marker=".", linestyle=""))
    style.legend_below(figure, handles, 2 if columns > 1 else 1)
    return figure


def _title(row: dict[str, Any]) -> str:
    return f"{row['dataset']}: {row['model']}{style.degree_text(row)}"


def _panel(panel: Axes, part: pd.DataFrame, marks: dict[str, str]) -> None:
    for row in records(part):
        is_ours = row["source"] == "ours"
        alpha = row["label_smoothing"] if is_ours else 0.1 * bool(row["smoothed"])
        look: dict[str, Any] = {
            "color": style.alpha_colour(alpha),
            "marker": marks.get(row["taught_by"], "x"),
            "elinewidth": 0.8,
        }
        if is_ours:
            look |= {"xerr": [_bar(row["teacher_spread"])], "yerr": [_bar(row["spread"])]}
        panel.errorbar([row["teacher_ours"]], [row["ours"]], **look)
    style.few_ticks(panel, x=4, y=5)


def _bar(spread: float) -> float:
    return 0.0 if pd.isna(spread) else spread
