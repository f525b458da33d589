"""What was worked out about the package, kept for later processes beside its bytecode, in `lskd/__pycache__`.

To parse the package takes a processor a second, with each start of Snakemake, of a command, of a server of forks. A
file holds the digests of one set of entry points, under a name that is a digest of every file of the package: of other
code it is not found, and files of other code are removed. As with bytecode, nothing is lost where none can be written.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from lskd.fingerprint.files import Files, are_as
from lskd.fingerprint.followed import PACKAGE

Digests = dict[str, str]  # of definitions, by their names


class Kept:
    """The digests of the package as its files are now."""

    def __init__(self, files: Files) -> None:
        self.folder = files.root / PACKAGE / "__pycache__"
        for path in files.listing:
            files.exists(path)  # so that an edit of any file is noticed
        self.stamps = dict(files.stamps)  # of all folders too
        self.package = f"{sys.implementation.cache_tag}-{_digest(_contents(files.root, self.stamps))}"

    def read(self, entries: Iterable[str]) -> Digests | None:
        """The digests of what these reach, if they are kept, and whole."""
        with suppress(OSError):
            seal, _, text = self._path(entries).read_bytes().partition(b"\n")
            if seal == _digest([text]).encode():
                return dict(json.loads(text))
        return None

    def write(self, entries: Iterable[str], digests: Digests) -> None:
        """Keep them, unless a file was edited meanwhile, or lies where no edit is seen."""
        if sys.dont_write_bytecode or not are_as(self.stamps) or any(map(_has_linked_folders, self.stamps)):
            return
        path, text = self._path(entries), json.dumps(digests).encode()
        tmp = path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            for other in self.folder.glob(f"code-{sys.implementation.cache_tag}-*"):
                if not other.name.startswith(f"code-{self.package}-"):
                    other.unlink(missing_ok=True)
            tmp.write_bytes(_digest([text]).encode() + b"\n" + text)  # half a file would not have its digest
            tmp.replace(path)

    def _path(self, entries: Iterable[str]) -> Path:
        return self.folder / f"code-{self.package}-{_digest(name.encode() for name in sorted(entries))}.json"


def _contents(root: Path, paths: Iterable[str]) -> Iterator[bytes]:
    """The name below `root` of each folder and file, and the file's bytes."""
    for path in sorted(paths):
        yield os.fsencode(os.path.relpath(path, root))
        try:
            yield Path(path).read_bytes()
        except OSError as error:  # a folder; an editor's lock, which is a link to nothing
            yield type(error).__name__.encode()


def _has_linked_folders(path: str) -> bool:
    """Whether a folder has links to others, whose files are no part of the listing."""
    return os.path.isdir(path) and any(each.is_symlink() and each.is_dir() for each in os.scandir(path))  # noqa: PTH112


def _digest(parts: Iterable[bytes]) -> str:
    """20 hex digits; of each part its length counts too."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()[:20]
