"""How far a training is: a bar on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 10.0


class Report:
    """What a training says of itself on stderr; `bar` is None where nobody watches a terminal."""

    def __init__(self, title: str, epochs: int, steps: int, done: int, bar: Progress | None) -> None:
        self._title, self._epochs, self._steps, self._bar = title, epochs, steps, bar
        self._first, self._said = done, 0.0
        self._started = time.monotonic()
        self._task = bar.add_task(title, total=steps, completed=done, numbers="") if bar else None

    def step(self, done: int) -> None:
        """Tell that `done` steps are done; cheap enough for every step."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done)

    def epoch(self, epoch: int, done: int, loss: float, val_top1: float) -> None:
        """Tell the numbers of a finished epoch (from 1), after `done` steps."""
        numbers = f"epoch {epoch}/{self._epochs} loss {loss:.4g} val top1 {val_top1:.2%}"
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, numbers=numbers)
            return
        now = time.monotonic()
        if epoch in (1, self._epochs) or now - self._said >= _LINE_SECONDS:
            self._said = now
            left = (self._steps - done) * (now - self._started) / max(1, done - self._first)
            print(f"{self._title}: {numbers} ETA {left:.0f} s", file=sys.stderr, flush=True)


@contextmanager
def report(title: str, epochs: int, steps: int, done: int) -> Iterator[Report]:
    """Report on a training of `epochs` epochs and `steps` steps of which `done` are done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Report(title, epochs, steps, done, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=2) as bar:
        yield Report(title, epochs, steps, done, bar)
