"""A Hugging Face data set of images on disk, as lskd/data/hf_layout.py says, read with pyarrow alone."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lskd.data import memory
from lskd.data.arrays import Arrays, Samples
from lskd.data.decode import EncodedSource, check_memory
from lskd.data.hf_layout import hf_files
from lskd.data.split import with_test
from lskd.errors import UserError

_GROUPS = 4  # row groups held at a time while they are read in order


@dataclass(frozen=True)
class Columns:
    """The columns that are read, by name, and the class names, None where the data set tells none."""

    image: str
    label: str
    classes: tuple[str, ...] | None


@dataclass(frozen=True)
class Group:
    """Some rows of a file: its first one by number in the file, how many, and a function that reads a column of them.

    Of a struct, it may read no more than one field: read("image", "path").
    """

    file: Path
    first: int
    rows: int
    read: Callable[[str, str], pa.ChunkedArray]


def load(
    root: Path, *, workers: int, image_size: int, test_fraction: float | None = None, stream: bool = False
) -> Arrays:
    """List the images of a data set, to be decoded as RGB [3, image_size, image_size].

    The image is the column of the feature Image, the label that of a ClassLabel, else the integers of `label`. Without
    a test or validation split, a fixed, stratified `test_fraction` becomes test. With `stream` they stay encoded.
    """
    files = hf_files(root)
    columns = _columns([path for paths in files.values() for path in paths])
    parts = {split: _samples(paths, columns, root, image_size, stream) for split, paths in files.items()}
    if not stream:
        check_memory(sum(len(samples) for samples in parts.values()), image_size)
    count = sum(len(samples) for samples in parts.values())
    largest = max(int(samples.labels.max(initial=-1)) for samples in parts.values())
    classes = columns.classes or tuple(str(label) for label in range(min(largest, count) + 1))
    return with_test(root, parts, classes, test_fraction)


def _samples(files: list[Path], columns: Columns, root: Path, image_size: int, stream: bool) -> Samples:
    groups = [group for file in files for group in _groups(file)]
    labels, names = [], []
    for group in groups:
        labels.append(_labels(group, columns.label))
        names += _names(group, columns.image, root)
    joined = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    source = EncodedSource(_reader(groups, columns.image), np.arange(len(joined)), root, image_size, stream)
    return Samples(source, joined, names)


def _groups(file: Path) -> list[Group]:
    """The rows of a file in groups that are read at once: a Parquet file's own, a record batch of an Arrow file."""
    with _reading(file):
        if file.suffix.lower() == ".parquet":
            return _parquet_groups(file)
        table = pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
        table.validate(full=True)  # else an offset that leads out of the file ends the process
        batches = table.to_batches()
    sizes = [batch.num_rows for batch in batches]
    firsts = np.cumsum([0, *sizes]).tolist()

    return [
        Group(file, first, size, _batch_reader(batch))
        for first, size, batch in zip(firsts, sizes, batches, strict=False)
    ]


def _batch_reader(batch: pa.RecordBatch) -> Callable[[str, str], pa.ChunkedArray]:
    def read(column: str, field: str) -> pa.ChunkedArray:
        return pa.chunked_array([batch.column(column)])

    return read


def _parquet_groups(file: Path) -> list[Group]:
    metadata = pq.read_metadata(file)
    groups, first = [], 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if group.total_byte_size > memory.available():
            raise UserError(
                f"{file}: rows {first} to {first + group.num_rows - 1} take {group.total_byte_size / 1e9:,.1f} GB of "
                "memory; write it with smaller row groups"
            )
        groups.append(Group(file, first, group.num_rows, _parquet_reader(file, number, group.num_rows)))
        first += group.num_rows
    return groups


def _parquet_reader(file: Path, number: int, rows: int) -> Callable[[str, str], pa.ChunkedArray]:
    def read(column: str, field: str) -> pa.ChunkedArray:
        with pq.ParquetFile(file) as parquet:
            table = parquet.read_row_group(number, columns=[f"{column}.{field}" if field else column])
        if len(table) != rows:
            raise ValueError(f"{column} has {len(table)} rows in a group of {rows}")
        return table.column(column)

    return read


def _labels(group: Group, column: str) -> np.ndarray:
    with _reading(group.file):
        labels = group.read(column, "").combine_chunks()
    if labels.null_count:
        raise UserError(f"{group.file}: {column} has {labels.null_count} empty values; leave those rows out")
    return labels.to_numpy(zero_copy_only=False).astype(np.int64)


def _names(group: Group, column: str, root: Path) -> list[str]:
    """The file and row of each image, and the name that the data set gives it."""
    with _reading(group.file):
        images = group.read(column, "path")
        paths = [path for chunk in images.chunks for path in chunk.field("path").to_pylist()]
    place = group.file.relative_to(root).as_posix()
    return [f"{place}#{group.first + row}" + (f" {path}" if path else "") for row, path in enumerate(paths)]


def _reader(groups: list[Group], column: str) -> Callable[[Sequence[int]], list[bytes]]:
    """A function that gives the bytes of images by number; a few groups are kept, for most calls come in order."""
    starts = np.cumsum([0, *(group.rows for group in groups)])
    lock = Lock()

    @lru_cache(_GROUPS)
    def images(number: int) -> pa.ChunkedArray:
        with _reading(groups[number].file):
            return groups[number].read(column, "")

    def read(numbers: Sequence[int]) -> list[bytes]:
        contents = []
        with lock:
            for number in numbers:
                place = int(np.searchsorted(starts, number, side="right")) - 1
                row = number - int(starts[place])
                contents.append(_bytes(images(place)[row], groups[place], row))
        return contents

    return read


def _bytes(image: pa.StructScalar, group: Group, row: int) -> bytes:
    content = image["bytes"].as_py() if image.is_valid else None
    if content is None:
        path = image["path"].as_py() if image.is_valid else None
        what = f"only the path {path!r}, no image" if path else "no image"
        raise UserError(
            f"{group.file}: row {group.first + row} holds {what}; write the data set with save_to_disk, which puts the "
            "images into its files"
        )
    return content


def _columns(files: list[Path]) -> Columns:
    """The columns to read, which must be those of every file."""
    columns: dict[Columns, Path] = {}
    for file in files:
        columns.setdefault(_columns_of(file), file)
    if len(columns) > 1:
        first, second = list(columns.values())[:2]
        raise UserError(
            f"{second}: its image and label columns or its classes are not those of {first}; write both anew"
        )
    return next(iter(columns))


def _columns_of(file: Path) -> Columns:
    with _reading(file):
        if file.suffix.lower() == ".parquet":
            schema = pq.read_schema(file)
        else:
            schema = pa.ipc.open_stream(pa.memory_map(str(file))).schema
        features = _features(schema)  # all within: pyarrow decodes a name when it is asked for
        label = _label_column(file, schema, features)
        return Columns(_image_column(file, schema, features), label, _class_names(features.get(label, {})))


def _class_names(feature: dict[str, Any]) -> tuple[str, ...] | None:
    names = feature.get("names")
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What the `datasets` library notes of each column; none where it did not write the file."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: feature for name, feature in features.items() if isinstance(feature, dict) and name in schema.names
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _image_column(file: Path, schema: pa.Schema, features: dict[str, dict[str, Any]]) -> str:
    structs = [field.name for field in schema if _is_image(field.type)]
    images = [name for name in structs if features.get(name, {}).get("_type") == "Image"] or structs
    if len(images) != 1:
        what = f"{len(images)} columns of images ({', '.join(images)})" if images else "no column of images"
        raise UserError(
            f"{file}: {what} among {', '.join(schema.names)}; one of the feature datasets.Image, a struct of bytes and "
            "path, is needed: use remove_columns or cast_column"
        )
    return images[0]


def _is_image(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return False
    fields = {kind.field(number).name: kind.field(number).type for number in range(kind.num_fields)}
    content = fields.get("bytes")
    return (
        "path" in fields and content is not None and (pa.types.is_binary(content) or pa.types.is_large_binary(content))
    )


def _label_column(file: Path, schema: pa.Schema, features: dict[str, dict[str, Any]]) -> str:
    integers = [field.name for field in schema if pa.types.is_integer(field.type)]
    labels = [name for name in integers if features.get(name, {}).get("_type") == "ClassLabel"]
    labels = labels or [name for name in integers if name in ("label", "labels")]
    if len(labels) != 1:
        what = f"{len(labels)} columns of labels ({', '.join(labels)})" if labels else "no column of integer labels"
        raise UserError(
            f"{file}: {what} among {', '.join(schema.names)}; one of the feature datasets.ClassLabel, or integers "
            "called label, is needed: use remove_columns or class_encode_column"
        )
    return labels[0]


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn what pyarrow raises on a damaged file into the line for it."""
    try:
        yield
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: cannot be read ({reason}); replace it by a whole copy") from error
