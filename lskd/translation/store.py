"""A teacher's next-token logits on disk: a plain Parquet file as the archive, and a map in memory to train from.

R target tokens of train, EOS of each sentence among them; V the vocabulary, k tokens listed of each; D temperatures.
The archive's columns are sentence, position in it and token, int32 each, and then by `form`
  full    logits [V]                                               12 + 4 V bytes a token (float16: 12 + 2 V)
  top_k   listed int32 [k], their logits [k], tail float32 [D]     12 + 8 k + 4 D         (float16: 12 + 6 k + 4 D)
  sample  listed int32 [k], counts int16 [k], logits [k]           12 + 12 k              (float16: 12 + 10 k)
and about 4 bytes a list, by which Parquet finds its ends (its least integer has 4 bytes); logits are raw, float32 or
float16, and tail is the log-sum-exp of z / T over all tokens not listed, at each T of the metadata's spec.
Rows stand as they were forwarded, in batches of neighbours in length.

The map holds what a loss needs at its student's T: probabilities float32 [V] of `full` (4 V bytes a token), else listed
int32 [k], probabilities float32 [k] and their rest float32 (8 k + 4 bytes). It is a file without a name, beside the
job's: the kernel frees it when the process ends, however it does.
"""

import json
import mmap
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lskd.errors import UserError, mend, of_disk
from lskd.io.atomic import atomic
from lskd.io.store import PAGES, place_of_tail
from lskd.supervision import kd_top_k
from lskd.supervision.kd_sample import sample_weights
from lskd.translation.losses import softened
from lskd.translation.tokens import EOS, Ragged

Array = np.ndarray[Any, Any]
Columns = dict[str, Array]
"""Rows of the archive: of each column [n], or [n, width]."""

KEYS = ("sentence", "position", "token")
GROUP_BYTES = 1 << 26


def write_store(path: Path, blocks: Iterable[Columns], origin: dict[str, Any]) -> None:
    """Write blocks of rows, of the same columns each, one row group in memory at a time; atomic.

    Raises UserError where the disk is full, or a logit is beyond float16.
    """
    with atomic(path) as temporary:
        writer = None
        try:
            for columns in _grouped(blocks):
                table = _table(columns, path)
                if writer is None:
                    schema = table.schema.with_metadata({"lskd": json.dumps(origin, sort_keys=True)})
                    writer = pq.ParquetWriter(temporary, schema, **PAGES | {"use_dictionary": False})
                writer.write_table(table.replace_schema_metadata(writer.schema.metadata), row_group_size=len(table))
        finally:
            if writer is not None:
                writer.close()


def _grouped(blocks: Iterable[Columns]) -> Iterator[Columns]:
    """The blocks, small ones together."""
    held: list[Columns] = []
    size = 0
    for columns in blocks:
        held.append(columns)
        size += sum(values.nbytes for values in columns.values())
        if size >= GROUP_BYTES:
            yield _together(held)
            held, size = [], 0
    if held:
        yield _together(held)


def _together(blocks: list[Columns]) -> Columns:
    return {name: np.concatenate([columns[name] for columns in blocks]) for name in blocks[0]}


def _table(columns: Columns, path: Path) -> pa.Table:
    logits = columns["logits"]
    if logits.dtype == np.float16 and np.isinf(logits).any():
        raise UserError(f"{path}: a logit is beyond float16 (65504); set dtype: float32")
    arrays, fields = [], []
    for name, values in columns.items():
        kind = pa.from_numpy_dtype(values.dtype)
        flat = pa.Array.from_buffers(kind, values.size, [None, pa.py_buffer(np.ascontiguousarray(values))])
        if values.ndim == 2:
            kind = pa.list_(pa.field("element", kind, nullable=False), values.shape[1])
            flat = pa.FixedSizeListArray.from_arrays(flat, type=kind)
        arrays.append(flat)
        fields.append(pa.field(name, kind, nullable=False))
    return pa.table(arrays, schema=pa.schema(fields))


def read_origin(path: Path) -> dict[str, Any]:
    """What a store says of itself: title, address and spec; UserError where it is none."""
    try:
        origin: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"lskd"])
        return origin
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: no logits that lskd wrote ({why}); {mend(path)}") from None


def read_blocks(path: Path) -> Iterator[Columns]:
    """The rows of a store, a row group at a time; UserError where it cannot be read."""
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                yield {name: _values(table.column(name).combine_chunks()) for name in table.column_names}
    except (OSError, ValueError, pa.ArrowException) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: cannot be read ({why}); {mend(path)}") from None


def _values(column: pa.Array) -> Array:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()
    return column.flatten().to_numpy().reshape(-1, column.type.list_size)


Soften = Callable[[Columns], dict[str, torch.Tensor]]
"""From rows of the archive to those of a map: the name of each array and its values [n, width], on the CPU."""


def softening(origin: dict[str, Any], supervision: dict[str, Any], device: torch.device, path: Path) -> Soften:
    """How the rows of a store become those of the map that this student needs; computed on its device.

    Raises UserError where the store's form is of another way of teaching, or lacks the tail at the student's T.
    """
    spec, way = origin["spec"], supervision["way"]
    temperature = supervision.get("teacher_temperature") or supervision["temperature"]
    form = {"kd": "full", "kd_top_k": "top_k", "kd_sample": "sample"}[way]
    if spec["form"] != form:
        raise UserError(f"{path}: holds the form {spec['form']}, but supervision {way} needs {form}; {mend(path)}")

    def on_device(values: Array) -> torch.Tensor:
        return torch.from_numpy(values.copy()).to(device)

    def full(columns: Columns) -> dict[str, torch.Tensor]:
        return {"p": softened(on_device(columns["logits"]), temperature).cpu()}

    def top_k(columns: Columns) -> dict[str, torch.Tensor]:
        tail_n = on_device(columns["tail"][:, tail_at]) if has_tail else None
        p_nk, rest_n = kd_top_k.softened(on_device(columns["logits"]), tail_n, temperature)
        listed_nk = torch.from_numpy(columns["listed"].copy())
        return {"listed": listed_nk, "p": p_nk.cpu(), "rest": rest_n[:, None].cpu()}

    def sample(columns: Columns) -> dict[str, torch.Tensor]:
        weights_nk = sample_weights(on_device(columns["counts"]), on_device(columns["logits"]), temperature)
        return {"listed": torch.from_numpy(columns["listed"].copy()), "p": weights_nk.cpu()}

    has_tail = form == "top_k" and supervision.get("tail", True)
    if has_tail:
        tail_at = place_of_tail(spec, temperature, path)
    return {"full": full, "top_k": top_k, "sample": sample}[form]


@dataclass(frozen=True)
class Map:
    """What a teacher says of each target token of train: arrays [R, width] in memory maps, in the archive's order.

    `places` int64 [R]: the row of each token, the tokens in the order of the corpus.
    """

    arrays: dict[str, torch.Tensor]
    places: Array

    def rows(self, tokens_n: Array) -> torch.Tensor:
        """The rows int64 [N] of tokens by their numbers in the corpus, where the arrays are."""
        device = next(iter(self.arrays.values())).device
        return torch.from_numpy(self.places[tokens_n]).to(device)

    def near(self, device: torch.device) -> "Map":
        """The map in a GPU's own memory, where it takes at most half of what is free there; else as it is."""
        size = sum(values.nbytes for values in self.arrays.values())
        if device.type != "cuda" or 2 * size > torch.cuda.mem_get_info(device)[0]:
            return self
        return Map({name: values.to(device) for name, values in self.arrays.items()}, self.places)


def open_map(path: Path, target: Ragged, soften: Soften, folder: Path) -> Map:
    """Make the map of a store in a file without a name in `folder`; one row group in memory at a time.

    Raises UserError where the store does not hold each target token of the corpus once, or the disk is full.
    """
    starts_n = target.ends_n - target.lengths_n + np.arange(len(target))  # each sentence before has one EOS more
    expected = np.insert(target.ids, target.ends_n, EOS)
    places, files, done = np.full(len(expected), -1, np.int64), dict[str, _Growing](), 0
    for columns in read_blocks(path):
        sentences_n, positions_n, tokens_n = (columns[key].astype(np.int64) for key in KEYS)
        if len(sentences_n) and not 0 <= sentences_n.min() <= sentences_n.max() < len(target):
            raise _of_another_corpus(path)
        lengths_n = target.lengths_n[sentences_n]
        at_n = starts_n[sentences_n] + positions_n
        if ((positions_n < 0) | (positions_n > lengths_n)).any() or (expected[at_n] != tokens_n).any():
            raise _of_another_corpus(path)
        places[at_n] = np.arange(done, done + len(at_n))
        done += len(at_n)
        for name, values in soften(columns).items():
            files.setdefault(name, _Growing(folder, values)).add(values)
    if done != len(expected) or (places < 0).any():
        raise _of_another_corpus(path)
    return Map({name: file.mapped() for name, file in files.items()}, places)


def _of_another_corpus(path: Path) -> UserError:
    return UserError(f"{path}: does not hold each target token of this corpus once; {mend(path)}")


class _Growing:
    """Rows written one after the other into a file without a name, then read through memory."""

    def __init__(self, folder: Path, like: torch.Tensor) -> None:
        self.folder, self.width, self.dtype = folder, like.shape[1], like.dtype
        self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open for as long as its map)

    def add(self, values: torch.Tensor) -> None:
        try:
            self.file.write(values.contiguous().numpy().data)
        except OSError as error:
            raise UserError(
                f"{self.folder}: the teacher's probabilities cannot be written there ({of_disk(error)}); free space, "
                "or keep fewer tokens (supervision: kd_top_k)"
            ) from None

    def mapped(self) -> torch.Tensor:
        self.file.flush()
        memory = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_COPY)  # torch wants it writable; nobody writes
        return torch.frombuffer(memory, dtype=self.dtype).view(-1, self.width)
