"""The papers' published numbers set beside ours."""

import math
import re
from typing import Any

import pandas as pd

from lskd.figures.rows import records
from lskd.papers.read import PAPERS, paper

NONE: dict[str, Any] = {"paper": math.nan, "difference": math.nan, "paper_dataset": "", "paper_model": ""}
_NAMES = {
    "alexnetcifar": "alexnet",
    "wideresnet502": "wideresnet50",
    "shufflenetv2x10": "shufflenetv2",
    "resnext298x64d": "resnext29",
    "imagenet": "imagenet1k",
    "imagenet299": "imagenet1k",
    "cub200": "cub2002011",
    "inat2019": "inaturalist2019",
    "places365lt": "placeslt",
}


def published(options: dict[str, Any]) -> pd.DataFrame | None:
    """The paper's numbers of the figure that `options` name (study, figure); None where there are none.

    A figure `table3_nmt` shows a part of the target table3.
    """
    if options.get("study") not in PAPERS:
        return None
    content = paper(options["study"])
    figure = options.get("figure", "")
    target = content.targets.get(figure) or content.targets.get(figure.partition("_")[0])
    if target is None or not target["table"]:
        return None
    return content.values[content.values["table"] == target["table"]]


def beside(ours: pd.DataFrame, theirs: pd.DataFrame | None, options: dict[str, Any]) -> pd.DataFrame:
    """`ours` (columns role, dataset, model, teacher_model, label_smoothing, temperature, soft_weight, metric, ours, and
    perhaps split) with the columns paper, difference, paper_dataset, paper_model and scale.

    A row of ours meets the paper's numbers of the same metric, split, supervision, smoothing, T and soft weight: those
    of the same network and data set where the paper has them, else the first network printed for each of its data sets
    (of corpora, those of the same languages).
    So a row may come several times, once for each of the paper's data sets. Rows of val that meet none are left out.
    """
    rows = []
    for row in records(ours):
        fitting = None if theirs is None else _fitting(row, theirs)
        if fitting is not None and len(fitting):
            rows += [row | theirs_of(row, them) for them in records(fitting)]
        elif row.get("split") != "val":
            rows.append(row | NONE)
    return pd.DataFrame(rows).assign(scale=options.get("scale", ""))


def theirs_of(row: dict[str, Any], them: dict[str, Any]) -> dict[str, Any]:
    """The columns of a number of theirs beside ours; a difference alone where data and networks are the same."""
    pairs = [("dataset", "dataset"), ("model", "model"), ("teacher_model", "teacher")]
    is_same = all(same_name(row[own], them[other]) for own, other in pairs)
    difference = row["ours"] - them["value"] if is_same else math.nan
    about = {"paper_dataset": them["dataset"], "paper_model": them["model"]}
    return about | {"paper": them["value"], "difference": difference}


def same_name(ours: str, theirs: str) -> bool:
    """Whether a network or data set of ours, by its slug, is the paper's of this name."""
    own, printed = _plain(re.sub(r"-[wd][\d.]+", "", ours)), _plain(theirs)
    own = re.sub(r"^cifar(?=[a-z])", "", own)  # a network in its form for small images
    return _NAMES.get(own, own) == _NAMES.get(printed, printed)


def warning(table: pd.DataFrame) -> str:
    """What a caption must say of the paper's numbers: on which data and split they are, and what can be compared."""
    published = table[table["paper"].notna()]
    if published.empty:
        return ""
    data = ", ".join(sorted(set(published["paper_dataset"])))
    others = published[published["difference"].isna()]
    alike = " Data or network are not the paper's own: compare the order, not the values." if len(others) else ""
    return f" The paper's numbers are on {data}, beside ours{_splits(published)}.{alike}"


def _splits(published: pd.DataFrame) -> str:
    """Which of our splits stands beside which of theirs."""
    of_val = sorted(set(published.loc[published["split"] == "val", "paper_dataset"])) if "split" in published else []
    if not of_val:
        return " on test"
    rest = ", others on test" if len(of_val) < published["paper_dataset"].nunique() else ""
    return f" on val for {', '.join(of_val)}, where theirs are on val too{rest}"


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
    of_languages = [_is_of_languages(row["dataset"], name) for name in fitting["dataset"]]
    fitting = fitting[pd.Series(of_languages, fitting.index, dtype=bool)]
    fitting = _prefer(
        fitting, pd.Series([same_name(row["dataset"], d) for d in fitting["dataset"]], fitting.index, dtype=bool)
    )
    named = pd.Series([same_name(row["model"], m) for m in fitting["model"]], fitting.index, dtype=bool)
    fitting = _prefer(fitting, named)
    if "split" in row:  # theirs is val where it is a part of the training images
        fitting = fitting[fitting["split"].eq("val") == (row["split"] == "val")]
    return fitting.drop_duplicates("dataset")


def _is_of_languages(ours: str, theirs: str) -> bool:
    """Whether a corpus of ours translates as theirs does, such as "En-De"; of other data, true."""
    pair = re.search(r" (\w\w-\w\w)$", theirs)
    return pair is None or pair[1].lower() in ours


def _prefer(fitting: pd.DataFrame, better: pd.Series) -> pd.DataFrame:
    return fitting[better] if better.any() else fitting


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
