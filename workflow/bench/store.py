"""Bytes a sample, write and read speed of the logits store, beside numpy.save/load and one file a sample.

MB/s counts the bytes of the logits alone (10^6), though the store also holds sample, draw and label, and digests what
it writes and reads. Reads are from a hot page cache. Each round times every way once, in a shuffled order; shown are
the median, least and most of the rounds, and the median of the rounds' ratios of speed (way / NumPy).
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.io.store import open_logits, write_logits

SIZES = ((54_000, 10), (50_000, 100), (10_000, 1000))
DTYPES = ("float32", "float16")
FILES = 500  # one file a sample is timed on so many samples
BASE = {"store": "numpy", "store, fsync": "numpy, fsync", "store, with open": "numpy", "one file a sample": "numpy"}

Ways = dict[str, Callable[[], Any]]


def main() -> None:
    """Print the table; with --json, write it too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (default: the temporary folder)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print(f"{'logits':22} {'way':28} {'B/sample':>8} {'MB/s':>8} {'least':>8} {'most':>8} {'/ NumPy':>8}")
    for samples, classes in SIZES:
        for dtype in DTYPES:
            with tempfile.TemporaryDirectory(dir=options.dir) as folder:
                for row in measured(Path(folder), samples, classes, dtype, options.rounds):
                    print(line(row), flush=True)
                    rows.append(row)
    print(f"One file a sample: {FILES} samples, no fsync. Others: fsync only where it is said.")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def measured(folder: Path, samples: int, classes: int, dtype: str, rounds: int) -> list[dict[str, Any]]:
    """One row for each way to write, then to read, one draw of [samples, classes] logits."""
    logits_nk = np.random.default_rng(0).normal(0, 5, (samples, classes)).astype(dtype)
    ids_n, labels_n = np.arange(samples, dtype=np.int32), np.arange(samples, dtype=np.int32) % classes
    ours, theirs, many = folder / "ours.parquet", folder / "theirs.npy", folder / "many"

    def store() -> None:
        write_logits(ours, [(0, ids_n, labels_n, logits_nk)], classes, dtype, {})

    def store_unsynced() -> None:
        with mock.patch("os.fsync"):
            store()

    def numpy_synced() -> None:
        with theirs.open("wb") as file:
            np.save(file, logits_nk)
            file.flush()
            os.fsync(file.fileno())

    def write_many() -> None:
        shutil.rmtree(many, ignore_errors=True)
        many.mkdir()
        for sample in range(FILES):
            np.save(many / f"{sample}.npy", logits_nk[sample])

    writing: Ways = {
        "numpy": lambda: np.save(theirs, logits_nk),
        "store": store_unsynced,
        "numpy, fsync": numpy_synced,
        "store, fsync": store,
        "one file a sample": write_many,
    }
    rows = timed("write", writing, logits_nk, rounds)
    opened = open_logits(ours)
    reading: Ways = {
        "numpy": lambda: np.load(theirs),
        "store": lambda: opened.read_draw(0)[2],
        "store, with open": lambda: open_logits(ours).read_draw(0)[2],
        "one file a sample": lambda: np.stack([np.load(many / f"{sample}.npy") for sample in range(FILES)]),
    }
    for read in reading.values():
        np.testing.assert_array_equal(actual := read(), logits_nk[: len(actual)])
    rows += timed("read", reading, logits_nk, rounds)
    sizes = {"numpy": theirs.stat().st_size / samples, "store": ours.stat().st_size / samples}
    sizes["one file a sample"] = sum(file.stat().st_size for file in many.iterdir()) / FILES
    named = {"samples": samples, "classes": classes, "dtype": dtype}
    return [named | row | {"bytes_per_sample": sizes[row["way"].split(",")[0]]} for row in rows]


def timed(action: str, ways: Ways, logits_nk: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    """Speeds of each way, in MB of logits a second."""
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way in random.Random(number).sample(list(ways), len(ways)):
            start = time.perf_counter()
            kept = ways[way]()
            seconds = time.perf_counter() - start
            del kept
            share = FILES / len(logits_nk) if way == "one file a sample" else 1
            if number:  # the first round warms up
                speeds[way].append(logits_nk.nbytes * share / seconds / 1e6)
    return [row(action, way, speeds) for way in ways]


def row(action: str, way: str, speeds: dict[str, list[float]]) -> dict[str, Any]:
    """Median, least and most of a way's speeds, and its ratio to NumPy."""
    actual = {"median": statistics.median(speeds[way]), "least": min(speeds[way]), "most": max(speeds[way])}
    against = [ours / theirs for ours, theirs in zip(speeds[way], speeds[BASE.get(way, way)], strict=True)]
    return {"action": action, "way": way, "mb_per_s": actual, "to_numpy": statistics.median(against)}


def line(row: dict[str, Any]) -> str:
    """A row of the printed table."""
    logits, way = f"{row['samples']}x{row['classes']} {row['dtype']}", f"{row['action']} {row['way']}"
    speeds = " ".join(f"{row['mb_per_s'][key]:8.1f}" for key in ("median", "least", "most"))
    return f"{logits:22} {way:28} {row['bytes_per_sample']:8.1f} {speeds} {row['to_numpy']:8.3f}"


if __name__ == "__main__":
    main()
