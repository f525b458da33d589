"""What a training writes: its history, readable while it trains; its weights; and its checkpoints when they are due."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lskd.io.atomic import write_text
from lskd.io.tensors import write_tensors
from lskd.jobs.work import Work
from lskd.training import checkpoint
from lskd.training.checkpoint import Stop

HISTORY = "history.jsonl"
Row = dict[str, Any]
Tensors = dict[str, torch.Tensor]


def write_history(folder: Path, rows: list[Row]) -> None:
    """All rows so far, as JSON lines."""
    write_text(folder / HISTORY, "".join(map(_line, rows)))


def append_history(folder: Path, row: Row) -> None:
    """One more row, for those who watch; at the end the file is written whole."""
    with (folder / HISTORY).open("a") as file:
        file.write(_line(row))


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"


def write_run(work: Work, rows: list[Row], best: Tensors, snapshots: Tensors, model: Tensors) -> None:
    """A run's files, each saying of itself what it is."""
    write_history(work.folder, rows)
    for name, tensors in {"best": best, "snapshots": snapshots, "model": model}.items():
        write_tensors(work.folder / f"{name}.safetensors", tensors, work.origin)


class Saver:
    """When a checkpoint is due, and what a signal to stop means.

    `state` gives all that a resumed training needs, `place` how far it is, in the words of a log.
    """

    def __init__(
        self, work: Work, key: dict[str, str], stop: Stop, state: Callable[[], Row], place: Callable[[], str]
    ) -> None:
        self.work, self.key, self.stop, self.state, self.place = work, key, stop, state, place
        self.every = work.runtime.checkpoint_minutes * 60
        self.saved = time.monotonic()

    def save(self) -> None:
        """Write a checkpoint."""
        checkpoint.save(self.work.folder, self.key, self.state())
        self.saved = time.monotonic()

    def after(self, is_stock_taken: bool) -> None:
        """What follows a step: every so many minutes a checkpoint; without such a number, one whenever stock is taken.

        Raises SystemExit of the signal's status where one asked to stop.
        """
        is_due = time.monotonic() - self.saved >= self.every if self.every else is_stock_taken
        if self.stop.asked or is_due:
            self.save()
        if self.stop.asked:
            print(
                f"error: {self.work.title}: {self.stop.words} after {self.place()}; run again to go on from there",
                file=sys.stderr,
                flush=True,
            )
            raise SystemExit(self.stop.exit_status)
