"""Logits and features on disk: plain Parquet that any reader opens, read here at the speed of the disk, and sealed.

Every column chunk is one uncompressed PLAIN page without nulls, so its last bytes are the values themselves (Parquet
format, "Data Pages": repetition levels, definition levels, values) and are read straight into the array. The footer's
key-value metadata holds `lskd` (where the file comes from), `lskd.index` (each row group's byte range and xxh3-128) and
`lskd.seal` (xxh3-128 of all bytes outside the row groups, taken with its own digits as zeros). So one changed byte is
found when it is read, and reading a draw costs no more than that draw.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from operator import le
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from lskd.errors import UserError, mend
from lskd.io.atomic import atomic
from lskd.io.footer import DIGITS, Footer, Group, row_bytes, seal, vectors

Array = NDArray[Any]
Rows = tuple[Array, ...]
"""Sample indices int32 [N], labels int32 [N] and the columns of vectors [N, K], each of its dtype in the file."""

GROUP_BYTES = 1 << 28  # a Parquet page holds less than 2 GiB; larger draws take several row groups
FEATURE_ROWS = 8192
CHUNK = 1 << 22  # bytes digested while they are still in the CPU's cache
# One page for each column chunk; only `draw`, constant in a row group, has a dictionary and statistics.
PAGES = {
    "compression": "NONE",
    "use_dictionary": ["draw"],
    "write_statistics": ["draw"],
    "data_page_size": 2**31 - 1,
    "max_rows_per_page": 2**31 - 1,
}


def write_logits(
    path: Path | str,
    draws: Iterable[tuple[int, Array, Array, Array]],
    num_classes: int,
    dtype: str,
    metadata: dict[str, str],
) -> None:
    """Write (draw, samples_n, labels_n, logits_nk) after (draw, ...), one in memory at a time; atomic.

    `dtype` is "float32" or "float16", K is `num_classes`, and every draw has the same N. Raises UserError where a logit
    is beyond the range of float16, or the file cannot be written.
    """
    _write_draws(path, draws, {"logits": (num_classes, dtype)}, metadata)


def write_top_k(
    path: Path | str,
    draws: Iterable[tuple[int, Array, Array, Array, Array, Array]],
    k: int,
    temperatures: int,
    dtype: str,
    metadata: dict[str, str],
) -> None:
    """Write (draw, samples_n, labels_n, listed_nk, tail_nd, logits_nk) after (draw, ...), as `write_logits` does.

    Of each sample `listed`, int32 (Parquet's least integer), are k classes, `logits` theirs in `dtype`, and `tail`,
    float32, what the others are together at each of D = `temperatures`.
    """
    columns = {"listed": (k, "int32"), "tail": (temperatures, "float32"), "logits": (k, dtype)}
    _write_draws(path, draws, columns, metadata)


def _write_draws(
    path: Path | str, draws: Iterable[tuple[Any, ...]], columns: dict[str, tuple[int, str]], metadata: dict[str, str]
) -> None:
    seen: list[int] = []
    samples = 0
    scalars = (("sample", pa.int32()), ("draw", pa.int16()), ("label", pa.int32()))
    with _writing(path, _schema(columns, *scalars), metadata) as writer:
        for draw, samples_n, labels_n, *vectors_nk in draws:
            if draw in seen or (seen and len(samples_n) != samples):
                raise ValueError(f"draw {draw} comes twice, or has {len(samples_n)} samples unlike those before it")
            samples = len(samples_n)
            seen.append(draw)
            writer.add(draw, samples_n, labels_n, vectors_nk)
        writer.index = {"draws": seen, "samples": samples}


def write_features(
    path: Path | str, batches: Iterable[Rows], num_features: int, dtype: str, metadata: dict[str, str]
) -> None:
    """Write batches of (samples_b, labels_b, features_bh), each in row groups of at most 8192 rows; atomic.

    Raises UserError where a feature is beyond the range of float16, or the file cannot be written.
    """
    columns = (("sample", pa.int32()), ("label", pa.int32()))
    with _writing(path, _schema({"features": (num_features, dtype)}, *columns), metadata) as writer:
        for samples_b, labels_b, features_bh in batches:
            writer.add(None, samples_b, labels_b, [features_bh], FEATURE_ROWS)
        writer.index = {"draws": [], "samples": sum(group.rows for group in writer.groups)}


class _Table:
    """The rows of a file whose seal was right; what is read is verified first."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.footer = path, Footer(path, columns)
        self.taken = ["sample", "label", *self.footer.vectors]
        self.width, self.dtype, self.groups = self.footer.width, self.footer.dtype, self.footer.groups
        self.draws, self.num_samples = self.footer.draws, self.footer.num_samples
        self.metadata = self.footer.metadata

    def _rows(self, numbers: Sequence[int]) -> Rows:
        """The rows of these row groups, each verified."""
        rows = sum(self.groups[number].rows for number in numbers)
        # vectors first, to fit where the last draw was freed
        columns: list[Array] = [np.empty((rows, width), dtype) for width, dtype in self.footer.vectors.values()]
        columns, first = [np.empty(rows, np.int32), np.empty(rows, np.int32), *columns], 0
        try:
            with self.path.open("rb", buffering=0) as file:
                for number in numbers:
                    part = slice(first, first + self.groups[number].rows)
                    self._read_group(file, number, tuple(column[part] for column in columns))
                    first = part.stop
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror or error}); {mend(self.path)}") from error
        return tuple(columns)

    def _read_group(self, file: Any, number: int, out: Rows) -> None:
        """Fill `out` with the ends of its column chunks, and `ahead` with the bytes before each."""
        group, row_group = self.groups[number], self.footer.parquet.row_group(number)
        chunks = [row_group.column(self.footer.names.index(name)) for name in self.taken]
        ends = [chunk.data_page_offset + chunk.total_compressed_size for chunk in chunks]
        firsts = [end - values.nbytes for end, values in zip(ends, out, strict=True)]
        are_in_order = all(map(le, [group.start, *ends], [*firsts, group.end]))
        plain = are_in_order and all(map(_is_plain, chunks, out))
        ahead, parts, at = [], [], group.start
        for end, values in zip(ends, out, strict=True) if plain else ():
            ahead.append(bytearray(end - values.nbytes - at))
            parts += [memoryview(ahead[-1]), memoryview(values.data).cast("B")]
            at = end
        parts.append(memoryview(bytearray(group.end - at)))
        if _read_digest(file, group.start, parts) != group.digest:
            where = f"bytes {group.start} to {group.end}"
            raise UserError(f"{self.path}: {where} have changed since they were written; {mend(self.path)}")
        if not plain or not all(map(_is_one_page, chunks, out, ahead)):
            self._decode(file, number, out)

    def _decode(self, file: Any, number: int, out: Rows) -> None:
        """The same by pyarrow's decoder, for a file whose pages are cut otherwise than ours."""
        file.seek(0)
        try:
            table = pq.ParquetFile(file).read_row_group(number, columns=self.taken)
            for name, values in zip(self.taken, out, strict=True):
                column = table.column(name).combine_chunks()
                flat = column.flatten() if values.ndim == 2 else column
                values[:] = flat.to_numpy(zero_copy_only=False).reshape(values.shape)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, pa.ArrowException) as error:
            why = " ".join(str(error).split())[:200]
            raise UserError(f"{self.path}: row group {number} cannot be read ({why}); {mend(self.path)}") from None


class DrawsFile(_Table):
    """What is stored of each of `draws`; also `num_samples` (N), `width` and `dtype` of the logits, and `metadata`."""

    def read_draw(self, draw: int) -> Rows:
        """samples_n int32, labels_n int32 and the vectors (contiguous, as in the file) in the order they were written.

        Raises UserError where the draw is not in the file or one of its bytes has changed.
        """
        if draw not in self.draws:
            held = ", ".join(map(str, self.draws[:20])) or "no draw"
            raise UserError(f"{self.path}: no draw {draw}, it holds {held}; {mend(self.path)}")
        return self._rows([number for number, group in enumerate(self.groups) if group.draw == draw])


class LogitsFile(DrawsFile):
    """Logits [N, K] of each of `draws`."""

    @property
    def num_classes(self) -> int:
        return self.width


class FeaturesFile(_Table):
    """Penultimate features [N, H]; also `num_samples` (N), `width` (H), `dtype` and `metadata`."""

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
    return LogitsFile(Path(path), ["sample", "draw", "label", "logits"])


def open_top_k(path: Path | str) -> DrawsFile:
    """The same of one that `write_top_k` wrote: a draw's vectors are listed_nk, tail_nd and logits_nk."""
    return DrawsFile(Path(path), ["sample", "draw", "label", "listed", "tail", "logits"])


def place_of_tail(spec: dict[str, Any], temperature: float, path: Path) -> int:
    """Which of the temperatures of a top-k store's spec is T; UserError where it has no tail at T."""
    if temperature not in spec["temperatures"]:
        held = ", ".join(f"{each:g}" for each in spec["temperatures"])
        raise UserError(f"{path}: holds the tail at T {held}, not at {temperature:g}; {mend(path)}")
    place: int = spec["temperatures"].index(temperature)
    return place


def open_features(path: Path | str) -> FeaturesFile:
    """Raises UserError where the file is missing, damaged or not one that `write_features` wrote."""
    return FeaturesFile(Path(path), ["sample", "label", "features"])


def quantisation_error(logits_nk: Array, dtype: str, temperatures: Iterable[float]) -> dict[str, Any]:
    """What storing logits [N, K] as `dtype` costs.

    Returns {"logit": max |stored - exact|, "total_variation": {T: max over samples of
    1/2 sum_k |softmax(stored / T)_k - softmax(exact / T)_k|}}; the latter is at most logit / (2 T).
    """
    exact_nk = np.asarray(logits_nk, np.float64)
    stored_nk = exact_nk.astype(dtype).astype(np.float64)
    apart = {t: np.abs(_softmax(stored_nk / t) - _softmax(exact_nk / t)).sum(axis=1) / 2 for t in temperatures}
    return {
        "logit": float(np.abs(stored_nk - exact_nk).max(initial=0)),
        "total_variation": {t: float(apart_n.max(initial=0)) for t, apart_n in apart.items()},
    }


def _softmax(logits_nk: Array) -> Array:
    powers_nk = np.exp(logits_nk - logits_nk.max(axis=1, keepdims=True))
    return powers_nk / powers_nk.sum(axis=1, keepdims=True)


def _schema(columns: dict[str, tuple[int, str]], *scalars: tuple[str, pa.DataType]) -> pa.Schema:
    lists = []
    for name, (width, dtype) in columns.items():
        element = pa.field("element", pa.from_numpy_dtype(dtype), nullable=False)
        lists.append((name, pa.list_(element, width)))
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in (*scalars, *lists)])


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
    """Row groups on their way into a file, and what the index will say of them."""

    def __init__(self, parquet: pq.ParquetWriter, sink: _Digesting, path: Path | str) -> None:
        self.parquet, self.sink, self.path = parquet, sink, path
        self.schema, self.groups, self.index = parquet.schema, list[Group](), dict[str, Any]()
        self.vectors = vectors(self.schema)

    def add(
        self,
        draw: int | None,
        samples_n: Array,
        labels_n: Array,
        vectors_nk: Sequence[Array],
        most_rows: int = 1 << 30,
    ) -> None:
        """Append these rows, as one row group if they fit one."""
        shapes = [(len(samples_n), width) for width, _ in self.vectors.values()]
        if [each.shape for each in vectors_nk] != shapes or len(labels_n) != len(samples_n):
            given = ", ".join(str(each.shape) for each in vectors_nk)
            raise ValueError(f"{len(samples_n)} samples and {len(labels_n)} labels with vectors {given}")
        stored = [self._stored(*each) for each in zip(vectors_nk, self.vectors.values(), strict=True)]
        rows = max(1, min(most_rows, GROUP_BYTES // max(1, row_bytes(self.vectors))))
        for first in range(0, len(samples_n), rows):
            part = slice(first, first + rows)
            self._add_group(draw, samples_n[part], labels_n[part], [each[part] for each in stored])

    def _stored(self, vectors_nk: Array, kind: tuple[int, np.dtype]) -> Array:
        with np.errstate(over="ignore"):
            stored_nk = np.ascontiguousarray(vectors_nk, kind[1])
        if kind[1] == np.float16 and (np.isinf(stored_nk) & np.isfinite(vectors_nk)).any():
            largest = np.abs(vectors_nk[np.isfinite(vectors_nk)]).max()
            raise UserError(f"{self.path}: a value of size {largest:g} is beyond float16 (65504); set dtype: float32")
        return stored_nk

    def _add_group(self, draw: int | None, samples_n: Array, labels_n: Array, vectors_nk: list[Array]) -> None:
        start, rows = self.sink.size, len(samples_n)
        columns = {
            "sample": _column(samples_n, pa.int32()),
            "draw": _column(np.full(rows, draw or 0), pa.int16()),
            "label": _column(labels_n, pa.int32()),
        }
        for name, values_nk in zip(self.vectors, vectors_nk, strict=True):
            kind = self.schema.field(name).type
            columns[name] = pa.FixedSizeListArray.from_arrays(_column(values_nk, kind.value_type), type=kind)
        table = pa.table([columns[name] for name in self.schema.names], schema=self.schema)
        self.parquet.write_table(table, row_group_size=rows)
        self.groups.append(Group(draw, rows, start, self.sink.size, self.sink.take()))


def _column(values: Array, kind: pa.DataType) -> pa.Array:
    """A column of an array's values, which it shares; `pa.array` would import pandas, a seventh of a job's time."""
    values = np.ascontiguousarray(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, values.size, [None, pa.py_buffer(values)])


@contextmanager
def _writing(path: Path | str, schema: pa.Schema, metadata: dict[str, str]) -> Iterator[_Writer]:
    """A writer of row groups, whose footer is then sealed; atomic."""
    with atomic(path) as tmp, tmp.open("w+b") as file:
        sink = _Digesting(file)
        with pq.ParquetWriter(sink, schema, **PAGES) as parquet:
            sink.take()
            writer = _Writer(parquet, sink, path)
            yield writer
            index = writer.index | {"groups": [astuple(group) for group in writer.groups]}
            texts = {"lskd": json.dumps(metadata), "lskd.index": json.dumps(index), "lskd.seal": "0" * DIGITS}
            parquet.add_key_value_metadata(texts)
        seal(file)


def _read_digest(file: Any, start: int, parts: list[memoryview]) -> str:
    """Fill `parts` with the file's bytes from `start` on, and digest them; a short file leaves another digest."""
    digest = xxhash.xxh3_128()
    file.seek(start)
    for part in parts:
        done = 0
        while done < len(part) and (count := file.readinto(part[done : done + CHUNK])):
            digest.update(part[done : done + count])
            done += count
    return digest.hexdigest()


def _is_plain(chunk: Any, values: Array) -> bool:
    """Whether, by the footer, a column chunk holds these many values as they lie in memory."""
    # not chunk.compression: of a number that stands for no codec, pyarrow (26) ends the process
    plain = chunk.total_compressed_size == chunk.total_uncompressed_size and not chunk.has_dictionary_page
    plain = plain and set(chunk.encodings) <= {"PLAIN", "RLE"} and chunk.num_values == values.size
    return plain and chunk.total_compressed_size > values.nbytes


def _is_one_page(chunk: Any, values: Array, ahead: bytearray) -> bool:
    """Whether the first page holds all values, by its header (Thrift compact: type 0, then its size in zigzag)."""
    from_end = chunk.total_compressed_size - values.nbytes
    header, size = ahead[-from_end:], 0
    if header[:3] != b"\x15\x00\x15":
        return False
    for place, byte in enumerate(header[3:8]):
        size |= (byte & 127) << (7 * place)
        if byte < 128:
            break
    return size >> 1 >= values.nbytes
