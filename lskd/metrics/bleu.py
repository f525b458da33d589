"""BLEU and chrF of each run's translations, along its training too, and paired bootstraps of students."""

import math
from typing import Any

import numpy as np

from lskd.errors import UserError
from lskd.metrics.inputs import Row, RunData
from lskd.translation.bleu import RESAMPLES, RESAMPLING_SEED, paired_bootstrap, scores

FINAL = -1  # the `update` of a trained network's translations
OWN = 1.0  # the decoding temperature that changes nothing
# of the two students of a pair: all but the smoothing of their teachers
SAME = (
    "dataset",
    "lineage",
    "teacher_model",
    "model",
    "recipe",
    "temperature",
    "soft_weight",
    "variant",
    "seed",
    "student",
)

Columns = dict[str, np.ndarray[Any, Any]]


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, temperature_at, metric, value, signature) of each run, split and decoding temperature.

    Metrics bleu, bleu_tokenised_lowercase and chrf (0..100) as in `lskd.translation.bleu`; `signature` is sacrebleu's.
    """
    rows = []
    for run in runs:
        table = chosen(run.translations("translate"), update=FINAL)
        for split in _values(table, "split"):
            for temperature in _values(table, "temperature"):
                part = chosen(table, split=split, temperature=temperature)
                if len(part["split"]):
                    own = run.row | {"split": split, "temperature_at": float(temperature)}
                    rows += _scored(own, part)
    return rows


def along_training(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, update, metric, value, signature) of the snapshots of each run, on val: test is for the end."""
    rows = []
    for run in runs:
        table = chosen(run.translations("translate_snapshots"), split="val", temperature=OWN)
        for update in _values(table, "update"):
            rows += _scored(run.row | {"split": "val", "update": int(update)}, chosen(table, update=update))
    return rows


def bootstrap(runs: list[RunData], options: Row) -> list[Row]:
    """A row (split, other, value, other_value, p, resamples, resampling_seed, signature) a student and its counterpart.

    The counterpart, `other`, is the student of the unsmoothed teacher that is alike in SAME; values are BLEU on test.
    A student of a smoothed teacher without one has no row. p is two-sided, by sacrebleu's paired bootstrap.
    """
    students = [run for run in runs if run.row["role"] == "student"]
    smoothed: dict[tuple[Any, ...], list[RunData]] = {}
    for run in students:
        if run.row["label_smoothing"] > 0:
            smoothed.setdefault(_same(run), []).append(run)
    hard = [run for run in students if run.row["label_smoothing"] == 0 and _same(run) in smoothed]
    return [row for one in hard for row in _against(one, smoothed[_same(one)])]


def _against(hard: RunData, smoothed: list[RunData]) -> list[Row]:
    baseline, *tables = [
        chosen(run.translations("translate"), update=FINAL, split="test", temperature=OWN) for run in (hard, *smoothed)
    ]
    for run, table in zip(smoothed, tables, strict=True):
        if not np.array_equal(table["reference"], baseline["reference"]):
            raise UserError(
                f"{run.row['run']}: its test sentences are not those of {hard.row['run']}; translate both again"
            )
    texts = [table["hypothesis"].tolist() for table in (baseline, *tables)]
    pairs = paired_bootstrap(texts[0], texts[1:], baseline["reference"].tolist())
    how = {"split": "test", "other": hard.row["run"], "resamples": RESAMPLES, "resampling_seed": RESAMPLING_SEED}
    return [
        run.row | how | {"value": pair.value, "other_value": pair.baseline, "p": pair.p, "signature": pair.signature}
        for run, pair in zip(smoothed, pairs, strict=True)
    ]


def chosen(table: Columns, **wanted: Any) -> Columns:
    """The rows of a table of columns, by what these columns are."""
    is_wanted = np.ones(len(table["split"]), dtype=bool)
    for name, value in wanted.items():
        is_wanted &= table[name] == value
    return {name: column[is_wanted] for name, column in table.items()}


def _scored(own: Row, part: Columns) -> list[Row]:
    by_metric = scores(part["hypothesis"].tolist(), part["reference"].tolist())
    return [own | {"metric": name, "value": one.value, "signature": one.signature} for name, one in by_metric.items()]


def _values(table: Columns, name: str) -> list[Any]:
    return np.unique(table[name]).tolist()


def _same(run: RunData) -> tuple[Any, ...]:
    """What both of a pair share; NaN, which is unequal to itself, as None."""
    values = [run.row[name] for name in SAME]
    return tuple(None if isinstance(value, float) and math.isnan(value) else value for value in values)
