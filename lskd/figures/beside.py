"""The papers' published numbers set beside ours."""

import math
import re
from typing import Any

import pandas as pd

from lskd.figures.rows import records
from lskd.papers.read import PAPERS, paper

_NAMES = {"alexnetcifar": "alexnet", "wideresnet502": "wideresnet50", "shufflenetv2x10": "shufflenetv2"}


def published(options: dict[str, Any]) -> pd.DataFrame | None:
    """The paper's numbers of the figure that `options` name (study, figure); None where there are none."""
    if options.get("study") not in PAPERS:
        return None
    content = paper(options["study"])
    target = content.targets.get(options.get("figure", ""))
    if target is None or not target["table"]:
        return None
    return content.values[content.values["table"] == target["table"]]


def beside(ours: pd.DataFrame, theirs: pd.DataFrame | None, options: dict[str, Any]) -> pd.DataFrame:
    """`ours` (columns role, dataset, model, teacher_model, label_smoothing, temperature, soft_weight, metric, ours)
    with the columns paper, difference, paper_dataset, paper_model and scale.

    A row of ours meets the paper's numbers of the same metric, supervision, smoothing, T and soft weight: those of the
    same network and data set where the paper has them, else the first network printed for each of its data sets. So a
    row may come several times, once for each of the paper's data sets.
    """
    rows = []
    for row in records(ours):
        fitting = None if theirs is None else _fitting(row, theirs)
        if fitting is None or fitting.empty:
            rows.append(row | {"paper": math.nan, "paper_dataset": "", "paper_model": ""})
            continue
        for them in records(fitting):
            named = {"paper_dataset": them["dataset"], "paper_model": them["model"]}
            rows.append(row | {"paper": them["value"]} | named)
    table = pd.DataFrame(rows)
    table["difference"] = table["ours"] - table["paper"]
    table["scale"] = options.get("scale", "")
    return table


def same_name(ours: str, theirs: str) -> bool:
    """Whether a network or data set of ours, by its slug, is the paper's of this name."""
    plain = _plain(re.sub(r"-[wd][\d.]+", "", ours))
    return _NAMES.get(plain, plain) == _plain(theirs)


def warning(table: pd.DataFrame) -> str:
    """What a caption must say of the paper's numbers."""
    if table["paper"].isna().all():
        return ""
    data = ", ".join(sorted(set(table["paper_dataset"]) - {""}))
    return (
        f" The paper's numbers are on {data}: where data, network or scale differ, compare the order, not the values."
    )


def _fitting(row: dict[str, Any], theirs: pd.DataFrame) -> pd.DataFrame:
    student = row["role"] == "student"
    if row["role"] == "baseline" and theirs["teacher"].ne("").any():
        return theirs.iloc[:0]  # a table of teachers and students has no student's network alone
    smoothed = row["label_smoothing"] > 0
    fitting = theirs[(theirs["metric"] == row["metric"]) & (theirs["teacher"].ne("") == student)]
    fitting = fitting[fitting["smoothed"].fillna(False).astype(bool) == smoothed]
    for key in ("label_smoothing", "temperature", "soft_weight"):
        if not math.isnan(row[key]):
            fitting = fitting[fitting[key].isna() | fitting[key].sub(row[key]).abs().lt(1e-9)]
    if student:
        itself = row["model"] == row["teacher_model"]
        fitting = _prefer(fitting, fitting["model"].eq(fitting["teacher"]) == itself)
    fitting = _prefer(
        fitting, pd.Series([same_name(row["dataset"], d) for d in fitting["dataset"]], fitting.index, dtype=bool)
    )
    named = pd.Series([same_name(row["model"], m) for m in fitting["model"]], fitting.index, dtype=bool)
    return _prefer(fitting, named).drop_duplicates("dataset")


def _prefer(fitting: pd.DataFrame, better: pd.Series) -> pd.DataFrame:
    return fitting[better] if better.any() else fitting


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
