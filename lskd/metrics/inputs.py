"""What a metric family reads of a run's folder: logits, features, last layer, history and probe; NumPy, no torch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from safetensors import safe_open

from lskd.data.classes import read_classes, read_families
from lskd.errors import UserError
from lskd.io.seal import checked
from lskd.io.store import open_features, open_logits
from lskd.io.tables import read_table

Array = NDArray[Any]
Row = dict[str, Any]
Batch = tuple[Array, Array]


@dataclass(frozen=True)
class RunData:
    """A run: its identity columns, the jobs that were made of it, and its teacher if it is a student.

    Every reader compares what it reads with its seal, and may raise UserError.
    """

    row: Row
    folders: dict[str, Path]  # stage (predict, snapshots, train, translate, ...) or "data" -> the folder of that result
    teacher: "RunData | None" = None

    def logits(self, split: str) -> Batch:
        """Labels int64 [N] and logits float64 [N, K] of the clean images, ascending by sample."""
        path = self._checked("predict", f"{split}.logits.parquet")
        samples_n, labels_n, logits_nk = open_logits(path).read_draw(0)
        order_n = np.argsort(samples_n, kind="stable")
        return labels_n[order_n].astype(np.int64), _usable(logits_nk[order_n], path)

    def features(self, split: str) -> Iterator[Batch]:
        """Batches of labels int64 [B] and penultimate features float64 [B, H], in the file's order (by sample)."""
        path = self._checked("predict", f"{split}.features.parquet")
        for _, labels_n, features_nh in open_features(path).batches():
            yield labels_n.astype(np.int64), _usable(features_nh, path)

    def _checked(self, stage: str, name: str) -> Path:
        folder = self.folders[stage]
        return checked(folder / name, folder)

    def head(self) -> Batch:
        """Weight [K, H] and bias [K] of the last layer, float64."""
        with safe_open(self._checked("predict", "head.safetensors"), framework="numpy") as file:
            return file.get_tensor("weight").astype(np.float64), file.get_tensor("bias").astype(np.float64)

    def history(self) -> dict[str, Array]:
        """The columns of a training's history, one value an epoch."""
        lines = self._checked("train", "history.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def snapshots(self) -> dict[str, Array]:
        """Along a training: epoch, sample, draw (of the augmentation), label [R] and logits float64 [R, K]."""
        table = read_table(self._checked("snapshots", "snapshots.parquet"))
        return {name: _array(table.column(name)) for name in table.column_names}

    def translations(self, stage: str) -> dict[str, Array]:
        """Translated sentences: split, update, temperature (decoding), sentence, hypothesis and reference [R].

        `stage` is translate, or translate_snapshots for those along a training.
        """
        table = read_table(self._checked(stage, "translations.parquet"))
        return {name: table.column(name).to_numpy() for name in table.column_names}

    def tokens(self, stage: str) -> dict[str, Array]:
        """Next-token predictions: split, update, temperature, is_fitted, sentence, position, token, nll and so on [R].

        nll (nats) and confidence (0..1) are float64, is_correct is bool.
        """
        path = self._checked(stage, "tokens.parquet")
        table = read_table(path)
        columns = {name: table.column(name).to_numpy() for name in table.column_names}
        return columns | {name: _usable(columns[name], path) for name in ("nll", "confidence")}

    @cached_property
    def classes(self) -> list[str]:
        """The names of the data set's K classes."""
        return read_classes(self._checked("data", "data.safetensors"))

    @cached_property
    def families(self) -> list[str]:
        """The family of each class, where the data tell: classes of one family are similar."""
        return read_families(self._checked("data", "data.safetensors"))

    def class_index(self, name: str, key: str) -> int:
        """The label of a class name that stands under the option `key`."""
        if name in self.classes:
            return self.classes.index(name)
        near = ", ".join(get_close_matches(name, self.classes, 3, 0.0))
        raise UserError(f"{key}: no class {name!r} in {self.row.get('dataset', 'this data set')}; nearest: {near}")


def _usable(values: Array, path: Path) -> Array:
    if not len(values):
        raise UserError(f"{path}: holds no sample; give this split a larger part of the data")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise UserError(f"{path}: holds NaN or infinity, so this run diverged; lower its recipe's lr")
    return values


def _array(column: pa.ChunkedArray) -> Array:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()
    flat = column.combine_chunks().flatten()
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size).astype(np.float64)
