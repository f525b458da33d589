"""What lies in a folder of results, whoever made it. No torch."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lskd.errors import UserError
from lskd.io.layout import ROOMS
from lskd.io.seal import RECORD, Record, file_digest, read_record

ADDRESSED = re.compile(r".+-[0-9a-f]{10}")
PUBLISHED = "figures"
STAGE_OF = {room: stage for stage, room in ROOMS.items()}


@dataclass(frozen=True)
class Entry:
    """A result's folder, whole or not."""

    stage: str
    title: str
    address: str
    folder: Path

    @cached_property
    def record(self) -> Record | None:
        """Its record; None where it is missing or damaged."""
        try:
            return read_record(self.folder)
        except UserError:
            return None

    @cached_property
    def size(self) -> int:
        """Bytes of all files in the folder."""
        return total_size(self.folder)

    @property
    def below(self) -> str:
        """The folder as records name it, relative to the results."""
        return f"{ROOMS[self.stage]}/{self.title}-{self.address}"


def existing(root: Path) -> Path:
    """The folder of results; UserError where there is none."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of results; run snakemake first, or name it: --results DIR")
    return root


def entries(root: Path, through_links: bool = True) -> list[Entry]:
    """Every result's folder below `root`, by stage and title."""
    return [
        Entry(stage, str(folder.relative_to(root / room))[:-11], folder.name[-10:], folder)
        for stage, room in ROOMS.items()
        if through_links or not (root / room).is_symlink()
        for folder in _addressed(root / room, through_links, frozenset())
    ]


def _addressed(folder: Path, through_links: bool, above: frozenset[str]) -> Iterator[Path]:
    here = os.path.realpath(folder)
    if here in above:  # a link in a circle
        return
    for child in _children(folder):
        if child.is_dir():
            path = Path(child.path)
            if ADDRESSED.fullmatch(child.name) and not _holds_folders(path):
                yield path
            elif through_links or not child.is_symlink():
                yield from _addressed(path, through_links, above | {here})


def _holds_folders(folder: Path) -> bool:
    """Whether a folder is no result, whatever its name: a study's may end as an address does."""
    return any(child.is_dir(follow_symlinks=False) for child in _children(folder))


def _children(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda child: child.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}); mend its rights") from None


def total_size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; a link's own."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(total_size(Path(child.path)) for child in _children(path))


def holding(root: Path, path: Path) -> Entry | None:
    """The result that a path lies in, or is the folder of."""
    base, full = Path(os.path.abspath(root)), Path(os.path.abspath(path))  # noqa: PTH100, which keeps links
    for folder in (full, *full.parents):
        for stage, room in ROOMS.items():
            if ADDRESSED.fullmatch(folder.name) and folder.is_relative_to(base / room):
                title = str(folder.relative_to(base / room))[:-11]
                return Entry(stage, title, folder.name[-10:], root / folder.relative_to(base))
    return None


def result_of(root: Path, path: Path) -> Entry:
    """The result that a path lies in or, of a published file or a copy, the last made that holds the same bytes.

    UserError where there is none.
    """
    entry = holding(root, path)
    if entry:
        return entry
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a result's file, a published figure or a copy of one")
    digest = file_digest(path)
    equal = [
        (path.parent.as_posix().endswith(str(Path(entry.title).parent)), entry.record["made"], entry.below, entry)
        for entry in entries(root)
        if entry.record and digest in entry.record["files"].values()
    ]
    if not equal:
        raise UserError(f"{path}: equals no file of any result in {root}; it was edited, or its result is gone")
    return max(equal)[-1]


def lines(listed: Iterable[Entry], current: set[str]) -> list[str]:
    """A table of results with a total; `current` holds the folders that today's plan uses."""
    rows: list[tuple[str, ...]] = []
    size = in_use = 0
    for entry in listed:
        record = entry.record or {}
        state = "unfinished" if not (entry.folder / RECORD).exists() else "" if record else "damaged"
        is_current = entry.below in current
        size, in_use = size + entry.size, in_use + is_current
        rows.append(
            (
                *(entry.stage, entry.title, entry.address, bytes_of(entry.size)),
                *(record.get("made", state)[:16].replace("T", " "), f"{record['seconds']:g} s" if record else ""),
                *(short(record.get("commit", "")), "current" if is_current else ""),
            )
        )
    return [*aligned(rows, right={3, 5}), f"{len(rows)} results, {bytes_of(size)}; {in_use} current"]


def aligned(rows: list[tuple[str, ...]], right: Iterable[int] = ()) -> list[str]:
    """Rows as lines of columns, those of `right` aligned at their end."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:>{width}}" if number in right else f"{cell:<{width}}"
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def short(commit: str) -> str:
    """The first digits of a commit, with the + of an edited tree."""
    return commit if len(commit) < 40 else f"{commit[:10]}{commit[40:]}"


def bytes_of(size: float) -> str:
    """ "12 B", "3.4 MB"."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"
