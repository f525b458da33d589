"""What a running job says of itself: a bar on a terminal, else a line now and then, and a file that others read.

The file (`results/.running/ADDRESS.json`) is read by `lskd.jobs.live`.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

FOLDER = "results/.running"
TICK_SECONDS = 1.0
LINE_SECONDS = 10.0


@dataclass(frozen=True)
class Words:
    """What a kind of training counts, and its number on val: the key in the status file, the words, the format."""

    unit: str
    samples: str
    val: str
    val_words: str
    val_format: str


IMAGES = Words("epoch", "images", "val_top1", "val top1", ".2%")
TOKENS = Words("update", "tokens", "val_nll", "val NLL", ".4g")


class StatusFile:
    """A job's own file among those of the running jobs. That it cannot be written stops nothing."""

    def __init__(self, title: str, address: str) -> None:
        folder = Path(os.environ.get("LSKD_RUNNING", FOLDER)).absolute()
        self._path, self._tmp = folder / f"{address}.json", folder / f".{address}.tmp"
        pid = os.getpid()
        self._job = {"title": title, "address": address, "host": socket.gethostname(), "pid": pid}
        self._job |= {"birth": process_birth(pid), "started": time.time()}

    def write(self, progress: dict[str, Any] | None = None) -> None:
        """Replace the file by one of this moment. No fsync: after a crash it is worth nothing."""
        content = {**self._job, "updated": time.time(), **(progress or {})}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)  # a third of Path.write_text
            try:
                os.write(handle, json.dumps(content).encode())
            finally:
                os.close(handle)
            self._tmp.replace(self._path)
        except OSError:
            with suppress(OSError):
                self._tmp.unlink()

    def remove(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._path.unlink()


def step_of(address: str) -> int | None:
    """The step that a training of this host last said it was at; None where it says none."""
    path = Path(os.environ.get("LSKD_RUNNING", FOLDER)) / f"{address}.json"
    try:
        step = json.loads(path.read_text()).get("step")
    except (OSError, ValueError, AttributeError):
        return None
    return step if isinstance(step, int) else None


_open: dict[str, StatusFile] = {}  # by address: a training reports within a job that runs, on the same file


@contextmanager
def running(title: str, address: str) -> Iterator[StatusFile]:
    """Say that a job runs, for as long as it does."""
    if address in _open:
        yield _open[address]
        return
    file = _open[address] = StatusFile(title, address)
    try:
        file.write()
        yield file
    finally:
        del _open[address]
        file.remove()


class Report:
    """What a training says of itself; `bar` is None where nobody watches a terminal."""

    def __init__(
        self,
        title: str,
        epochs: int,
        steps: int,
        done: int,
        samples_per_step: int,
        file: StatusFile,
        bar: "Progress | None" = None,
        words: Words = IMAGES,
    ) -> None:
        self._words = words
        self._title, self._epochs, self._steps, self._samples = title, epochs, steps, samples_per_step
        self._first, self._file, self._bar = done, file, bar
        self._task = bar.add_task(title, total=steps, completed=done, numbers="") if bar else None
        self._loss: float | None = None
        self._val: float | None = None
        self._began: tuple[float, int] | None = None  # after the first step, which compiles and warms up: (when, step)
        self._due = 0.0
        self._printed, self._lines = time.monotonic(), 0
        self._written = time.monotonic()
        file.write(self._progress(done, self._written))

    def step(self, done: int) -> None:
        """Say that `done` steps are done; cheap enough for every step."""
        now = time.monotonic()
        if now >= self._due:
            self._tick(done, now)

    def epoch(self, epoch: int, done: int, loss: float, val: float) -> None:
        """Say the numbers of a finished epoch (from 1), or of an update, after `done` steps."""
        self._loss, self._val = loss, val
        now = time.monotonic()
        is_due = not self._lines or epoch == self._epochs or now - self._printed >= LINE_SECONDS - TICK_SECONDS
        self._say(epoch, done, now, is_due)

    def _tick(self, done: int, now: float) -> None:
        """What a step does once a second."""
        self._due = now + TICK_SECONDS
        if self._began is None:
            self._began = now, done
        self._say(self._epoch(done), done, now, now - self._printed >= LINE_SECONDS - TICK_SECONDS)

    def _say(self, epoch: int, done: int, now: float, is_line_due: bool) -> None:
        if now - self._written >= TICK_SECONDS:
            self._written = now
            self._file.write(self._progress(done, now))
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, numbers=self._numbers(epoch, done, now))
        elif is_line_due:
            self._printed, self._lines = now, self._lines + 1
            left = self._seconds_left(done, now)
            eta = "" if left is None else f" ETA {duration(left)}"
            with suppress(OSError):  # a log on a full disk
                print(f"{self._title}: {self._numbers(epoch, done, now)}{eta}", file=sys.stderr, flush=True)

    def _numbers(self, epoch: int, done: int, now: float) -> str:
        words = self._words
        parts = [f"{words.unit} {epoch}/{self._epochs}"]
        if self._loss is not None:
            parts.append(f"loss {self._loss:.4g} {words.val_words} {self._val:{words.val_format}}")
        if speed := self._steps_per_second(done, now):
            parts.append(f"{speed * self._samples:,.0f} {words.samples}/s")
        return " ".join(parts)

    def _progress(self, done: int, now: float) -> dict[str, Any]:
        speed, left = self._steps_per_second(done, now), self._seconds_left(done, now)
        return {
            "first_step": self._first,  # what an earlier process did
            "step": done,
            "steps": self._steps,
            self._words.unit: self._epoch(done),
            f"{self._words.unit}s": self._epochs,
            "loss": self._loss,
            self._words.val: self._val,
            f"{self._words.samples}_per_second": speed and round(speed * self._samples, 1),
            "seconds_left": left and round(left, 1),
        }

    def _epoch(self, done: int) -> int:
        """The epoch (from 1) that is under way after `done` steps; of updates, how many are done."""
        if self._words.unit == "update":
            return done
        return min(self._epochs, done * self._epochs // max(1, self._steps) + 1)

    def _steps_per_second(self, done: int, now: float) -> float | None:
        """Of this process, all that it does between steps included; None until it is known."""
        if self._began is None:
            return None
        began, first = self._began
        return (done - first) / (now - began) if now > began and done > first else None

    def _seconds_left(self, done: int, now: float) -> float | None:
        speed = self._steps_per_second(done, now)
        return (self._steps - done) / speed if speed else None


@contextmanager
def report(
    title: str, address: str, epochs: int, steps: int, done: int, samples_per_step: int, words: Words = IMAGES
) -> Iterator[Report]:
    """Report on a training of `epochs` epochs and `steps` steps of which `done` are done, in the words of its kind."""
    display = _bar() if on_terminal(sys.stderr) else nullcontext()
    with running(title, address) as file, display as bar:
        yield Report(title, epochs, steps, done, samples_per_step, file, bar, words)


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=2)


def on_terminal(stream: IO[str]) -> bool:
    """Whether a stream is a terminal on which a line can be rewritten."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def duration(seconds: float) -> str:
    """Seconds as 2:31, 1:02:31 or 3 d 1:02:31."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if not hours:
        return f"{minute}:{second:02}"
    return (f"{days} d " if days else "") + f"{hour}:{minute:02}:{second:02}"


def process_birth(pid: int) -> str | None:
    """When a process began, in its kernel's ticks, which tells it from a later one with its number.

    "" where it is dead and only waits for its parent; None where there is no /proc.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # from the third on; the second, the program's name, may hold anything
    return "" if fields[0] in "ZX" else fields[19]
