"""Label smoothing at its best alpha against other ways of teaching without a teacher (Yuan 2020, supplement, table 4).

Of each group the setting is chosen on val, by the mean over seeds; test is looked at for the chosen one alone.
"""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import published, same_name
from lskd.figures.dots import dots
from lskd.figures.gains import ALONE, GAIN, by_seed, gain_text, of_labels, paired
from lskd.figures.gains import FORMULA as OF_GAIN
from lskd.figures.rows import SETTING, cell, groups, measured, number, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
Row = dict[str, Any]
FORMULA = (
    "Of each group the setting whose top-1 on val is highest in the mean over seeds, the smaller alpha of equal ones;"
    f" then top-1 on test of that one. {OF_GAIN} Over the best smoothing: the same against the chosen alpha's."
)
BASELINE, REGULARISED, SMOOTHED = "baseline", "Tf-KD_reg", "LSR"  # the paper's words
OVER = tuple(f"over_{name}" for name in GAIN)
RANKS = {BASELINE: 0, REGULARISED: 1, SMOOTHED: 2, "": 3}


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """A row for each group and network: what val chose, top-1 on val and test in percent, gains, and the paper's."""
    values = pick(frames, "accuracy", split=["val", "test"], metric="top1")
    values = values.assign(value=values["value"] * 100)
    rows = [row for _, part in groups(values, ALONE, sort=True) for row in _of_network(part)]
    numbers = _beside(pd.DataFrame(rows), options)
    return present(numbers, _layout(numbers), _caption(numbers, values, options), FORMULA)


def _of_network(values: pd.DataFrame) -> list[Row]:
    """The chosen setting of each group of one network, and what it gains over labels and over the best smoothing."""
    on_test = values[values["split"] == "test"]
    chosen = [_chosen(part, on_test) for _, part in groups(values, ["group"], sort=True)]
    smoothed = [tested for row, tested in chosen if row["method"] == SMOOTHED]
    rows = []
    for row, tested in chosen:
        is_baseline = row["method"] == BASELINE  # which gains nothing over itself
        row |= paired(tested, tested.iloc[:0] if is_baseline else of_labels(on_test, row))
        other = smoothed[0] if smoothed and row["method"] not in (SMOOTHED, BASELINE) else tested.iloc[:0]
        rows.append(row | dict(zip(OVER, paired(tested, other).values(), strict=True)))
    return sorted(rows, key=lambda row: (RANKS[row["method"]], row["group"]))


def _chosen(part: pd.DataFrame, on_test: pd.DataFrame) -> tuple[Row, "pd.Series[float]"]:
    """The setting of a group that val prefers, with its numbers; and its values on test by seed."""
    settings = [(first, by_seed(own)) for first, own in groups(part[part["split"] == "val"], SETTING, sort=True)]
    first, on_val = max(settings, key=lambda each: each[1].mean())
    same = (on_test[SETTING] == pd.Series(first)[SETTING]) | (
        on_test[SETTING].isna() & pd.Series(first)[SETTING].isna()
    )
    tested = by_seed(on_test[same.all(axis=1)])
    row = {key: first[key] for key in SETTING} | {"method": _method(first), "settings": len(settings)}
    row |= {"val": on_val.mean(), "val_spread": on_val.std()}
    return row | {"ours": tested.mean(), "spread": tested.std(), "n": len(tested)}, tested


def _method(row: Row) -> str:
    """The paper's name of how a network was taught; "" for what it has not."""
    if row["role"] == "student":
        return ""
    if row["variant"]:
        return REGULARISED if row["variant"].startswith("tf_kd_reg") else ""
    return SMOOTHED if row["label_smoothing"] else BASELINE


def _beside(numbers: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The paper's number of the same data, network and method; then those of networks that only the paper has."""
    theirs = published(options)
    printed = records(theirs[theirs["metric"] == "top1"]) if theirs is not None else []
    alpha = {} if theirs is None else _alphas(theirs)
    rows, met = [], set()
    for row in records(numbers):
        fitting = [i for i, them in enumerate(printed) if _is_same(row, them)]
        met |= set(fitting)
        rows.append(row | (_paper(printed[fitting[0]], alpha) if fitting else {}))
    for i, them in enumerate(printed):
        if i not in met:
            rows.append({"group": "", "method": them["method"]} | _paper(them, alpha))
    columns = [*numbers.columns, "paper_dataset", "paper_model", "paper", "paper_label_smoothing"]
    return pd.DataFrame(rows).reindex(columns=columns).assign(unit="%", scale=options.get("scale", ""))


def _is_same(row: Row, them: Row) -> bool:
    names = [("dataset", "dataset"), ("model", "model")]
    return row["method"] == them["method"] and all(same_name(row[own], them[other]) for own, other in names)


def _alphas(theirs: pd.DataFrame) -> dict[str, float]:
    """The alpha that the paper found best, by network."""
    return {row["model"]: row["value"] for row in records(theirs[theirs["metric"] == "label_smoothing"])}


def _paper(them: Row, alpha: dict[str, float]) -> Row:
    best = alpha.get(them["model"], math.nan) if them["method"] == SMOOTHED else math.nan
    names = {"paper_dataset": them["dataset"], "paper_model": them["model"]}
    return names | {"paper": them["value"], "paper_label_smoothing": best}


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame([_line(row) for row in records(numbers)])


def _line(row: Row) -> Row:
    is_ours = bool(row["group"])
    over = {name: row[f"over_{name}"] for name in GAIN}
    return {
        "Data": row["dataset"] if is_ours else row["paper_dataset"],
        "Network": row["model"] if is_ours else row["paper_model"],
        "Group": row["group"] or f"paper: {row['method']}",
        "Chosen": _setting(row) if is_ours else "—",
        "Of": number(row["settings"], 0),
        "Val top-1 (%)": cell(row["val"], row["val_spread"]),
        "Test top-1 (%)": cell(row["ours"], row["spread"], row["n"]),
        "Gain (points)": gain_text(row),
        "Over the best smoothing (points)": gain_text(over),
        "Paper's (%)": _paper_text(row),
    }


def _setting(row: Row) -> str:
    return row["variant"] or f"α = {row['label_smoothing']:g}"


def _paper_text(row: Row) -> str:
    alpha = row["paper_label_smoothing"]
    return number(row["paper"]) + ("" if pd.isna(alpha) else f" (α = {alpha:g})")


def _caption(numbers: pd.DataFrame, values: pd.DataFrame, options: Options) -> str:
    theirs = " The paper's are on other data or networks: compare the order, not the values."
    is_other = numbers["paper"].notna() & numbers["group"].eq("")
    what = "Test top-1 in % (number of seeds in brackets) of the setting of each group that val prefers."
    return f"{what} {measured(values, options)}{theirs if is_other.any() else ''}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each group and network: top-1 on test, and the gain over labels."""
    ours = table[table["group"] != ""]
    lines = []
    for row in records(ours):
        values = [(row["ours"], row["spread"], cell(row["ours"], row["spread"]))]
        values.append((row["gain"], row["gain_spread"], gain_text(row)))
        label = f"{row['model']}: {_setting(row)}"
        label = f"{row['dataset']}, {label}" if ours["dataset"].nunique() > 1 else label
        look = {"colour": style.alpha_colour(row["label_smoothing"]), "marker": "s" if row["variant"] else "o"}
        lines.append({"label": label, "values": values} | look)
    return dots(lines, ["test top-1 (%)", "gain over labels (points)"], options)
