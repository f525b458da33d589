"""The package's files, and whether they are as they were when they were read."""

import fnmatch
import os
from functools import cached_property
from pathlib import Path, PurePath

from lskd.fingerprint.followed import PACKAGE, SPECIFIED
from lskd.fingerprint.names import Names

Stamp = tuple[int, int]  # of a file: mtime_ns, size; -1 where there is none


class Files:
    """The files of the package under `root`, all paths relative to that, and the stamps of those looked up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stamps: dict[str, Stamp] = {}

    def exists(self, path: Path) -> bool:
        """Whether there is a file or folder; it is stamped, once: an edit since then shall be noticed."""
        text = str(self.root / path)
        stamp = _stamp(text)
        self.stamps.setdefault(text, stamp)
        return stamp[0] >= 0

    def are_unchanged(self) -> bool:
        """Whether all that was looked up is as it was."""
        return are_as(self.stamps)

    @cached_property
    def listing(self) -> list[Path]:
        """Every file of the package."""
        paths = []
        for folder, folders, names in os.walk(self.root / PACKAGE):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            here = Path(folder).relative_to(self.root)
            self.exists(here)
            paths += [here / name for name in sorted(names)]
        return [path for path in paths if path.suffix != ".pyc" and not fnmatch.fnmatch(str(path), SPECIFIED)]

    @cached_property
    def modules(self) -> list[str]:
        """The dotted name of every module."""
        parts = [path.with_suffix("").parts for path in self.listing if path.suffix == ".py"]
        return [".".join(each[:-1] if each[-1] == "__init__" else each) for each in parts]

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = {}
        for path in self.listing:
            names.setdefault(path.name, []).append(path)
        return names

    @cached_property
    def _data(self) -> list[Path]:
        return [path for path in self.listing if path.suffix != ".py"]

    @cached_property
    def _folders(self) -> dict[str, set[Path]]:
        """The folders of data files, by each way to name them."""
        folders: dict[str, set[Path]] = {}
        for each in {path.parent for path in self._data}:
            for name in (each.name, str(each), ".".join(each.parts)):
                folders.setdefault(name, set()).add(each)
        return folders

    def used(self, here: Path, names: Names) -> list[Path]:
        """The files that strings of a definition in folder `here` name, and the data files that its patterns match."""
        reads_any = names.reads_folder or names.reads_package
        paths = {path for text in names.strings for path in self._named(here, text)}
        if names.patterns or (reads_any and not paths):
            roots = {here}.union(*(self._folders[text] for text in names.strings & self._folders.keys()))
            if names.reads_package:
                roots = {Path(PACKAGE)}
            beside = [path for path in self._data if any(path.is_relative_to(each) for each in roots)]
            paths |= {path for path in beside for pattern in names.patterns if fnmatch.fnmatch(path.name, pattern)}
            if reads_any and not paths:
                paths |= set(beside)
        for path in paths:
            self.exists(path)
        return sorted(paths)

    def _named(self, here: Path, text: str) -> set[Path]:
        """The files that a string names: from a folder, from the package, from the root; data files by their names."""
        last = PurePath(text).name if "/" in text else text
        if last != ".." and last not in self._by_name or len(text) >= 200 or "\n" in text:
            return set()
        places = {os.path.normpath(place / text) for place in (here, Path(PACKAGE), Path())}
        candidates = self.listing if last == ".." else self._by_name[last]
        return {path for path in candidates if str(path) in places or (path.name == text and path.suffix != ".py")}


def are_as(stamps: dict[str, Stamp]) -> bool:
    """Whether all of these are as they were."""
    return all(_stamp(path) == stamp for path, stamp in stamps.items())


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)  # noqa: PTH116  # a hundred of these for each set of entry points
    except (OSError, ValueError):
        return -1, -1
    return status.st_mtime_ns, status.st_size
