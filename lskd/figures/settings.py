"""Settings of distillation with the accuracies that they give (Yuan 2020, supplement, tables 1, 2, 5 and 6).

The paper prints T and the weight of the teacher's term of each pair of networks, and no accuracy but that of its poorly
trained teachers. Here our accuracies stand beside ours, and the paper's settings of pairs that are not ours follow.
"""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import published, same_name
from lskd.figures.dots import dots
from lskd.figures.gains import FORMULA as OF_GAIN
from lskd.figures.gains import gain_text, gains
from lskd.figures.rows import SETTING, cell, measured, number, over_seeds, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
Row = dict[str, Any]
FORMULA = f"Top-1: share of test images whose class is the network's first; a teacher's is its own. {OF_GAIN}"
REVERSED, ITSELF, VIRTUAL, ANY = "Re-KD", "itself", "virtual", "all models"  # the paper's words
PRINTED = ("method", "paper_dataset", "paper_teacher", "paper_model", "paper_temperature", "paper_weight", "paper_top1")


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Each setting with top-1 on test in percent, its teacher's, its gain over labels, and the paper's T and weight."""
    values = pick(frames, "accuracy", split="test", metric="top1")
    numbers = gains(values.assign(value=values["value"] * 100))
    is_taught = numbers["role"].eq("student") | numbers["variant"].ne("")
    numbers = _with_teachers(numbers[is_taught], frames["teacher_accuracy"])
    numbers = _beside(numbers.sort_values(["dataset", "group", *SETTING], kind="stable"), options)
    return present(numbers, _layout(numbers), _caption(numbers, values, options), FORMULA)


def _with_teachers(numbers: pd.DataFrame, teachers: pd.DataFrame) -> pd.DataFrame:
    """Beside each student its teacher's top-1 on test, in percent."""
    if teachers.empty:
        return numbers.assign(teacher_ours=math.nan, teacher_spread=math.nan)
    on_test = teachers[teachers["split"] == "test"]
    means = over_seeds(on_test.assign(value=on_test["value"] * 100), SETTING)
    means = means.rename(columns={"mean": "teacher_ours", "spread": "teacher_spread"})
    return numbers.merge(means[[*SETTING, "teacher_ours", "teacher_spread"]], how="left", on=SETTING)


def _beside(numbers: pd.DataFrame, options: Options) -> pd.DataFrame:
    """With the paper's setting of the same data and networks, if it has one; those of others follow."""
    theirs = printed(published(options))
    rows, met = [], set()
    for row in records(numbers):
        fitting = [place for place, them in enumerate(theirs) if _is_same(row, them)]
        met |= set(fitting)
        rows.append(row | (theirs[fitting[0]] if fitting else {}))
    rows += [{"group": ""} | them for place, them in enumerate(theirs) if place not in met]
    columns = [*numbers.columns, *PRINTED]
    return pd.DataFrame(rows).reindex(columns=columns).assign(unit="%", scale=options.get("scale", ""))


def printed(theirs: pd.DataFrame | None) -> list[Row]:
    """The paper's settings: method, data, who taught whom, T, weight and the teacher's top-1 where it is printed.

    Of Re-KD the paper's table names the teacher as the student, and here it is who teaches.
    """
    if theirs is None:
        return []
    poor = records(theirs[theirs["metric"] == "top1"])
    top1: dict[Any, float] = {(row["dataset"], row["model"]): row["value"] for row in poor}
    entries: dict[tuple[str, ...], Row] = {}
    for row in records(theirs[theirs["metric"].isin(["temperature", "soft_weight"])]):
        teacher, model = row["teacher"], row["model"]
        if row["method"] == REVERSED:
            teacher, model = model, teacher
        entry = entries.setdefault((row["method"], row["dataset"], teacher, model), {})
        entry[row["metric"]] = row["value"]
    return [
        dict(zip(PRINTED, (*pair, entry["temperature"], entry["soft_weight"], top1.get(pair[1:3])), strict=True))
        for pair, entry in entries.items()
    ]


def _is_same(row: Row, them: Row) -> bool:
    """Whether a setting of ours is the paper's: of the same data, student and teacher."""
    if not same_name(row["dataset"], them["paper_dataset"]):
        return False
    if them["paper_model"] != ANY and not same_name(row["model"], them["paper_model"]):
        return False
    own, teacher = row["teacher_model"], them["paper_teacher"]
    if teacher in (ITSELF, VIRTUAL):
        return bool(own == (row["model"] if teacher == ITSELF else ""))
    return same_name(own, teacher)


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    lines = pd.DataFrame([_line(row) if row["group"] else _printed_line(row) for row in records(numbers)])
    return lines.drop(columns=[name for name in ("How", "Paper's teacher (%)") if lines[name].eq("—").all()])


def _line(row: Row) -> Row:
    return {
        "Group": row["group"],
        "Data": row["dataset"],
        "Teacher": _teacher(row) or "—",
        "Teacher's top-1 (%)": cell(row["teacher_ours"], row["teacher_spread"]),
        "Student": row["model"],
        "T": number(row["temperature"], 0),
        "Weight": number(row["soft_weight"]),
        "How": row["variant"] or "—",
        "Labels alone (%)": cell(row["labels"], row["labels_spread"], row["labels_n"]),
        "Top-1 (%)": cell(row["ours"], row["spread"], row["n"]),
        "Gain (points)": gain_text(row),
        "Paper's T / weight": _paper_setting(row),
        "Paper's teacher (%)": number(row["paper_top1"]),
    }


def _printed_line(row: Row) -> Row:
    names = {"Data": row["paper_dataset"], "Teacher": row["paper_teacher"], "Student": row["paper_model"]}
    line = {"Group": f"paper: {row['method']}", "Paper's T / weight": _paper_setting(row)}
    missing = dict.fromkeys(
        _line(dict.fromkeys(row, math.nan) | {"teacher_model": "", "variant": "", "group": ""}), "—"
    )
    return missing | names | line | {"Paper's teacher (%)": number(row["paper_top1"])}


def _teacher(row: Row) -> str:
    """Who taught: network, recipe, and after which epoch."""
    return ", ".join(row["lineage"].split("/")[1:]) if row["role"] == "student" else ""


def _paper_setting(row: Row) -> str:
    if pd.isna(row["paper_temperature"]):
        return "—"
    return f"{row['paper_temperature']:g} / {row['paper_weight']:g}"


def _caption(numbers: pd.DataFrame, values: pd.DataFrame, options: Options) -> str:
    of_paper = ""
    if numbers["paper_temperature"].notna().any():
        of_paper = " The paper prints settings and no accuracies; those of its pairs that are not ours stand below."
    what = "Test top-1 in % by setting (number of seeds in brackets), and what it gains over labels alone."
    return f"{what} {measured(values, options)}{of_paper}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each setting of ours: top-1, and the gain over labels; the marker tells T."""
    ours = table[table["group"] != ""]
    lines = []
    for row in records(ours):
        values = [(row["ours"], row["spread"], cell(row["ours"], row["spread"]))]
        values.append((row["gain"], row["gain_spread"], gain_text(row)))
        look = {"colour": style.alpha_colour(row["label_smoothing"]), "marker": style.marker(row["temperature"])}
        lines.append({"label": _label(row, ours), "values": values} | look)
    return dots(lines, ["test top-1 (%)", "gain over labels (points)"], options)


def _label(row: Row, ours: pd.DataFrame) -> str:
    data = f"{row['dataset']}: " if ours["dataset"].nunique() > 1 else ""
    how = f" ← {_teacher(row)}" if row["role"] == "student" else ""
    variant = f", {row['variant']}" if row["variant"] else ""
    return f"{data}{row['group']}: {row['model']}{how}{style.degree_text(row)}{variant}"
