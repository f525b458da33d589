"""Logits and features on disk: plain Parquet that any reader opens, read here at the speed of the disk, and sealed.

Every column chunk is one uncompressed PLAIN page without nulls, so its last bytes are the values themselves (Parquet
format, "Data Pages": repetition levels, definition levels, values) and are read straight into the array. The footer's key-value metadata holds `lskd` (where the file comes from), `lskd.index` (each row group's byte range and
xxh3-128) and `lskd.seal` (xxh3-128 of all bytes outside the row groups, taken with its own digits as zeros). So one
changed byte is found when it is read, and reading a view costs no more than that view.
"""

import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray
from scipy.special import softmax

from lskd.errors import UserError
from lskd.files import atomic

Array = NDArray[Any]
Rows = tuple[Array, Array, Array]
"""Sample indices int32 [N], labels int32 [N] and vectors [N, K] of the file's dtype."""

GROUP_BYTES = 1 << 28  # a Parquet page holds less than 2 GiB; larger views take several row groups
FEATURE_ROWS = 8192
CHUNK = 1 << 20  # bytes digested while they are still in the CPU's cache
MAGIC = b"PAR1"
SEAL = b"xxh3_128:"
DIGITS = 32


@dataclass(frozen=True)
class Group:
    """A row group: its rows, its bytes [start, end) in the file and their digest; `view` is None for features."""

    view: int | None
    rows: int
    start: int
    end: int
    digest: str


def write_logits(
    path: Path | str,
    views: Iterable[tuple[int, Array, Array, Array]],
    num_classes: int,
    dtype: str,
    metadata: dict[str, str],
) -> None:
    """Write (view, samples_n, labels_n, logits_nk) after (view, ...), one in memory at a time; atomic.

    `dtype` is "float32" or "float16", K is `num_classes`, and every view has the same N. Raises UserError where a logit
    is beyond the range of float16, or the file cannot be written.
    """
    kinds = [("sample", pa.int32()), ("view", pa.int16()), ("label", pa.int32()), ("logits", _list(dtype, num_classes))]
    with atomic(path) as tmp, tmp.open("wb") as file:
        writer, counts = _Writer(file, _schema(kinds), path), dict[int, int]()
        for view, samples_n, labels_n, logits_nk in views:
            if view in counts or len(samples_n) not in (*counts.values(), len(samples_n)):
                raise ValueError(f"view {view} comes twice, or has {len(samples_n)} samples unlike those before it")
            counts[view] = len(samples_n)
            writer.add(view, (samples_n, labels_n, logits_nk), max(1, GROUP_BYTES // writer.vector_bytes))
        writer.close({"views": list(counts), "samples": max(counts.values(), default=0)}, metadata)


def write_features(
    path: Path | str, batches: Iterable[Rows], num_features: int, dtype: str, metadata: dict[str, str]
) -> None:
    """Write batches of (samples_b, labels_b, features_bh) in row groups of 8192 rows; atomic.

    Raises UserError where a feature is beyond the range of float16, or the file cannot be written.
    """
    kinds = [("sample", pa.int32()), ("label", pa.int32()), ("features", _list(dtype, num_features))]
    with atomic(path) as tmp, tmp.open("wb") as file:
        writer = _Writer(file, _schema(kinds), path)
        for rows in _regrouped(batches, FEATURE_ROWS):
            writer.add(None, rows, max(1, GROUP_BYTES // writer.vector_bytes))
        writer.close({"views": [], "samples": sum(group.rows for group in writer.groups)}, metadata)


class _Table:
    """The rows of a file whose seal was right; what is read is verified first."""

    def __init__(self, path: Path, footer: bytes) -> None:
        parquet = pq.ParquetFile(pa.BufferReader(footer))
        self.path, self.footer, self.names = path, parquet.metadata, parquet.schema_arrow.names
        self.width, self.dtype = _vector(parquet.schema_arrow)
        self.metadata: dict[str, str] = json.loads(self.footer.metadata[b"lskd"])
        index: dict[str, Any] = json.loads(self.footer.metadata[b"lskd.index"])
        self.groups = [Group(*fields) for fields in index["groups"]]
        self.views: tuple[int, ...] = tuple(index["views"])
        self.num_samples: int = index["samples"]

    def _rows(self, numbers: Iterable[int]) -> Rows:
        """The rows of these row groups, each verified."""
        numbers = list(numbers)
        rows = sum(self.groups[number].rows for number in numbers)
        samples_n, labels_n = np.empty(rows, np.int32), np.empty(rows, np.int32)
        vectors_nk, first = np.empty((rows, self.width), self.dtype), 0
        try:
            with self.path.open("rb", buffering=0) as file:
                for number in numbers:
                    part = slice(first, first + self.groups[number].rows)
                    self._read_group(file, number, (samples_n[part], labels_n[part], vectors_nk[part]))
                    first = part.stop
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror or error}); run again") from error
        return samples_n, labels_n, vectors_nk

    def _read_group(self, file: Any, number: int, out: Rows) -> None:
        """Fill `out`: the row group's end goes straight into the vectors, what comes before them into `head`."""
        group, (samples_n, labels_n, vectors_nk) = self.groups[number], out
        ahead = group.end - group.start - vectors_nk.nbytes
        head, digest = bytearray(max(0, ahead)), xxhash.xxh3_128()
        file.seek(group.start)
        _fill(file, memoryview(head), digest)
        _fill(file, memoryview(vectors_nk).cast("B")[: group.end - group.start - len(head)], digest)
        if digest.hexdigest() != group.digest:
            raise UserError(
                f"{self.path}: bytes {group.start} to {group.end} have changed since they were written; "
                "delete it and run again"
            )
        ends = [self._plain_end(number, name, head, values) for name, values in zip((*self.names[:0], "sample", "label", self.names[-1]), out, strict=True)]
        if None in ends or ends[2] != group.end:
            self._decode(file, number, out)
            return
        for end, values in zip(ends[:2], (samples_n, labels_n), strict=True):
            assert end is not None
            values[:] = np.frombuffer(head, np.int32, len(values), end - group.start - values.nbytes)

    def _plain_end(self, number: int, name: str, head: bytearray, values: Array) -> int | None:
        """Where a column chunk ends whose last bytes are `values`; None if it is not one plain page of them."""
        chunk = self.footer.row_group(number).column(self.names.index(name))
        plain = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
        plain = plain and set(chunk.encodings) <= {"PLAIN", "RLE"} and chunk.num_values == values.size
        page = _page_bytes(head[chunk.data_page_offset - self.groups[number].start :][:16])
        if not plain or not values.nbytes <= page < chunk.total_compressed_size:
            return None
        return chunk.data_page_offset + chunk.total_compressed_size

    def _decode(self, file: Any, number: int, out: Rows) -> None:
        """The same by pyarrow's decoder, for a file whose pages are cut otherwise than ours."""
        file.seek(0)
        table = pq.ParquetFile(file).read_row_group(number, columns=list((*self.names[:0], "sample", "label", self.names[-1])))
        for name, values in zip((*self.names[:0], "sample", "label", self.names[-1]), out, strict=True):
            column = table.column(name).combine_chunks()
            flat = column.flatten() if values.ndim == 2 else column
            values[:] = flat.to_numpy(zero_copy_only=False).reshape(values.shape)


class LogitsFile(_Table):
    """Logits [N, K] of each of `views`; also `num_samples` (N), `dtype` and `metadata`."""

    @property
    def num_classes(self) -> int:
        return self.width

    def read_view(self, view: int) -> Rows:
        """samples_n int32, labels_n int32 and logits_nk (contiguous, the file's dtype) in the order they were written.

        Raises UserError where the view is not in the file or one of its bytes has changed.
        """
        if view not in self.views:
            held = ", ".join(map(str, self.views[:20])) or "no view"
            raise UserError(f"{self.path}: no view {view}, it holds {held}; delete it and run again")
        return self._rows(number for number, group in enumerate(self.groups) if group.view == view)


class FeaturesFile(_Table):
    """Penultimate features [N, H]; also `num_samples` (N), `dtype` and `metadata`."""

    @property
    def num_features(self) -> int:
        return self.width

    def batches(self) -> Iterator[Rows]:
        """samples_b int32, labels_b int32 and features_bh, at most 8192 rows at a time, in the order they were written.

        Raises UserError where a byte of the batch has changed.
        """
        for number in range(len(self.groups)):
            yield self._rows([number])

    def read(self) -> Rows:
        """All batches as one."""
        return self._rows(range(len(self.groups)))


def open_logits(path: Path | str) -> LogitsFile:
    """Raises UserError where the file is missing, damaged or not one that `write_logits` wrote."""
    return LogitsFile(_open(Path(path), ["sample", "view", "label", "logits"]))


def open_features(path: Path | str) -> FeaturesFile:
    """Raises UserError where the file is missing, damaged or not one that `write_features` wrote."""
    return FeaturesFile(_open(Path(path), ["sample", "label", "features"]))


def quantisation_error(logits_nk: Array, dtype: str, temperatures: Iterable[float]) -> dict[str, Any]:
    """What storing logits [N, K] as `dtype` costs.

    Returns {"logit": max |stored - exact|, "total_variation": {T: max over samples of
    1/2 sum_k |softmax(stored / T)_k - softmax(exact / T)_k|}}; the latter is at most logit / (2 T).
    """
    exact_nk = np.asarray(logits_nk, np.float64)
    stored_nk = exact_nk.astype(dtype).astype(np.float64)
    distances = {
        t: float(np.abs(softmax(stored_nk / t, axis=1) - softmax(exact_nk / t, axis=1)).sum(axis=1).max(initial=0)) / 2
        for t in temperatures
    }
    return {"logit": float(np.abs(stored_nk - exact_nk).max(initial=0)), "total_variation": distances}


def _list(dtype: str, width: int) -> pa.DataType:
    return pa.list_(
        pa.field("element", {"float32": pa.float32(), "float16": pa.float16()}[dtype], nullable=False), width
    )


def _schema(kinds: list[tuple[str, pa.DataType]]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds])


def _regrouped(batches: Iterable[Rows], size: int) -> Iterator[Rows]:
    """The same rows, `size` at a time."""
    held: list[Rows] = []
    for batch in batches:
        held.append(batch)
        while sum(len(samples_b) for samples_b, *_ in held) >= size:
            whole = [np.concatenate(parts) for parts in zip(*held, strict=True)]
            yield whole[0][:size], whole[1][:size], whole[2][:size]
            held = [(whole[0][size:], whole[1][size:], whole[2][size:])]
    if held:
        samples_n, labels_n, vectors_nk = (np.concatenate(parts) for parts in zip(*held, strict=True))
        yield samples_n, labels_n, vectors_nk


class _Digesting:
    """A binary file that digests what is written to it; `take` gives the digest since the last `take`."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size, self.digest = file, 0, xxhash.xxh3_128()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def take(self) -> str:
        digest, self.digest = self.digest.hexdigest(), xxhash.xxh3_128()
        return digest


class _Writer:
    """Row groups into an open file, each with its digest, then the sealed footer."""

    def __init__(self, file: BinaryIO, schema: pa.Schema, path: Path | str) -> None:
        kind = schema[-1].type
        self.path, self.width, self.dtype = path, kind.list_size, np.dtype(kind.value_type.to_pandas_dtype())
        self.vector_bytes = max(1, self.width * self.dtype.itemsize)
        self.groups: list[Group] = []
        self.sink = _Digesting(file)
        # The longest pages there are: one for each column chunk. Only `view`, constant in a group, has a dictionary.
        self.parquet = pq.ParquetWriter(
            self.sink,
            schema,
            compression="NONE",
            use_dictionary=["view"],
            write_statistics=["view"],
            data_page_size=2**31 - 1,
            max_rows_per_page=2**31 - 1,
        )
        self.sink.take()

    def add(self, view: int | None, rows: Rows, group_rows: int) -> None:
        """Append rows, `group_rows` to a row group."""
        samples_n, labels_n, vectors_nk = rows
        if vectors_nk.shape != (len(samples_n), self.width) or len(labels_n) != len(samples_n):
            raise ValueError(f"{len(samples_n)} samples and {len(labels_n)} labels with vectors {vectors_nk.shape}")
        vectors_nk = self._stored(vectors_nk)
        for first in range(0, len(samples_n), group_rows):
            part = slice(first, first + group_rows)
            self._add_group(view, samples_n[part], labels_n[part], vectors_nk[part])

    def _stored(self, vectors_nk: Array) -> Array:
        with np.errstate(over="ignore"):
            stored_nk = np.ascontiguousarray(vectors_nk, self.dtype)
        if self.dtype == np.float16 and (np.isinf(stored_nk) & np.isfinite(vectors_nk)).any():
            largest = np.abs(vectors_nk[np.isfinite(vectors_nk)]).max()
            raise UserError(f"{self.path}: a value of size {largest:g} is beyond float16 (65504); set dtype: float32")
        return stored_nk

    def _add_group(self, view: int | None, samples_n: Array, labels_n: Array, vectors_nk: Array) -> None:
        schema, start, rows = self.parquet.schema, self.sink.size, len(samples_n)
        flat = pa.array(vectors_nk.ravel(), schema[-1].type.value_type)
        columns = {
            "sample": pa.array(np.asarray(samples_n, np.int32)),
            "view": pa.array(np.full(rows, 0 if view is None else view, np.int16)),
            "label": pa.array(np.asarray(labels_n, np.int32)),
            schema.names[-1]: pa.FixedSizeListArray.from_arrays(flat, type=schema[-1].type),
        }
        table = pa.table([columns[name] for name in schema.names], schema=schema)
        self.parquet.write_table(table, row_group_size=rows)
        self.groups.append(Group(view, rows, start, self.sink.size, self.sink.take()))

    def close(self, index: dict[str, Any], metadata: dict[str, str]) -> None:
        """Write the footer and seal it."""
        index = index | {"groups": [list(vars(group).values()) for group in self.groups]}
        self.parquet.add_key_value_metadata(
            {"lskd": json.dumps(metadata, sort_keys=True), "lskd.index": json.dumps(index)}
        )
        self.parquet.add_key_value_metadata({"lskd.seal": SEAL.decode() + "0" * DIGITS})
        self.parquet.close()
        self.sink.flush()
        with open(self.sink.file.name, "r+b") as file:
            outside, footer_start = _outside(file)
            file.seek(footer_start - len(MAGIC) + _seal_at(outside))
            file.write(_sealed(outside).encode())


def _outside(file: BinaryIO) -> tuple[bytes, int]:
    """All bytes outside the row groups (magic, footer, its length, magic) and where the footer starts."""
    size = os.fstat(file.fileno()).st_size
    if size < 12:
        raise ValueError(f"{size} bytes are no Parquet file")
    file.seek(size - 8)
    length, magic = struct.unpack("<I4s", file.read(8))
    if magic != MAGIC or length > size - 12:
        raise ValueError("its end is no Parquet footer")
    file.seek(size - 8 - length)
    footer = file.read(length + 8)
    file.seek(0)
    return file.read(len(MAGIC)) + footer, size - 8 - length


def _seal_at(outside: bytes) -> int:
    """Where the seal's digits start; the last such key, since `close` adds it last."""
    found = outside.rfind(SEAL)
    if found < 0:
        raise ValueError("its footer carries no lskd seal, so it was written by something else or is damaged")
    return found + len(SEAL)


def _sealed(outside: bytes) -> str:
    at = _seal_at(outside)
    return xxhash.xxh3_128(outside[:at] + b"0" * DIGITS + outside[at + DIGITS :]).hexdigest()


def _open(path: Path, columns: list[str]) -> "_Table":
    """The verified footer; nothing parses a footer before its seal has been compared."""
    try:
        with path.open("rb") as file:
            outside, footer_start = _outside(file)
        at = _seal_at(outside)
        if outside[at : at + DIGITS] != _sealed(outside).encode():
            raise ValueError("its footer has changed since it was written")
        parquet = pq.ParquetFile(pa.BufferReader(outside))
        if parquet.schema_arrow.names != columns:
            raise ValueError(f"its columns are {', '.join(parquet.schema_arrow.names)}, not {', '.join(columns)}")
        table = _Table(path, parquet.metadata, parquet.schema_arrow)
        edges = [len(MAGIC), *(edge for group in table.groups for edge in (group.start, group.end)), footer_start]
        if edges[::2] != edges[1::2]:
            raise ValueError("there are bytes between its row groups")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); run the step that makes it") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}; delete it and run again") from error
    return table


def _fill(file: Any, out: memoryview, digest: Any) -> None:
    """Read the file's next bytes into `out`, digesting them on the way; a short file leaves a wrong digest."""
    done = 0
    while done < len(out) and (count := file.readinto(out[done : done + CHUNK])):
        digest.update(out[done : done + count])
        done += count


def _page_bytes(header: bytearray) -> int:
    """The size that a version-1 data page's header tells (Thrift compact: type 0, then two zigzag varints), or -1."""
    if header[:3] != b"\x15\x00\x15":
        return -1
    value = 0
    for place, byte in enumerate(header[3:]):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value >> 1
    return -1
