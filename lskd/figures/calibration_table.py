"""Expected calibration error: baseline, temperature scaling, label smoothing (Müller 2019, table 3)."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.beside import NONE, published, same_name, theirs_of, warning
from lskd.figures.dots import dots
from lskd.figures.rows import SETTING, cell, groups, measured, named, number, over_seeds, pick, present, records

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "ECE = sum over bins b of (n_b/n) |accuracy_b − confidence_b|, 15 bins of equal width, before and after "
    "temperature scaling fitted on val (Müller 2019, table 3); class-wise ECE, the mean over classes of the same of "
    "each class's probability (Kull 2019); Brier score, the mean of |p − onehot(y)|²; AURC, the mean over coverages of "
    "the error of the most confident images, and E-AURC, AURC − that of the best ranking (Geifman 2019)."
)
SHOWN = {"ece": "ECE", "ece_classwise": "class-wise ECE", "brier": "Brier", "aurc": "AURC", "e_aurc": "E-AURC"}
METHODS = ("baseline", "temperature scaling", "label smoothing")


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Calibration on test by network and method, and on val where the paper's is on val, beside the paper's."""
    return table_of(frames, options, FORMULA, of_tokens=False)


def table_of(frames: Frames, options: Options, formula: str, of_tokens: bool) -> pd.DataFrame:
    """The same of images, or of a translation's next tokens."""
    wanted = ["temperature", *SHOWN, *(f"{name}_scaled" for name in SHOWN)]
    values = pick(frames, "calibration", split=["val", "test"], metric=wanted)
    numbers = named(over_seeds(values, [*SETTING, "split", "metric"])).rename(columns={"mean": "ours"})
    numbers["method"] = [_method(row) for row in records(numbers)]
    is_scaling = numbers["metric"].str.endswith("_scaled") | numbers["metric"].eq("temperature")
    numbers = numbers[(numbers["label_smoothing"] == 0) | ~is_scaling]
    numbers["metric"] = numbers["metric"].str.removesuffix("_scaled")
    numbers["rank"] = numbers["method"].map(METHODS.index)
    keys = ["dataset", "role", "model", "network", "temperature", "rank", "label_smoothing", "metric", "split"]
    numbers = numbers.sort_values(keys, kind="stable").drop(columns="rank")
    numbers = _beside(numbers, options, of_tokens)
    return present(numbers, _layout(numbers), _caption(numbers, values, options), formula)


def _method(row: dict[str, Any]) -> str:
    if row["label_smoothing"]:
        return "label smoothing"
    is_scaling = row["metric"] == "temperature" or row["metric"].endswith("_scaled")
    return "temperature scaling" if is_scaling else "baseline"


def _beside(numbers: pd.DataFrame, options: Options, of_tokens: bool) -> pd.DataFrame:
    """The paper's numbers of the same method and split, a row for each of its data sets unless it has ours.

    `paper_label_smoothing` is the paper's own alpha; a difference takes the same one.
    """
    theirs = published(options)
    rows = []
    for row in records(numbers):
        printed = [] if theirs is None or row["role"] == "student" else _same(row, theirs, of_tokens)
        for them in printed:
            own = theirs_of(row, them)
            if not math.isclose(row["label_smoothing"], them["label_smoothing"]):
                own["difference"] = math.nan
            rows.append(row | own | {"paper_label_smoothing": them["label_smoothing"]})
        if not printed and row["split"] == "test":
            rows.append(row | NONE | {"paper_label_smoothing": math.nan})
    return pd.DataFrame(rows).assign(scale=options.get("scale", ""))


def _same(row: dict[str, Any], theirs: pd.DataFrame, of_tokens: bool) -> list[dict[str, Any]]:
    printed = theirs[(theirs["metric"] == row["metric"]) & (theirs["method"] == row["method"])]
    printed = printed[printed["dataset"].str.startswith("WMT") == of_tokens]  # theirs of next tokens
    of_split = records(printed[printed["split"].eq("val") == (row["split"] == "val")])
    own_data = any(same_name(row["dataset"], name) for name in printed["dataset"])
    return [them for them in of_split if not own_data or same_name(row["dataset"], them["dataset"])]


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """Ours on test; then as the paper ECE, ECE / T or ECE / alpha, beside ours on its split."""
    rows = []
    for first, part in groups(numbers[numbers["metric"] != "temperature"], [*SETTING, "method"]):
        fitted = _fitted(numbers, first)
        row = {
            "Network": f"{first['dataset']}: {first['network']}{style.degree_text(first)}",
            "Method": first["method"],
            "T": "1" if fitted.empty else cell(fitted["ours"].iloc[0], fitted["spread"].iloc[0]),
            "α": f"{first['label_smoothing']:g}",
        }
        ours = {one["metric"]: one for one in records(part[part["split"] == "test"])}
        for metric, name in SHOWN.items():
            if metric in ours:
                row[name] = cell(ours[metric]["ours"], ours[metric]["spread"], ours[metric]["n"], 4)
        printed = records(part[part["paper"].notna()])
        rows += [row | cells for cells in [_printed(one, fitted) for one in printed] or [{}]]
    return pd.DataFrame(rows).fillna("—")


def _fitted(numbers: pd.DataFrame, first: dict[str, Any]) -> pd.DataFrame:
    """Of a setting's temperature scaling, the rows of its temperature."""
    same = numbers["metric"].eq("temperature") & (numbers["method"] == first["method"])
    for column in SETTING:
        same &= numbers[column].isin([first[column]])  # of which NaN is one
    return numbers[same]


def _printed(row: dict[str, Any], fitted: pd.DataFrame) -> dict[str, str]:
    """The paper's ECE with the T or alpha that it is for, and ours of val where it is of val."""
    degrees = fitted.loc[fitted["paper_dataset"] == row["paper_dataset"], "paper"].dropna()
    at = f" / T = {degrees.iloc[0]:g}" if len(degrees) else ""
    if row["paper_label_smoothing"]:
        at = f" / α = {row['paper_label_smoothing']:g}"
    cells = {}
    if row["split"] == "val":
        cells["ECE on val"] = cell(row["ours"], row["spread"], row["n"], 4)
    cells["paper's ECE"] = f"{number(row['paper'], 3)}{at} ({row['paper_model']}, {row['paper_dataset']})"
    if not math.isnan(row["difference"]):
        cells["difference"] = number(row["difference"], 4, sign=True)
    return cells


def _caption(numbers: pd.DataFrame, values: pd.DataFrame, options: Options) -> str:
    what = "Calibration on test, 15 bins of equal width (number of seeds in brackets)"
    fit = "The scaling temperature is fitted on val by NLL, so that after scaling val is not held out."
    alphas = numbers.loc[numbers["method"].eq("label smoothing") & numbers["paper"].notna(), "paper_label_smoothing"]
    own = f" Its ECE with label smoothing is for its own α ({_listed(alphas)})." if len(alphas) else ""
    return f"{what}. {fit} {measured(values, options)}{warning(numbers[numbers['metric'] == 'ece'])}{own}"


def _listed(values: "pd.Series[float]") -> str:
    return ", ".join(f"{value:g}" for value in sorted(values.unique()))


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each network and method, a dot at its ECE."""
    errors = table[(table["metric"] == "ece") & (table["split"] == "test")].drop_duplicates([*SETTING, "method"])
    lines = [
        {
            "label": f"{row['network']}{style.degree_text(row)}: {row['method']}",
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
