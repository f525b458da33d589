"""What a metric family reads of a run's folder: logits, features, last layer, history and probe; NumPy, no torch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from lskd.data.classes import read_classes
from lskd.errors import UserError
from lskd.runs import spec_digest
from lskd.store import open_features, open_logits

Array = NDArray[Any]
Row = dict[str, Any]
Batch = tuple[Array, Array]


@dataclass(frozen=True)
class RunData:
    """A run: its identity columns, its folder, and its teacher if it is a student. Every reader may raise UserError."""

    row: Row
    folder: Path
    teacher: "RunData | None" = None
    digest: str = ""  # of the spec that the folder's files must have been made for, if known
    opened: set[Path] = field(default_factory=set)  # every file that was read, for the provenance of what is made of it

    def logits(self, split: str) -> Batch:
        """Labels int64 [N] and logits float64 [N, K] of the clean images, ascending by sample."""
        path = self._open("logits", f"{split}.parquet")
        file = open_logits(path)
        self._check_own(path, file.metadata)
        samples_n, labels_n, logits_nk = file.read_view(0)
        order_n = np.argsort(samples_n, kind="stable")
        return labels_n[order_n].astype(np.int64), _usable(logits_nk[order_n], path)

    def features(self, split: str) -> Iterator[Batch]:
        """Batches of labels int64 [B] and penultimate features float64 [B, H], in the file's order (by sample)."""
        path = self._open("features", f"{split}.parquet")
        file = open_features(path)
        self._check_own(path, file.metadata)
        for _, labels_n, features_nh in file.batches():
            yield labels_n.astype(np.int64), _usable(features_nh, path)

    def _open(self, *parts: str) -> Path:
        path = self.folder.joinpath(*parts)
        self.opened.add(path)
        return path

    def _check_own(self, path: Path, metadata: dict[str, str]) -> None:
        if self.digest and spec_digest(json.loads(metadata.get("spec", "{}")).get("run", {})) != self.digest:
            raise UserError(f"{path}: holds another run than {self.row['run']}; delete it and run again")

    def head(self) -> Batch:
        """Weight [K, H] and bias [K] of the last layer, float64."""
        path = self._open("head.safetensors")
        try:
            with safe_open(path, framework="numpy") as file:
                return file.get_tensor("weight").astype(np.float64), file.get_tensor("bias").astype(np.float64)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: missing or damaged last layer ({error}); delete it and run again") from error

    def history(self) -> dict[str, Array]:
        """The columns of history.parquet, one value an epoch."""
        return _columns(self._open("history.parquet"))

    def probe(self) -> dict[str, Array]:
        """The columns of probe.parquet: epoch, sample, view, label [R] and logits float64 [R, K]."""
        return _columns(self._open("probe.parquet"))

    @cached_property
    def classes(self) -> list[str]:
        """The names of the data set's K classes, from the nearest data.safetensors above the run's folder."""
        for parent in self.folder.parents:
            if (parent / "data.safetensors").is_file():
                return read_classes(parent / "data.safetensors")
        raise UserError(f"{self.folder}: no data.safetensors above this folder; run the data step again")

    def class_index(self, name: str, key: str) -> int:
        """The label of a class name that stands under the option `key`."""
        if name in self.classes:
            return self.classes.index(name)
        near = ", ".join(get_close_matches(name, self.classes, 3, 0.0))
        raise UserError(f"{key}: no class {name!r} in {self.row.get('dataset', self.folder)}; nearest: {near}")


def _usable(values: Array, path: Path) -> Array:
    if not len(values):
        raise UserError(f"{path}: holds no sample; give this split a larger part of the data")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise UserError(f"{path}: holds NaN or infinity, so this run diverged; lower its recipe's lr")
    return values


def _columns(path: Path) -> dict[str, Array]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: missing or damaged ({error}); delete it and run again") from error
    return {name: _array(table.column(name)) for name in table.column_names}


def _array(column: pa.ChunkedArray) -> Array:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()
    flat = column.combine_chunks().flatten()
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size).astype(np.float64)
