"""A command that is through within two seconds says nothing; one that takes longer says how far it is."""

import io
import sys

from lskd.jobs import file_progress
from lskd.jobs.file_progress import FileProgress


def said(monkeypatch, seconds, on_terminal=False):
    """What is said of four files, each of which takes so many seconds."""
    stream, clock = io.StringIO(), iter(range(0, 1000, seconds))
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(file_progress, "on_terminal", lambda _: on_terminal)
    monkeypatch.setattr(file_progress.time, "monotonic", lambda: next(clock))
    with FileProgress("packed", [1000] * 4) as progress:
        for _ in range(4):
            progress.add(1000)
    return stream.getvalue()


def test_a_quick_one_is_silent(monkeypatch):
    monkeypatch.setattr(file_progress, "_QUIET_SECONDS", 100.0)
    assert said(monkeypatch, 1) == ""


def test_a_line_every_ten_seconds(monkeypatch):
    lines = said(monkeypatch, 6).splitlines()
    assert lines == [
        "1 of 4 files packed (1.0 kB of 4.0 kB), ETA 0:18",
        "3 of 4 files packed (3.0 kB of 4.0 kB), ETA 0:06",
    ]


def test_on_a_terminal_the_line_is_rewritten_and_cleared(monkeypatch):
    text = said(monkeypatch, 6, on_terminal=True)
    assert text.count("files packed") == 4 and text.endswith("\r\x1b[K") and "\n" not in text
