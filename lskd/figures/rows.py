"""From a metric family's rows to a figure's numbers: choose, average over seeds, write as text."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from lskd.errors import UserError
from lskd.figures import style
from lskd.study.identity import IDENTITY

OF_ONE_RUN = ("run", "teacher", "seed", "student")
FORM = "smoothing"  # of a group's smoothed labels; the unsmoothed have none, and are of the same setting otherwise
# what tells two settings apart; the runs of one differ in their seed, and in which student of their teacher they are
SETTING = [name for name in IDENTITY if name not in (*OF_ONE_RUN, FORM)]
APART: dict[str, Callable[[Any], str]] = {
    "group": lambda name: f", {name}",
    "lineage": lambda title: f", {'/'.join(title.split('/')[2:])}",  # data and network stand before it
    "variant": lambda text: f", {text}" if text else "",
    "soft_weight": lambda weight: "" if pd.isna(weight) else f", soft weight {weight:g}",
}


def pick(frames: dict[str, pd.DataFrame], family: str, **wanted: Any) -> pd.DataFrame:
    """The rows of `family` whose columns have these values (a list: one of them).

    Raises UserError where there are none, naming the family, the column and what there is.
    """
    picked = frames[family]
    for column, value in wanted.items():
        values = value if isinstance(value, list) else [value]
        rows = picked[picked[column].isin(values)]
        if rows.empty:
            known = ", ".join(sorted({str(v) for v in picked[column].dropna()})[:10]) or "no rows"
            needed = " or ".join(map(str, values))
            raise UserError(f"{family}: no rows have {column} {needed}; there are {known}; check the figure's groups")
        picked = rows
    if picked.empty:
        raise UserError(f"{family}: has no rows for this figure; name groups that have this metric, or leave them out")
    return picked


def over_seeds(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """A row for each combination of `by`: mean, spread (sample standard deviation; NaN for n = 1), low, high and n.

    They are of seeds: a seed's value is the mean over the students of its teacher.
    """
    ordered = frame.sort_values(["seed", "value"], kind="stable")  # a sum's last bit depends on the order
    of_seeds = ordered.groupby([*by, "seed"], dropna=False, sort=True)["value"].mean().reset_index()
    grouped = of_seeds.groupby(list(by), dropna=False, sort=True)["value"]
    return grouped.agg(mean="mean", spread="std", low="min", high="max", n="count").reset_index()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as dicts."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def groups(frame: pd.DataFrame, by: Sequence[str], sort: bool = False) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The parts of a frame that agree in `by` (NaN agrees with NaN), each after its first row."""
    for _, part in frame.groupby(list(by), sort=sort, dropna=False):
        yield records(part.iloc[:1])[0], part


def order(frame: pd.DataFrame, column: str) -> list[str]:
    """A column's values as they come, which for classes is the order of their labels."""
    return list(dict.fromkeys(frame[column]))


def of_first_seed(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that pictures of single networks show: of the smallest seed, and of a teacher's students the first."""
    is_first = frame["seed"] == frame["seed"].min()
    if "student" in frame:
        is_first &= frame["student"].fillna(0) == 0
    return frame[is_first]


def first_seed(frame: pd.DataFrame) -> int:
    """The smallest seed."""
    return int(frame["seed"].min())


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with a column `network` that tells its settings apart, but for data, label smoothing and T.

    It has the model and what that learned from; where settings of one smoothing and T share these, also what they
    differ in.
    """
    named = frame.assign(network=[style.network_text(row) for row in records(frame)])
    for column, text in APART.items():
        alike = named.groupby(["dataset", "network", "label_smoothing", "temperature"], dropna=False)[column]
        several = named.assign(several=alike.transform("nunique", dropna=False) > 1)
        differ = several.groupby(["dataset", "network"], dropna=False)["several"].transform("any")
        named["network"] += [text(value) if apart else "" for value, apart in zip(named[column], differ, strict=True)]
    return named


def alphas(frame: pd.DataFrame) -> list[float]:
    """The label smoothings of a frame, ascending."""
    return sorted(float(alpha) for alpha in frame["label_smoothing"].dropna().unique())


def temperatures(frame: pd.DataFrame, options: dict[str, Any]) -> list[float]:
    """The students' temperatures that a figure shows, ascending: those of its option, else all."""
    degrees = sorted(float(t) for t in frame["temperature"].dropna().unique())
    wanted = [float(t) for t in options.get("temperatures") or degrees]
    if degrees and not set(wanted) & set(degrees):
        known = ", ".join(f"{t:g}" for t in degrees)
        raise UserError(f"temperatures: no student was taught at {_listed(wanted)}; there are {known}")
    return [t for t in wanted if t in degrees]


def cell(mean: float, spread: float, n: float | None = None, digits: int = 2) -> str:
    """ "71.43 ± 0.04 (3)": mean, sample standard deviation and number of seeds; "—" where nothing was measured."""
    if math.isnan(mean):
        return "—"
    text = number(mean, digits) + ("" if math.isnan(spread) else f" ± {spread:.{digits}f}")
    return text if n is None else f"{text} ({n:.0f})"


def number(value: Any, digits: int = 2, sign: bool = False) -> str:
    """A number as text; "—" for a missing one, a real minus sign for a negative one."""
    if pd.isna(value):
        return "—"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def present(table: pd.DataFrame, text_table: pd.DataFrame, caption: str, formula: str) -> pd.DataFrame:
    """`table` with what its texts and pages show: `shown`, all of it text, its `caption`, and what is computed how."""
    table = table.reset_index(drop=True)
    table.attrs = {
        "caption": caption,
        "formula": formula,
        "columns": [str(column) for column in text_table.columns],
        "rows": [[str(value) for value in row] for row in text_table.itertuples(index=False)],
    }
    return table


def measured(frame: pd.DataFrame, options: dict[str, Any]) -> str:
    """A caption's last words: on which data, at which scale, over how many seeds and students."""
    data = ", ".join(sorted(frame["dataset"].unique()))
    seeds = frame["seed"].nunique()
    students = frame["student"].nunique() if "student" in frame else 0
    scale = f" at {options['scale']} scale" if options.get("scale") else ""
    over = "1 seed, so no spread" if seeds == 1 else f"mean ± sample standard deviation over {seeds} seeds"
    each = f", each the mean of up to {students} students" if students > 1 else ""
    return f"Measured on {data}{scale}; {over}{each}."


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
