"""How far a command is through some files, where it takes longer than 2 s."""

import sys
import time
from types import TracebackType

from lskd.jobs.listing import bytes_of
from lskd.jobs.progress import duration, on_terminal

_QUIET_SECONDS, _LINE_SECONDS, _REWRITE_SECONDS = 2.0, 10.0, 0.5


class FileProgress:
    """A line on stderr, rewritten on a terminal, else one now and then. `word`: what is done to the files."""

    def __init__(self, word: str, sizes: list[int]) -> None:
        self._word, self._files, self._bytes = word, len(sizes), sum(sizes)
        self._done_files = self._done_bytes = 0
        self._in_place = on_terminal(sys.stderr)
        self._started = time.monotonic()
        self._due = self._started + _QUIET_SECONDS
        self._has_said = False

    def __enter__(self) -> "FileProgress":
        return self

    def add(self, size: int) -> None:
        """A file of so many bytes is done."""
        self._done_files, self._done_bytes = self._done_files + 1, self._done_bytes + size
        now = time.monotonic()
        if now >= self._due:
            self._due = now + (_REWRITE_SECONDS if self._in_place else _LINE_SECONDS)
            self._has_said = True
            self._say(self._text(now))

    def _text(self, now: float) -> str:
        seconds = (self._bytes - self._done_bytes) / max(1, self._done_bytes) * (now - self._started)
        sizes = f"{bytes_of(self._done_bytes)} of {bytes_of(self._bytes)}"
        return f"{self._done_files:,} of {self._files:,} files {self._word} ({sizes}), ETA {duration(seconds)}"

    def _say(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}\r" if self._in_place else f"{text}\n")
        sys.stderr.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._has_said and self._in_place:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
