"""BLEU of students over T by what was kept of their teacher's distributions: smoothing's fall, or truncation's?"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lskd.analysis import protocol, truncation
from lskd.analysis.statistics import look_level
from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, over_seeds, pick, present, records, temperatures
from lskd.figures.verdict import wrapped

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "A student minimises T² KL(q ‖ softmax(z_student/T)). full: q = softmax(z_teacher/T). top-k: the softmax of the k"
    " largest logits over T, all else 0 (Chandrasegaran's public code has k = 4, at T = 64 nearly uniform over four"
    " tokens); + tail: what lies outside them is told too, as one mass. n samples: the shares of n draws from"
    " softmax(z_teacher). Claims: paired differences over seeds, one family (docs/statistics.md)."
)
NETWORKS = truncation.NETWORKS


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """BLEU on test by networks, T, alpha of the teacher and what was kept: mean, spread and n; with the answer.

    Raises UserError where two groups of students have the same networks, alpha, T and kept tokens.
    """
    values = _students(frames, options)
    numbers = over_seeds(values, [*SETTING, *truncation.KEPT])
    numbers = numbers.assign(
        store=[truncation.store_text(row) for row in records(numbers)],
        place=pd.Series([truncation.store_order(row) for row in records(numbers)], numbers.index, dtype=object),
    )
    numbers = numbers.sort_values([*NETWORKS, "place", "temperature", "label_smoothing"]).drop(columns="place")
    claims = _claims(values, options)
    answer = " ".join(truncation.sentences(claims))
    page = present(
        numbers, _layout(numbers), f"{_caption(values, options)} {answer} {_judged(claims, options)}", FORMULA
    )
    page.attrs["answer"] = answer
    return page


def _students(frames: Frames, options: Options) -> pd.DataFrame:
    """The BLEU of each student that has a T, with what was kept for it."""
    values = pick(frames, "bleu", split="test", metric="bleu", role="student", temperature_at=1)
    values = values[values["temperature"].isin(temperatures(values, options))]
    kept = pick(frames, "token_targets").drop_duplicates("run")
    values = values.merge(kept[["run", *truncation.KEPT]], on="run")
    if values.empty:
        raise UserError("truncation: no student was taught at a temperature; name groups of translation's students")
    alike = [*NETWORKS, "label_smoothing", "temperature", *truncation.KEPT, "seed", "student"]
    if values.duplicated(alike).any():
        first = sorted(values.loc[values.duplicated(alike, keep=False), "run"])[:2]
        raise UserError(f"truncation: {' and '.join(first)} are told apart by no T and no kept tokens; name one group")
    return values


def _claims(values: pd.DataFrame, options: Options) -> pd.DataFrame:
    level = look_level(values["seed"].nunique(), options.get("looks") or (), options.get("planned_looks") or ())[0]
    return truncation.claims(values, level)


def _judged(claims: pd.DataFrame, options: Options) -> str:
    """By what the answer was judged."""
    if claims.empty:
        return protocol.registration(options)
    seeds = int(claims["n"].max())
    margin = f"No difference: two one-sided tests within {truncation.MARGIN:g} points."
    return " ".join(
        [protocol.family(claims), margin, protocol.looks(seeds, options), protocol.registration(options)]
    ).strip()


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for first, part in groups(numbers, [*NETWORKS, "store", "temperature"]):
        row = {
            "Networks": f"{first['dataset']}: {first['model']} ← {first['teacher_model']}",
            "Kept": first["store"],
            "T": style.temperature_text(first["temperature"]),
        }
        for alpha in alphas(numbers):
            own = part[part["label_smoothing"] == alpha]
            row[f"α = {alpha:g}"] = (
                cell(own["mean"].iloc[0], own["spread"].iloc[0], own["n"].iloc[0]) if len(own) else "—"
            )
        rows.append(row)
    return pd.DataFrame(rows)


def _caption(values: pd.DataFrame, options: Options) -> str:
    what = "BLEU on test of students of teachers of label smoothing α, over the distillation's T, by what was kept of"
    signature = ", ".join(sorted(set(values["signature"])))
    return (
        f"{what} the teacher's distributions (number of seeds in brackets). BLEU: {signature}."
        f" {measured(values, options)}"
    )


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """The answer; a row for each pair of networks, a panel for each alpha; a colour for what was kept."""
    rows, smoothings = list(groups(table, NETWORKS)), alphas(table)
    text = wrapped(" ".join(truncation.sentences(_claims(_students(frames, options), options))))
    figure = style.figure(style.DOUBLE, 2.5 * len(rows) + 0.14 * text.count("\n") + 0.8, options)
    box = figure.subfigures(1, 1, squeeze=False)[0, 0]
    box.suptitle(text, x=0.01, ha="left", fontsize=8)
    axes = box.subplots(len(rows), len(smoothings), squeeze=False, sharey="row")
    looks = _looks(table)
    for i, (first, part) in enumerate(rows):
        degrees = sorted(part["temperature"].unique())
        for panel, alpha in zip(axes[i], smoothings, strict=True):
            _panel(panel, part[part["label_smoothing"] == alpha], degrees, looks)
            panel.set_title(f"{first['model']} ← {first['teacher_model']}, α = {alpha:g}")
        axes[i, 0].set_ylim(bottom=0)  # of the row, once all its panels are drawn
        axes[i, 0].set_ylabel(f"BLEU on test, {first['dataset']}")
    style.legend_below(figure, [style.handle(store, **look) for store, look in looks.items()], 4)
    return figure


def _looks(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The look of each store, in the table's order: a colour for each number of tokens, dashed with their tail."""
    stores = {row["store"]: row for row in records(table)}
    numbers = {store: truncation.store_order(row)[:2] for store, row in stores.items()}
    colours = dict(zip(dict.fromkeys(numbers.values()), [style.BLACK, *style.CLASSES], strict=False))
    return {
        store: {"color": colours[numbers[store]], "linestyle": "--" if row["tail"] else "-", "marker": "o"}
        for store, row in stores.items()
    }


def _panel(panel: Axes, part: pd.DataFrame, degrees: list[float], looks: dict[str, dict[str, Any]]) -> None:
    for i, store in enumerate(looks):
        own = part[part["store"] == store].sort_values("temperature")
        at = [degrees.index(t) + 0.06 * (i - (len(looks) - 1) / 2) for t in own["temperature"]]
        look = looks[store] | {"markersize": 3.5, "capsize": 2, "elinewidth": 0.8}
        panel.errorbar(at, own["mean"], own["spread"].fillna(0), **look)
    panel.set_xticks(range(len(degrees)), [f"{t:g}" for t in degrees])
    panel.set_xlim(-0.3, len(degrees) - 0.7)
    panel.grid(axis="x", visible=False)
    panel.set_xlabel("temperature T")
