"""Student accuracy over T and alpha, with the teacher's and the lone student's (Chandrasegaran 2022, grids A and B)."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.analysis.score import score_of, scored
from lskd.figures import style
from lskd.figures.beside import beside, published, warning
from lskd.figures.rows import (
    SETTING,
    alphas,
    cell,
    groups,
    measured,
    named,
    number,
    over_seeds,
    pick,
    present,
    records,
    temperatures,
)

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "A smoothed target is (1 − α) onehot(y) + α/K. A student minimises T² KL(softmax(z_teacher/T) ‖ "
    "softmax(z_student/T)), without hard labels unless its soft weight is below 1. Shown is test accuracy, top-1, or"
    " BLEU, over the temperature T and the teacher's label smoothing α."
)
ROLES = {"teacher": 0, "baseline": 1, "student": 2}


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Test accuracy in percent, or BLEU, by network, T and alpha. Raises UserError without students."""
    rows = scored(frames)
    score = score_of(rows)
    runs = pick({score.name: rows}, score.name, split="test", metric=[score.metric, *score.beside])
    students = pick({score.name: runs}, score.name, role="student")
    degrees = temperatures(students, options)
    runs = runs[runs["temperature"].isna() | runs["temperature"].isin(degrees)]
    ours = over_seeds(runs.assign(value=runs["value"] * score.factor), [*SETTING, "metric", "k"])
    ours = ours.rename(columns={"mean": "ours"}).assign(unit=score.unit.strip())
    numbers = beside(named(ours), published(options), options)
    order = numbers["role"].map(ROLES)
    keys = ["dataset", "order", "model", "network", "temperature", "label_smoothing", "metric"]
    numbers = numbers.assign(order=order).sort_values(keys, kind="stable").drop(columns="order")
    return present(numbers, _grid(numbers), _caption(numbers, runs, options), FORMULA)


def _grid(numbers: pd.DataFrame) -> pd.DataFrame:
    """The paper's layout: the teacher's row, then a row for each T; a column for each alpha."""
    rows = []
    several = numbers["dataset"].nunique() > 1
    for first, part in groups(numbers, ["dataset", "network", "temperature"]):
        row = {"Network": first["network"], "T": style.temperature_text(first["temperature"])}
        row |= {"Data": first["dataset"]} if several else {}
        for alpha in alphas(numbers):
            row[f"α = {alpha:g}"] = _both(part[part["label_smoothing"] == alpha])
        rows.append(row | _paper(part, alphas(numbers)))
    text_table = pd.DataFrame(rows).fillna("—")
    return text_table[[column for column in text_table.columns if text_table[column].ne("—").any()]]


def _both(part: pd.DataFrame) -> str:
    """top-1 / top-5 (n)."""
    ours = part.drop_duplicates("metric").sort_values("metric")  # top1, then top5
    if ours.empty:
        return "—"
    texts = [cell(row["ours"], row["spread"]) for row in records(ours)]
    return f"{' / '.join(texts)} ({ours['n'].max()})"


def _paper(part: pd.DataFrame, smoothings: list[float]) -> dict[str, str]:
    first = part[part["metric"] == score_of(part).metric]
    cells = {}
    for alpha in smoothings:
        printed = first[(first["label_smoothing"] == alpha) & first["paper"].notna()]
        for row in records(printed):
            cells[f"{row['paper_dataset']}, α = {alpha:g}"] = number(row["paper"])
            if not math.isnan(row["difference"]):
                cells[f"difference, α = {alpha:g}"] = number(row["difference"], sign=True)
    return cells


def _caption(numbers: pd.DataFrame, runs: pd.DataFrame, options: Options) -> str:
    k = int(numbers.loc[numbers["metric"] == "top5", "k"].max()) if numbers["metric"].eq("top5").any() else 0
    measures = f"accuracy in % ({f'top-1 / top-{k}' if k else 'top-1'})"
    if numbers["metric"].eq("bleu").any():
        measures = score_of(numbers).words
    what = f"Test {measures} of students distilled at temperature T from a teacher of label smoothing α"
    return f"{what} (number of seeds in brackets). {measured(runs, options)}{warning(numbers)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A panel for each student network: scores over T, a colour for each alpha; lines for teacher and lone student."""
    score = score_of(table)
    first = table[table["metric"] == score.metric].drop_duplicates([*SETTING])
    students = first[first["role"] == "student"]
    panels = list(groups(students, ["dataset", "network"]))
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = style.figure(style.COLUMN if columns == 1 else style.DOUBLE, 2.5 * rows + 0.3, options)
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel, (row, part) in zip(axes.flat, panels, strict=False):
        _panel(panel, part, first[(first["dataset"] == row["dataset"]) & (first["role"] != "student")])
    for panel in axes.flat[len(panels) :]:
        panel.remove()
    axes[0, 0].set_ylabel(f"test {score.axis}")
    style.legend_below(figure, _handles(first), 2)
    return figure


def _panel(panel: Axes, students: pd.DataFrame, others: pd.DataFrame) -> None:
    row = students.iloc[0]
    students = students.assign(degree=students["temperature"].fillna(math.inf))  # at the right of all T
    degrees = sorted(students["degree"].unique())
    smoothings = alphas(students)
    for i, alpha in enumerate(smoothings):
        part = students[students["label_smoothing"] == alpha].sort_values("degree")
        at = [degrees.index(t) + 0.12 * (i - (len(smoothings) - 1) / 2) for t in part["degree"]]
        colour = style.alpha_colour(alpha)
        panel.errorbar(at, part["ours"], part["spread"].fillna(0), color=colour, capsize=2, elinewidth=1, zorder=3)
        for x, y, t in zip(at, part["ours"], part["temperature"], strict=True):
            panel.plot(x, y, marker=style.marker(t), color=colour, zorder=4)
    for other in records(others):
        shared = "lineage" if other["role"] == "teacher" else "model"
        if other[shared] == row[shared]:
            line = "--" if other["role"] == "teacher" else ":"
            panel.axhline(
                other["ours"], color=style.alpha_colour(other["label_smoothing"]), linestyle=line, linewidth=1
            )
    panel.set_xticks(range(len(degrees)), ["none" if math.isinf(t) else f"{t:g}" for t in degrees])
    panel.set_xlim(-0.4, len(degrees) - 0.6)
    panel.grid(axis="x", visible=False)
    style.few_ticks(panel, y=5)
    panel.set_xlabel("temperature T")
    panel.set_title(style.in_lines(f"{row['dataset']}: {row['network']}"))


def _handles(first: pd.DataFrame) -> list[Any]:
    """Colours for alpha, then lines for roles."""
    colours = [style.handle(style.alpha_text(alpha), color=style.alpha_colour(alpha)) for alpha in alphas(first)]
    looks: dict[str, dict[str, Any]] = {
        "student": {"label": "student", "marker": "o"},
        "teacher": {"label": "teacher", "linestyle": "--"},
        "baseline": {"label": "student's network alone", "linestyle": ":"},
    }
    roles = set(first["role"])
    return colours + [style.handle(**look, color=style.GREY) for role, look in looks.items() if role in roles]
