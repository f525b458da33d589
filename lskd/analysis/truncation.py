"""Is a fall of BLEU at a high T the smoothing of the teacher, or what was kept of its distributions?

The students of each pair of networks are compared at the highest T that all have: those of full distributions against
those of truncated or sampled ones, and those of smoothed teachers against those of unsmoothed ones, paired by seed. All
are one family of claims (`family.py`). BLEU, 0..100; differences in points of it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE, judged
from lskd.analysis.statistics import FEWEST, LEVEL, POWER, compare
from lskd.analysis.students import records
from lskd.analysis.wording import interval, listed, seeds

NETWORKS = ["dataset", "teacher_model", "model", "recipe", "soft_weight"]
KEPT = ["kept", "tail", "sampled"]  # as in metrics/token_targets.py
FULL = "full"
MARGIN = 0.5  # points of BLEU below which there is no difference
HIGHER, HURTS, HELPS = "higher", "hurts", "helps"

Row = dict[str, Any]
Cell = tuple[float, float, str]  # label smoothing, T, store


def store_text(row: Row) -> str:
    """What was kept of a teacher's distributions: full, top-4, top-4 + tail, 64 samples. NaN: not so many tokens."""
    if row["sampled"] > 0:
        return f"{row['sampled']:g} samples"
    return f"top-{row['kept']:g}{' + tail' if row['tail'] else ''}" if row["kept"] > 0 else FULL


def store_order(row: Row) -> tuple[float, bool, float]:
    """All tokens first, then the fewest, those without their tail before those with it, then samples."""
    return np.nan_to_num(row["sampled"]), np.nan_to_num(row["kept"]), bool(row["tail"])


def claims(students: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """The judged comparisons, a row each, of rows with NETWORKS, label_smoothing, temperature, KEPT, seed and value.

    `store` is what was kept in words. `question` is truncation (full minus this store, at one label smoothing),
    smoothing (this label smoothing minus none, at one store) or fall (lowest minus highest T; beside the claims).
    Columns as `family.judged` gives them, and `this` and `other`, the means that are compared.
    """
    named = students.assign(store=[store_text(row) for row in records(students)])
    rows = [row for _, part in named.groupby(NETWORKS, dropna=False) for row in _of_networks(part)]
    return pd.DataFrame(judged(rows, level))


def sentences(numbers: pd.DataFrame) -> list[str]:
    """What `claims` say, a paragraph for each pair of networks."""
    if numbers.empty:
        return ["Students of full and of truncated distributions share no T, so nothing is compared."]
    return [_paragraph(part) for _, part in numbers.groupby(NETWORKS, dropna=False)]


def _of_networks(part: pd.DataFrame) -> Iterator[Row]:
    by_cell: dict[Cell, pd.Series[float]] = {}
    for _, values in part.groupby(["label_smoothing", "temperature", "store"]):
        first = records(values.iloc[:1])[0]
        cell = first["label_smoothing"], first["temperature"], first["store"]
        by_cell[cell] = values.groupby("seed")["value"].mean()
    stores = {row["store"]: row for row in records(part[["store", *KEPT]].drop_duplicates("store"))}
    shared = [t for t in sorted({t for _, t, _ in by_cell}) if _has_both(by_cell, t)]
    if not shared:
        return
    high, low = shared[-1], min(t for _, t, _ in by_cell)
    about = {name: part[name].iloc[0] for name in NETWORKS} | {"temperature": high, "low_temperature": low}
    for alpha in sorted({alpha for alpha, _, _ in by_cell}):
        for store in sorted(stores, key=lambda store: store_order(stores[store])):
            own = about | {"label_smoothing": alpha} | stores[store]
            this = (alpha, high, store)
            if store != FULL:
                yield from _row(own | {"question": "truncation"}, by_cell, (alpha, high, FULL), this)
            if alpha > 0:
                yield from _row(own | {"question": "smoothing"}, by_cell, this, (0.0, high, store))
            if low < high:
                yield from _row(own | {"question": "fall", "weight": 0.0}, by_cell, (alpha, low, store), this)


def _has_both(by_cell: dict[Cell, "pd.Series[float]"], t: float) -> bool:
    stores = {store for _, degree, store in by_cell if degree == t}
    return FULL in stores and len(stores) > 1


def _row(about: Row, by_cell: dict[Cell, "pd.Series[float]"], this: Cell, other: Cell) -> Iterator[Row]:
    """The comparison of two cells over the seeds that both have; none where there are none."""
    if this in by_cell and other in by_cell:
        pairs = pd.concat([by_cell[this], by_cell[other]], axis=1, join="inner").to_numpy()
        if not len(pairs):
            return
        how = {"weight": 1.0, "sign": 1, "is_one_sided": False, "margin": MARGIN} | about
        yield how | compare(pairs[:, 0] - pairs[:, 1]) | dict(zip(("this", "other"), pairs.mean(0), strict=True))


def _paragraph(part: pd.DataFrame) -> str:
    """Each store's fall, what truncation and smoothing do, and which of them the fall is."""
    rows = records(part)
    first, published = rows[0], _published(rows)
    networks = f"{first['model']} ← {first['teacher_model']}"
    start = f"On {first['dataset']}, {networks}: "
    truncation = [row for row in rows if row["question"] == "truncation" and row["store"] == published]
    smoothing = [row for row in rows if row["question"] == "smoothing" and row["store"] == FULL]
    degree = f"T = {first['temperature']:g}"
    most = max((row["n"] for row in truncation + smoothing), default=0)
    if not truncation or most < FEWEST:
        return f"{start}at {degree} with {seeds(most)} nothing can be told; run {FEWEST} seeds or more."
    falls = "; ".join(text for store in (FULL, published) if (text := _falls(rows, store)))
    effects = "; ".join([*(_size(row, published) for row in truncation), *(_effect(row) for row in smoothing)])
    answer = _answer(truncation, smoothing, rows, published) + _of_neither(rows)
    return f"{start}{falls + '. At' if falls else 'at'} {degree} {effects}. {answer}"


def _of_neither(rows: list[Row]) -> str:
    """What T by itself takes: of full distributions of an unsmoothed teacher."""
    falls = [row for row in rows if row["question"] == "fall" and row["store"] == FULL and not row["label_smoothing"]]
    if not falls or falls[0]["mean"] <= MARGIN:
        return ""
    return f" The {falls[0]['mean']:.1f} points that full distributions of the unsmoothed teacher lose are of neither."


def _published(rows: list[Row]) -> str:
    """The store that is like the published one: the fewest tokens, without their tail; else what there is."""
    stores = [row for row in rows if row["question"] == "truncation"]
    first = min(stores, key=lambda row: (row["sampled"] > 0, row["tail"], store_order(row)), default={"store": ""})
    return str(first["store"])


def _falls(rows: list[Row], store: str) -> str:
    falls = [row for row in rows if row["question"] == "fall" and row["store"] == store]
    if not falls:
        return ""
    sizes = [f"from {row['this']:.1f} to {row['other']:.1f} (α = {row['label_smoothing']:g})" for row in falls]
    first, name = falls[0], "full distributions" if store == FULL else store
    return f"from T = {first['low_temperature']:g} to {first['temperature']:g} BLEU goes {listed(sizes)} with {name}"


def _size(row: Row, published: str) -> str:
    more = "more" if row["mean"] >= 0 else "less"
    size = f"{abs(row['mean']):.2f} points {more} than {published}"
    return f"full distributions give {size} at α = {row['label_smoothing']:g} ({_proof(row)})"


def _effect(row: Row) -> str:
    words = {HURTS: "hurts", HELPS: "helps", NO_DIFFERENCE: f"makes no difference of {MARGIN:g} points or more"}
    effect = words.get(row["verdict"], "cannot be told to help or hurt")
    size = f"{row['mean']:+.2f}".replace("-", "−")
    return f"with full distributions smoothing (α = {row['label_smoothing']:g}) {effect} ({size} points, {_proof(row)})"


def _proof(row: Row) -> str:
    """The interval, the seeds, and what these would find where nothing is told."""
    texts = [] if np.isnan(row["low"]) else [interval(row, row["low"], row["high"], 2)]
    texts.append(seeds(row["n"]))
    if row["verdict"] == CANNOT_TELL and not np.isnan(row["detectable"]):
        texts.append(f"which would find {row['detectable']:.2g} with {POWER * 100:.0f} % power")
    return ", ".join(texts)


def _answer(truncation: list[Row], smoothing: list[Row], rows: list[Row], published: str) -> str:
    """Which of the two the fall is, as far as the claims tell: never more than their tests allow."""
    falls = [row["mean"] for row in rows if row["question"] == "fall" and row["store"] == published]
    if falls and max(falls) <= MARGIN:
        return f"So there is no fall to explain: BLEU of {published} does not fall by more than {MARGIN:g}."
    cut = {row["verdict"] for row in truncation}
    smooth = {row["verdict"] for row in smoothing}
    if cut == {HIGHER}:
        if HURTS in smooth:
            return "So the fall is both the truncation's and the smoothing's, each as large as said."
        if CANNOT_TELL in smooth or not smooth:
            return "So the fall is the truncation's; whether smoothing adds to it cannot be told."
        return "So the fall is the truncation's, and not the smoothing's."
    if HURTS in smooth and HIGHER not in cut:
        rest = "; whether truncation adds to it cannot be told" if CANNOT_TELL in cut else ", and not the truncation's"
        return f"So the fall is the smoothing's{rest}."
    if HIGHER in cut:
        smoothings = listed([f"α = {row['label_smoothing']:g}" for row in truncation if row["verdict"] == HIGHER])
        return f"So truncation is told to lower BLEU at {smoothings} alone."
    if smooth and CANNOT_TELL not in cut | smooth:
        return "So the fall is neither the truncation's nor the smoothing's."
    return "So it cannot be told whether the fall is the truncation's or the smoothing's."
