"""Which jobs run and how far they are, from the files that they write (`lskd.jobs.progress`)."""

import atexit
import json
import math
import os
import shutil
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

from lskd.jobs.progress import duration, on_terminal, process_birth

QUIET_SECONDS = 60.0
_FORGOTTEN_SECONDS = 24 * 3600.0  # whether a process of another host lives cannot be known
_LINE_SECONDS = 30.0
_CHECKS_PER_TICK, _CHECK_SECONDS = 2000, 0.02


@dataclass(frozen=True)
class Status:
    """What a job's file says of it; what is None is not known, or the job has no steps."""

    title: str
    address: str
    host: str
    pid: int
    started: float
    updated: float
    birth: str | None = None
    first_step: int | None = None
    step: int | None = None
    steps: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    val_top1: float | None = None
    images_per_second: float | None = None
    update: int | None = None  # of a translation, with the three below
    updates: int | None = None
    val_nll: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None

    @property
    def fraction(self) -> float:
        """The part of the steps that is done."""
        return min(1.0, self.step / self.steps) if self.step and self.steps else 0.0

    @property
    def first_fraction(self) -> float:
        """The part that an earlier process did."""
        return min(1.0, self.first_step / self.steps) if self.first_step and self.steps else 0.0

    def quiet(self, now: float) -> float:
        """For how many seconds a job with steps has said nothing; 0 while that is no wonder."""
        silence = now - self.updated
        return silence if self.steps and silence > QUIET_SECONDS else 0.0


def jobs(folder: Path | str) -> list[Status]:
    """The jobs that run, the oldest first; what killed jobs of this host left behind is removed."""
    statuses = []
    for name in _names(folder):
        path = Path(folder, name)
        status = _read(path)
        if status is None:
            continue
        if status.host == socket.gethostname() and not _is_alive(status):
            with suppress(OSError):
                path.unlink()
        elif time.time() - status.updated < _FORGOTTEN_SECONDS or status.host == socket.gethostname():
            statuses.append(status)
    return sorted(statuses, key=lambda status: (status.started, status.title))


def _names(folder: Path | str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json") and name[0] != "."]  # noqa: PTH208
    except OSError:
        return []


def _read(path: Path) -> Status | None:
    """A file's status; None where it is gone or damaged."""
    try:
        content = json.loads(path.read_text())
        status = Status(**{field.name: content[field.name] for field in fields(Status) if field.name in content})
        is_valid = all(_is_valid(getattr(status, field.name), field.type) for field in fields(Status))
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    return status if is_valid and status.address == path.stem else None


def _is_valid(value: object, kind: Any) -> bool:
    """Whether a value of a file is of its field's type, so that nothing in a table can fail or upset a terminal."""
    if isinstance(value, str):
        return isinstance(value, kind) and value.isprintable()
    if isinstance(value, int | float):
        return isinstance(float(value) if isinstance(0.0, kind) else value, kind) and math.isfinite(value)
    return isinstance(value, kind)


def _is_alive(status: Status) -> bool:
    try:
        os.kill(status.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    birth = process_birth(status.pid)
    return birth is None or status.birth is None or birth == status.birth


_HEAD = ("job", "epoch", "images/s", "loss", "val top1", "time", "ETA", "process", "")


def table(statuses: Iterable[Status], width: int | None = None) -> str:
    """The jobs, one a line; titles are cut where lines would be longer than `width`."""
    rows = [_HEAD, *map(_row, statuses)]
    if len(rows) == 1:
        return "no job is running"
    others = [max(len(row[column]) for row in rows) for column in range(1, len(_HEAD))]
    longest = max(len(row[0]) for row in rows)
    room = longest if width is None else min(longest, max(12, width - sum(others) - 2 * len(others)))
    lines = []
    for title, *cells in rows:
        aligned = [f"{cell:>{size}}" for cell, size in zip(cells[:-2], others[:-2], strict=True)]
        aligned += [f"{cells[-2]:<{others[-2]}}", cells[-1]]
        lines.append("  ".join([f"{_cut(title, room):<{room}}", *aligned]).rstrip()[:width])
    return "\n".join(lines)


def _row(status: Status) -> tuple[str, ...]:
    now = time.time()
    return (
        status.title,
        _count(status).removeprefix(" epoch ").lstrip(),
        _speed(status),
        "" if status.loss is None else f"{status.loss:.4g}",
        _val(status),
        duration(max(0.0, now - status.started)),
        "" if status.seconds_left is None else duration(status.seconds_left),
        f"{status.host}:{status.pid}",
        _silence(status.quiet(now)).lstrip(),
    )


def _silence(seconds: float) -> str:
    """What is said of a job that said nothing for so long; "" of one that did."""
    if not seconds:
        return ""
    return f" quiet for {seconds / 60:.0f} min" if seconds < 3600 else f" quiet for {seconds / 3600:.0f} h"


def _cut(text: str, width: int) -> str:
    """A text's end, where two titles differ: of at most `width` letters."""
    return text if len(text) <= width else f"…{text[len(text) - max(0, width - 1) :]}"[:width]


def watch(folder: Path | str, seconds: float = 1.0) -> None:
    """Print the table of jobs, on a terminal again and again until Ctrl-C."""
    if not on_terminal(sys.stdout):
        print(table(jobs(folder)))
        return
    clear = "\x1b[2J"
    with suppress(KeyboardInterrupt):
        while True:
            columns, lines = shutil.get_terminal_size()
            rows = table(jobs(folder), columns - 1).splitlines()
            if len(rows) > lines - 1:
                rows = [*rows[: lines - 2], f"… and {len(rows) - lines + 2} more"]
            sys.stdout.write(clear + "\x1b[H" + "".join(f"{row}\x1b[K\n" for row in rows) + "\x1b[J")
            sys.stdout.flush()
            clear = ""
            time.sleep(seconds)


class Speed:
    """Work per second over the last half of the time, and over a minute at least: it comes in jumps, and it changes."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()
        self._start = 0.0, 0.0

    def add(self, now: float, worked: float) -> None:
        """Learn that so much was worked up to now. Time before the first job is no time of work."""
        if not self._points:
            self._start = now, worked
        self._points.append((now, worked))
        since = now - max(60.0, (now - self._start[0]) / 2)
        while len(self._points) > 2 and self._points[1][0] <= since:
            self._points.popleft()

    @property
    def value(self) -> float | None:
        """None until something is done."""
        if not self._points:
            return None
        now, worked = self._points[-1]
        for then, before in (self._points[0], self._start):  # all the time, where the last half of it did nothing
            if now > then and worked > before:
                return (worked - before) / (now - then)
        return None


class Overview:
    """How far an invocation's jobs are: (address, cost, record files) each; a job is done when those files exist."""

    def __init__(self, folder: Path | str, pending: Iterable[tuple[str, float, Path | list[Path]]]) -> None:
        self.folder = folder
        self.costs: dict[str, float] = {}  # of the jobs that are not done
        self._records: dict[str, list[str]] = {}
        for address, cost, paths in pending:
            self.costs[address] = cost
            self._records[address] = [str(path) for path in (paths if isinstance(paths, list) else [paths])]
        self.total = len(self.costs)
        self.running: list[Status] = []
        self._queue = deque(self.costs)  # in which order it is looked for their files
        self._vanished: set[str] = set()  # they ran, and do not now: done soon, or failed
        self._fractions: dict[str, float] = {}
        self._worked, self._left = 0.0, sum(self.costs.values())
        self._speed = Speed()

    def tick(self, now: float) -> None:
        """Look again; `now` counts seconds from any moment."""
        before = {status.address for status in self.running}
        self.running = [status for status in jobs(self.folder) if status.address in self.costs]
        active = {status.address for status in self.running}
        self._vanished = (self._vanished | before) - active
        for status in self.running:
            self._advance(status.address, status.fraction, status.first_fraction)
        deadline = time.monotonic() + _CHECK_SECONDS
        for address in [*self._vanished, *self._next(_CHECKS_PER_TICK, active)]:
            self._check(address)
            if time.monotonic() > deadline:  # a slow network drive: the queue goes on from here at the next tick
                break
        if active or self._worked:
            self._speed.add(now, self._worked)

    def settle(self) -> None:
        """Look for the files of all jobs that are not known to be done, for a last word."""
        deadline = time.monotonic() + 2.0
        for address in [*self._vanished, *self.costs]:
            self._check(address)
            if time.monotonic() > deadline:
                break
        self.running = []

    def _next(self, count: int, active: set[str]) -> Iterator[str]:
        """The next jobs in turn whose files may have come; jobs that run have none yet."""
        for _ in range(min(count, len(self._queue))):
            address = self._queue.popleft()
            if address not in self.costs:
                continue
            self._queue.append(address)
            if address not in active:
                yield address

    def _check(self, address: str) -> None:
        if address not in self.costs or not all(map(os.path.exists, self._records[address])):
            return
        self._advance(address, 1.0)
        self._vanished.discard(address)
        del self.costs[address], self._records[address], self._fractions[address]

    def _advance(self, address: str, fraction: float, first: float = 0.0) -> None:
        """A job is so far, of which `first` was done before; one that starts again from less works that part twice."""
        cost, known = self.costs[address], self._fractions.get(address)
        self._left += cost * ((known or 0.0) - fraction)
        self._worked += cost * max(0.0, fraction - (first if known is None else known))
        self._fractions[address] = fraction

    @property
    def eta(self) -> float | None:
        """Seconds until all is done, by the speed so far, and not before the slowest of the jobs that run."""
        speed = self._speed.value
        if speed is None:
            return None
        return max([self._left / speed, *(status.seconds_left or 0.0 for status in self.running)])

    def text(self, width: int | None = None) -> str:
        """All of it in a line of at most `width` letters."""
        head = f"{self.total - len(self.costs):,} of {self.total:,} jobs done"
        if self.running:
            head += f", {len(self.running)} running"
        now = time.time()
        quiet_first = sorted(self.running, key=lambda status: not status.quiet(now))
        speeds = [status.images_per_second or 0.0 for status in self.running if not status.quiet(now)]
        tail = f", {sum(speeds):,.0f} images/s" if sum(speeds) else ""
        if self.costs:
            tail += ", ETA …" if self.eta is None else f", ETA {duration(self.eta)}"
        names = [_name(status, now) for status in quiet_first]
        if width is None:
            return head + _listed(names[:3], len(names) > 3) + tail
        return (head + _fitting(names, width - len(head) - len(tail)) + tail)[: max(0, width)]


def _count(status: Status) -> str:
    """epoch 3/30, or update 120/500; "" for a job that has neither."""
    if status.updates:
        return f" update {status.update}/{status.updates}"
    return f" epoch {status.epoch}/{status.epochs}" if status.epochs else ""


def _speed(status: Status) -> str:
    """Of images as the table's head says; else with its unit."""
    if status.tokens_per_second:
        return f"{status.tokens_per_second:,.0f} tokens/s"
    return f"{status.images_per_second:,.0f}" if status.images_per_second else ""


def _val(status: Status) -> str:
    if status.val_nll is not None:
        return f"NLL {status.val_nll:.4g}"
    return "" if status.val_top1 is None else f"{status.val_top1:.2%}"


def _name(status: Status, now: float) -> str:
    return f"{status.title}{_count(status)}{_silence(status.quiet(now))}"


def _listed(names: list[str], more: bool) -> str:
    return f" ({', '.join([*names, *(['…'] if more else [])])})" if names else ""


def _fitting(names: list[str], room: int) -> str:
    """As many names as there is room for, the first cut if it must be; nothing where that says nothing."""
    for count in range(min(len(names), 9), 0, -1):
        text = _listed(names[:count], count < len(names))
        if len(text) <= room:
            return text
    rest = len(_listed([""], len(names) > 1))
    return _listed([_cut(names[0], room - rest)], len(names) > 1) if names and room - rest >= 12 else ""


class Line:
    """The one line on how far a whole study is: rewritten in place on a terminal, else printed now and then.

    A thread writes it. Nothing that goes wrong here reaches the caller.
    """

    def __init__(
        self,
        folder: Path | str,
        pending: Iterable[tuple[str, float, Path | list[Path]]],
        out: IO[str] | None = None,
        seconds: float = 1.0,
    ) -> None:
        self._overview = Overview(folder, pending)
        self._out, self._seconds = out or sys.stderr, seconds
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._started = self._printed = 0.0
        self._in_place = False

    def start(self) -> None:
        """Begin to say it."""
        with suppress(Exception):
            if not self._overview.total or self._thread:
                return
            self._started = self._printed = time.monotonic()
            self._in_place = on_terminal(self._out)
            thread = threading.Thread(target=self._loop, name="lskd live line", daemon=True)
            thread.start()
            self._thread = thread
            atexit.register(self.stop)  # a thread that writes while Python ends would abort the process

    def stop(self) -> None:
        """Clear the line and say for the last time how many jobs are done; once."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ended.set()
        with suppress(Exception):
            atexit.unregister(self.stop)
            thread.join(5.0)
            self._overview.settle()
            done = self._overview.total - len(self._overview.costs)
            elapsed = duration(time.monotonic() - self._started)
            clear = "\r\x1b[K" if self._in_place else ""
            self._write(f"{clear}{done:,} of {self._overview.total:,} jobs done in {elapsed}\n")

    def _loop(self) -> None:
        while not self._ended.wait(self._seconds):
            with suppress(Exception):
                self._refresh()

    def _refresh(self) -> None:
        now = time.monotonic()
        self._overview.tick(now)
        if self._ended.is_set():
            return
        if self._in_place:
            # Ends at the line's start, so that what others print next begins there and not behind it.
            self._write(f"\r\x1b[K{self._overview.text(_columns(self._out) - 1)}\r")
        elif now - self._printed >= _LINE_SECONDS:
            self._printed = now
            self._write(self._overview.text() + "\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _columns(out: IO[str]) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
