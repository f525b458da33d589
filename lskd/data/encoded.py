"""images.arrow: the encoded images of a streamed data set, one row an image. No torch.

An uncompressed Arrow IPC file, whose reading copies nothing but the bytes asked for. Its rows are those of train, val
and test in this order, each by sample. A data set that is held in memory has no rows here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lskd.errors import UserError, mend

FILE = "images.arrow"
SPLITS = ("train", "val", "test")
SCHEMA = pa.schema(
    [
        ("split", pa.dictionary(pa.int8(), pa.string())),
        ("sample", pa.int32()),
        ("bytes", pa.large_binary()),
        ("name", pa.string()),
    ]
)
_BATCH_BYTES, _BATCH_ROWS = 1 << 25, 4096


class Writer:
    """Rows on their way into images.arrow, gathered into batches of some MB."""

    def __init__(self, sink: Any) -> None:
        self.sink = sink
        self._split, self._first = SPLITS[0], 0
        self._contents: list[bytes] = []
        self._names: list[str] = []

    def add(self, split: str, sample: int, contents: list[bytes], names: list[str]) -> None:
        """Append images of a split, the first of which is its sample number `sample`."""
        if split != self._split:
            self.flush()
        if not self._contents:
            self._split, self._first = split, sample
        self._contents += contents
        self._names += names
        if len(self._contents) >= _BATCH_ROWS or sum(map(len, self._contents)) >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        count = len(self._contents)
        if count:
            codes = pa.array([SPLITS.index(self._split)] * count, pa.int8())
            columns = [
                pa.DictionaryArray.from_arrays(codes, pa.array(SPLITS)),
                pa.array(range(self._first, self._first + count), pa.int32()),
                pa.array(self._contents, pa.large_binary()),
                pa.array(self._names, pa.string()),
            ]
            self.sink.write_batch(pa.record_batch(columns, schema=SCHEMA))
        self._contents, self._names = [], []


@contextmanager
def writer(path: Path) -> Iterator[Writer]:
    """Write an images.arrow; the same images give the same bytes."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as sink:
        rows = Writer(sink)
        yield rows
        rows.flush()


class EncodedImages:
    """The images of an images.arrow, mapped into memory; for reading from several threads too.

    Raises UserError where the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            file = pa.ipc.open_file(pa.memory_map(str(path)))
            batches = [file.get_batch(number) for number in range(file.num_record_batches)]
            for batch in batches:
                batch.column("split").validate(full=True)  # else a number of no name may end the process
            self._contents = [_binary(batch.column("bytes")) for batch in batches]
            splits = [SPLITS[SPLITS.index(batch.column("split")[0].as_py())] for batch in batches]
        except (OSError, KeyError, IndexError, TypeError, ValueError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path}: missing or damaged images ({reason}); {mend(path)}") from error
        self._ends = np.cumsum([len(offsets) - 1 for offsets, _ in self._contents], dtype=np.int64)
        self._counts = dict.fromkeys(SPLITS, 0)
        for split, batch in zip(splits, batches, strict=True):
            self._counts[split] += batch.num_rows

    def samples(self, split: str) -> int:
        """The number of images of a split."""
        return self._counts[split]

    def read(self, split: str, indices: Sequence[int] | np.ndarray) -> list[bytes]:
        """The encoded images of some samples of a split, in the order of `indices`, each 0 to samples(split) - 1."""
        indices = np.asarray(indices, dtype=np.int64)
        if len(indices) and not 0 <= indices.min() <= indices.max() < self._counts[split]:
            raise IndexError(f"{split} has samples 0 to {self._counts[split] - 1}")
        before = sum(self._counts[name] for name in SPLITS[: SPLITS.index(split)])
        rows = indices + before
        batches = np.searchsorted(self._ends, rows, side="right")
        return [self._content(int(batch), int(row)) for batch, row in zip(batches, rows, strict=True)]

    def _content(self, batch: int, row: int) -> bytes:
        offsets, content = self._contents[batch]
        place = row - int(self._ends[batch]) + len(offsets) - 1
        return bytes(content[offsets[place] : offsets[place + 1]])


def _binary(column: pa.Array) -> tuple[np.ndarray, memoryview]:
    """Offsets (int64 [N + 1]) and bytes of a large_binary column without nulls that begins at its buffers' start."""
    if column.type != pa.large_binary() or column.null_count or column.offset:
        raise ValueError("no column of images")
    _, offsets, content = column.buffers()
    return np.frombuffer(offsets, np.int64, len(column) + 1), memoryview(content)
