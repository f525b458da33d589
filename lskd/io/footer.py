"""The end of a store's file: its seal, and what it says of the rest. A seal finds damage; a stranger can make one too,
so what stands under it is judged before anything is read, or memory taken, by it.
"""

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from lskd.errors import UserError, mend

MAGIC = b"PAR1"
DIGITS = 32
SEAL = b"lskd.seal\x18\x20"  # key, then Thrift's mark of a string of 32 bytes: JSON text cannot hold these
MOST_TIMES = 64  # as many bytes a row group's vectors may take in memory, against those in the file
NUMBERS = (np.dtype(np.float16), np.dtype(np.float32))
Vectors = dict[str, tuple[int, np.dtype]]
"""Of each column of vectors, in their order, length and dtype."""


@dataclass(frozen=True)
class Group:
    """A row group: its rows, its bytes [start, end) in the file and their digest; `draw` is None for features."""

    draw: int | None
    rows: int
    start: int
    end: int
    digest: str


class Footer:
    """What a file whose seal is right says of itself.

    Raises UserError where the file is missing, damaged, of other columns than these, or says what cannot be.
    """

    def __init__(self, path: Path, columns: list[str]) -> None:
        outside, footer_start = _verified(path)
        try:
            self.parquet = pq.read_metadata(pa.BufferReader(outside))
            schema, texts = self.parquet.schema.to_arrow_schema(), self.parquet.metadata
            self.names = schema.names
            if self.names == columns:
                self.vectors = vectors(schema)
                self.width, self.dtype = self.vectors[self.names[-1]]
                self.metadata: dict[str, Any] = json.loads(texts[b"lskd"])
                self._take_index(json.loads(texts[b"lskd.index"]), footer_start)
        except UserError:
            raise
        except Exception as error:  # pyarrow and json name no class for what a foreign footer may raise
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
            raise UserError(f"{path}: its footer is none that lskd writes ({why}); {mend(path)}") from None
        if self.names != columns:
            own, wanted = ", ".join(self.names)[:200], ", ".join(columns)
            raise UserError(f"{path}: its columns are {own}, not {wanted}; {mend(path)}")
        edges = [len(MAGIC), *(edge for group in self.groups for edge in (group.start, group.end)), footer_start]
        if edges[::2] != edges[1::2]:
            raise UserError(f"{path}: has bytes that no digest covers; {mend(path)}")

    def _take_index(self, index: dict[str, Any], footer_start: int) -> None:
        self.draws, self.num_samples = tuple[int, ...](index["draws"]), int(index["samples"])
        self.groups = [Group(*fields) for fields in index["groups"]]
        if len(self.groups) != self.parquet.num_row_groups or not all(type(draw) is int for draw in self.draws):
            raise ValueError("its index is not of its row groups")
        for number, group in enumerate(self.groups):
            numbers = (group.rows, group.start, group.end)
            if not all(type(each) is int and each >= 0 for each in numbers) or group.end > footer_start:
                raise ValueError(f"row group {number} is told by no numbers of this file")
            size = group.rows * row_bytes(self.vectors)
            if group.rows != self.parquet.row_group(number).num_rows or size > MOST_TIMES * (group.end - group.start):
                raise ValueError(f"row group {number} holds no {group.rows} rows")


def vectors(schema: pa.Schema) -> Vectors:
    """The vectors: the last columns, the last of floats; ValueError where columns are of other types."""
    kinds = {field.name: field.type for field in schema if not pa.types.is_integer(field.type)}
    are_lists = all(pa.types.is_fixed_size_list(kind) for kind in kinds.values())
    if not kinds or not are_lists or [*kinds] != schema.names[-len(kinds) :]:
        raise ValueError(f"columns of type {', '.join(map(str, schema.types))}")
    columns = {name: (kind.list_size, np.dtype(kind.value_type.to_pandas_dtype())) for name, kind in kinds.items()}
    for name, (width, dtype) in columns.items():
        if dtype not in (NUMBERS if name == schema.names[-1] else (*NUMBERS, np.dtype(np.int32))) or width < 0:
            raise ValueError(f"vectors of type {kinds[name]}")
    return columns


def row_bytes(columns: Vectors) -> int:
    """What the vectors of a row take in memory."""
    return sum(width * dtype.itemsize for width, dtype in columns.values())


def seal(file: BinaryIO) -> None:
    """Put the digest of all that lies outside the row groups in the place of its zeros."""
    file.flush()
    outside, footer_start = _outside(file)
    file.seek(footer_start - len(MAGIC) + seal_at(outside))
    file.write(sealed(outside).encode())


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


def seal_at(outside: bytes) -> int:
    """Where the seal's digits start. ValueError where there is none."""
    place = outside.find(SEAL)
    if place < 0:
        raise ValueError("its footer carries no lskd seal, so it was written by something else or is damaged")
    return place + len(SEAL)


def sealed(outside: bytes) -> str:
    """The digits of a seal that fits, whatever stands in their place."""
    at = seal_at(outside)
    return xxhash.xxh3_128(outside[:at] + b"0" * DIGITS + outside[at + DIGITS :]).hexdigest()


def _verified(path: Path) -> tuple[bytes, int]:
    """The bytes outside the row groups, after their seal was compared and before anything parses them."""
    try:
        with path.open("rb") as file:
            outside, footer_start = _outside(file)
        at = seal_at(outside)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{path}: cannot be read ({why}); {mend(path)}") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}; {mend(path)}") from error
    if outside[at : at + DIGITS] != sealed(outside).encode():
        raise UserError(f"{path}: its footer has changed since it was written; {mend(path)}")
    return outside, footer_start
