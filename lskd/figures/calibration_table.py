"""Expected calibration error: baseline, temperature scaling, label smoothing (Müller 2019, table 3)."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import published, same_name, warning
from lskd.figures.dots import dots
from lskd.figures.rows import SETTING, cell, measured, number, over_seeds, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "ECE = sum over bins b of (n_b/n) |accuracy_b − confidence_b|, 15 bins of equal width, before and after "
    "temperature scaling fitted on val (Müller 2019, table 3)."
)
METHODS = ("baseline", "temperature scaling", "label smoothing")


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """ECE and fitted temperature on test by network and method, beside the paper's."""
    values = pick(frames, "calibration", split="test", metric=["ece", "ece_scaled", "temperature"])
    numbers = over_seeds(values, [*SETTING, "metric"])
    numbers["method"] = [_method(row) for row in records(numbers)]
    numbers = numbers[(numbers["label_smoothing"] == 0) | (numbers["metric"] == "ece")]
    numbers["metric"] = numbers["metric"].replace("ece_scaled", "ece")
    numbers = numbers.rename(columns={"mean": "ours"})
    numbers["rank"] = numbers["method"].map(METHODS.index)
    numbers = numbers.sort_values([*SETTING[:6], "temperature", "rank", "label_smoothing", "metric"], kind="stable")
    numbers = _beside(numbers.drop(columns="rank"), options)
    return present(numbers, _layout(numbers), _caption(numbers, values, options), FORMULA)


def _method(row: dict[str, Any]) -> str:
    if row["label_smoothing"]:
        return "label smoothing"
    return "baseline" if row["metric"] == "ece" else "temperature scaling"


def _beside(numbers: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The paper's numbers of the same method, a row for each of its data sets unless it has ours."""
    theirs = published(options)
    rows = []
    for row in records(numbers):
        none = {"paper": math.nan, "paper_dataset": "", "paper_model": ""}
        printed = [] if theirs is None or row["role"] == "student" else _same(row, theirs)
        known = [{"paper": f["value"], "paper_dataset": f["dataset"], "paper_model": f["model"]} for f in printed]
        rows += [row | them for them in known or [none]]
    table = pd.DataFrame(rows)
    table["difference"] = table["ours"] - table["paper"]
    return table.assign(scale=options.get("scale", ""))


def _same(row: dict[str, Any], theirs: pd.DataFrame) -> list[dict[str, Any]]:
    printed = theirs[(theirs["metric"] == row["metric"]) & (theirs["method"] == row["method"])]
    printed = printed[~printed["dataset"].str.startswith("WMT")]  # next-token predictions; ours are of images
    all_data = records(printed)
    return [f for f in all_data if same_name(row["dataset"], f["dataset"])] or all_data


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """The paper's: ECE; ECE / T; ECE / alpha."""
    rows = []
    errors = numbers[numbers["metric"] == "ece"]
    fitted = {_key(row): row for row in records(numbers[numbers["metric"] == "temperature"])}
    for row in records(errors):
        t = fitted.get(_key(row)) if row["method"] == "temperature scaling" else None
        shown = {
            "Network": f"{row['dataset']}: {style.network_text(row)}",
            "Method": row["method"],
            "T": "1" if t is None else cell(t["ours"], t["spread"]),
            "α": f"{row['label_smoothing']:g}",
            "ECE": cell(row["ours"], row["spread"], row["n"], 4),
        }
        if not math.isnan(row["paper"]):
            degree = f" / T = {t['paper']:g}" if t is not None and not math.isnan(t["paper"]) else ""
            shown["paper"] = f"{number(row['paper'], 3)}{degree} ({row['paper_model']}, {row['paper_dataset']})"
            shown["difference"] = number(row["difference"], 4, sign=True)
        rows.append(shown)
    return pd.DataFrame(rows).fillna("—")


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[column]) for column in [*SETTING, "paper_dataset"])  # text, as NaN does not equal itself


def _caption(numbers: pd.DataFrame, values: pd.DataFrame, options: Options) -> str:
    what = "Expected calibration error on test, 15 bins of equal width (number of runs in brackets)"
    fit = "The scaling temperature is fitted on val by NLL."
    return f"{what}. {fit} {measured(values, options)}{warning(numbers)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each network and method, a dot at its ECE."""
    errors = table[table["metric"] == "ece"].drop_duplicates([*SETTING, "method"])
    lines = [
        {
            "label": f"{style.network_text(row)}{style.degree_text(row)}: {row['method']}",
            "colour": style.alpha_colour(row["label_smoothing"]),
            "marker": "x" if row["method"] == "temperature scaling" else "o",
            "values": [(row["ours"], row["spread"], cell(row["ours"], row["spread"], row["n"], 3))],
        }
        for row in records(errors)
    ]
    figure = dots(lines, ["ECE on test"], options, left=True)
    style.legend_below(figure, alpha_handles(table), 2)
    return figure


def alpha_handles(table: pd.DataFrame) -> list[Any]:
    """The legend's entries for the label smoothings of a table."""
    return [
        style.handle(style.alpha_text(alpha), color=style.alpha_colour(alpha), marker="o", linestyle="")
        for alpha in sorted(table["label_smoothing"].dropna().unique())
    ]
