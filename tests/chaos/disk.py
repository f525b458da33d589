"""A file system of its own for a tree's results, which can be filled and made read-only."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BALLAST = ".ballast"


@contextmanager
def disk(folder: Path, megabytes: int = 64) -> Iterator[None]:
    """A file system in memory at an empty folder. Skips the test where this process may mount none."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leaving: int) -> None:
    """Fill the file system so that so many bytes are free, rounded to its pages."""
    size = free(folder) - leaving
    assert size > 0
    with (folder / BALLAST).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def free(folder: Path) -> int:
    """The bytes that are free."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def make_room(folder: Path) -> None:
    """Take away what filled it."""
    (folder / BALLAST).unlink()


def set_writable(folder: Path, writable: bool) -> None:
    """Mount it again, so that it can be written or only read."""
    subprocess.run(["mount", "-o", f"remount,{'rw' if writable else 'ro'}", str(folder)], check=True)
