"""Chandrasegaran's rule for practitioners, an LS teacher with T = 1, against every other choice; his own beside it."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.analysis import comparisons, predictions, protocol, wording
from lskd.analysis.family import CANNOT_TELL
from lskd.figures import style
from lskd.figures.rows import alphas, measured, number, pick, present, records
from lskd.figures.verdict import chance, label_lines, network, span, wrapped
from lskd.papers.read import paper

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "d_s = accuracy with a smoothed teacher at T = 1 − accuracy with another choice, of the students of the teachers of"
    " seed s; t = mean(d) / (std(d)/√n); p times the number m of claims, intervals that hold together, no difference"
    " within a margin: as in the verdict (docs/statistics.md; the rule: Chandrasegaran 2022)."
)
GRIDS = {"gridA": ("x", -0.18), "gridB": ("+", 0.18)}  # marker, shift; BLEU has another unit and is not drawn


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """How far the rule's test top-1 lies above each other choice; then the same of the paper's own grids.

    The paper's rows have source "paper", its data set and network, and no n. Raises UserError where no student of a
    smoothed teacher has T = 1.
    """
    students = pick(frames, "accuracy", role="student")
    numbers = comparisons.rule(frames, options)
    ours = numbers[numbers["question"] == "rule"].assign(source="ours")
    both = pd.concat([ours, pd.DataFrame(_theirs())], ignore_index=True)
    return present(both, _layout(both), _caption(numbers, students, options), FORMULA)


def _theirs() -> list[dict[str, Any]]:
    """The same differences in the paper's grids, which print no spread."""
    values = paper("chandrasegaran2022").values
    rows = []
    for name in [*GRIDS, "nmt"]:
        grid = values[(values["table"] == name) & (values["teacher"] != "") & values["metric"].isin(["top1", "bleu"])]
        cells = {(row["label_smoothing"], row["temperature"]): row for row in records(grid)}
        rule = cells.pop((0.1, 1.0))
        for (alpha, t), row in cells.items():
            about = {"source": "paper", "question": "rule", "what": row["metric"], "grid": name, "unit": row["unit"]}
            networks = {"dataset": row["dataset"], "teacher_model": row["teacher"], "model": row["model"]}
            choices = {"label_smoothing": 0.1, "temperature": 1.0, "other_label_smoothing": alpha}
            means = {"this": rule["value"], "other": row["value"], "mean": rule["value"] - row["value"]}
            rows.append(about | networks | choices | {"other_temperature": t} | means)
    return rows


def _layout(both: pd.DataFrame) -> pd.DataFrame:
    """A row for each other choice of each setting; then the paper's differences, one column a grid."""
    theirs = both[both["source"] == "paper"]
    rows = []
    for row in records(both[both["source"] == "ours"]):
        spread = "" if pd.isna(row["spread"]) else f" ± {row['spread']:.2f}"
        cells = {
            "Network": network(row),
            "The rule, accuracy (%)": f"{wording.cell_text(row)}: {number(row['this'])}",
            "The other choice, accuracy (%)": f"{wording.cell_text(row, 'other_')}: {number(row['other'])}",
            "Rule − other (points)": number(row["mean"], sign=True) + spread,
            "Interval": span(row),
            "Seeds (n)": f"{row['n']:.0f}",
            "p (all claims)": chance(row["p_adj"]),
            "p (no difference)": chance(row["p_equivalence"]),
            "Verdict: the rule is": row["verdict"],
        }
        for them in records(theirs[_alike(theirs, row)]):
            unit = "" if them["unit"] == "%" else f", {them['unit']}"
            cells[f"paper, {them['dataset']}{unit}"] = number(them["mean"], sign=True)
        rows.append(cells)
    return pd.DataFrame(rows).fillna("—")


def _alike(theirs: pd.DataFrame, row: dict[str, Any]) -> "pd.Series[bool]":
    """The paper's numbers of the same choice; its only smoothing stands for each of ours."""
    smoothed = (theirs["other_label_smoothing"] > 0) == (row["other_label_smoothing"] > 0)
    return smoothed & (theirs["other_temperature"] == row["other_temperature"])


def _caption(numbers: pd.DataFrame, students: pd.DataFrame, options: Options) -> str:
    rule = "The rule: as a rule of thumb, use an LS-trained teacher with a low-temperature transfer, T = 1"
    answers = " ".join(_answers(numbers))
    how = protocol.protocol(numbers, students["seed"].nunique(), options)
    return (
        f"{rule} (Chandrasegaran 2022). {answers}{_diffusion(numbers)} Differences of test top-1 in points, paired by"
        f" the teachers' seed. {how} {measured(students, options)} The paper prints one number for each choice, without"
        " spread."
    )


def _answers(numbers: pd.DataFrame) -> list[str]:
    return [wording.rule_sentence(part) for _, part in comparisons.settings(numbers)]


def _diffusion(numbers: pd.DataFrame) -> str:
    """The paper's reason for the rule: what eta was seen to be."""
    parts = [wording.eta_sentence(*each) for each in predictions.agreement(numbers)]
    return f" Its reason, systematic diffusion: {'; '.join(parts)}." if parts else ""


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A line for each other choice: how far the rule is ahead, ours with its interval, the paper's at the right."""
    ours, theirs = table[table["source"] == "ours"], table[table["source"] == "paper"]
    parts = [part for _, part in comparisons.settings(ours)]
    texts = [wrapped(text) for text in _answers(ours)]
    heights = [0.19 * len(part) + 0.14 * text.count("\n") + 0.75 for part, text in zip(parts, texts, strict=True)]
    figure = style.figure(style.DOUBLE, sum(heights) + 0.55, options)
    boxes = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for box, part, text in zip(boxes, parts, texts, strict=True):
        box.suptitle(text, x=0.01, ha="left", fontsize=8)
        mine, printed = box.subplots(1, 2, width_ratios=[2, 1])
        lines = records(part)
        _ours(mine, lines)
        _printed(printed, lines, theirs)
        mine.set_title(network(lines[0]))
        printed.set_title("the paper's")
    for panel in boxes[-1].axes[:2]:
        panel.set_xlabel("rule minus other (points)")
    style.legend_below(figure, _handles(ours, theirs), 3)
    return figure


def _ours(panel: Axes, lines: list[dict[str, Any]]) -> None:
    for y, row in enumerate(lines):
        half = 0 if pd.isna(row["low"]) else (row["high"] - row["low"]) / 2
        colour = style.alpha_colour(row["other_label_smoothing"])
        face = "white" if row["verdict"] == CANNOT_TELL else colour
        look: dict[str, Any] = {"marker": style.marker(row["other_temperature"]), "markerfacecolor": face}
        panel.errorbar([row["mean"]], [y], xerr=[half], color=colour, capsize=2, elinewidth=1, linestyle="", **look)
    panel.axvline(0, color=style.BLACK, linewidth=0.8)
    panel.margins(x=0.08)
    texts = [f"{number(row['mean'], sign=True)} (n = {row['n']:.0f})" for row in lines]
    label_lines(panel, [wording.cell_text(row, "other_") for row in lines], texts)


def _printed(panel: Axes, lines: list[dict[str, Any]], theirs: pd.DataFrame) -> None:
    for y, row in enumerate(lines):
        for them in records(theirs[_alike(theirs, row) & theirs["grid"].isin(list(GRIDS))]):
            marker, shift = GRIDS[them["grid"]]
            panel.plot(them["mean"], y + shift, marker=marker, color=style.GREY, linestyle="")
    panel.axvline(0, color=style.BLACK, linewidth=0.8)
    panel.set_ylim(len(lines) - 0.4, -0.6)
    panel.set_yticks(range(len(lines)), [""] * len(lines))
    panel.tick_params(axis="y", length=0)
    style.few_ticks(panel, x=4)


def _handles(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[Any]:
    smoothings = alphas(ours.assign(label_smoothing=ours["other_label_smoothing"]))
    handles = [style.handle(f"other: {style.alpha_text(a)}", color=style.alpha_colour(a)) for a in smoothings]
    grids = theirs[theirs["grid"].isin(list(GRIDS))].drop_duplicates("grid")
    for row in records(grids):
        look: dict[str, Any] = {"marker": GRIDS[row["grid"]][0], "color": style.GREY, "linestyle": ""}
        handles.append(style.handle(f"paper, {row['dataset']}", **look))
    return [*handles, style.handle("filled: told", color=style.GREY, marker="o", linestyle="")]
