"""What was worked out about the package, kept for later processes beside its bytecode, in `lskd/__pycache__`.

To parse the package takes a processor a second, with each start of Snakemake, of a command, of a server of forks. What
is kept is of use for as long as every file of the package has the bytes that it had. As with bytecode, nothing is lost
where it cannot be written.
"""

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lskd.fingerprint.files import Files, are_as
from lskd.fingerprint.followed import PACKAGE
from lskd.fingerprint.source import Node

Nodes = dict[str, Node]  # by name
BySource = dict[frozenset[str], Nodes]  # by what counts in their normal form


class Kept:
    """The nodes of the package as its files are now."""

    def __init__(self, files: Files) -> None:
        self.path = files.root / PACKAGE / f"__pycache__/code.{sys.implementation.cache_tag}.zlib"
        for path in files.listing:
            files.exists(path)  # so that an edit of any file is noticed
        self.stamps = dict(files.stamps)  # of all folders too
        self.is_all = not any(map(_has_linked_folders, self.stamps))  # what lies in these is in no listing
        self.package = _digest(_contents(files.root, self.stamps)) if self.is_all else ""
        self.known = 0  # how much is kept already

    def read(self) -> BySource:
        """The nodes that are kept of this very code, if they are whole."""
        sources: BySource = {}
        if not self.is_all:
            return sources
        with suppress(OSError):  # there is none
            head, _, text = self.path.read_bytes().partition(b"\n")
            if head == self._head(text):
                for kept, nodes in json.loads(zlib.decompress(text)):
                    sources[frozenset(kept)] = {name: _node(*values) for name, *values in nodes}
        self.known = _count(sources)
        return sources

    def write(self, sources: Mapping[frozenset[str], Nodes]) -> None:
        """Keep these where they are more, unless a file was edited meanwhile, or lies where no edit is seen."""
        is_allowed = not sys.dont_write_bytecode and not sys.pycache_prefix
        if not is_allowed or not self.is_all or _count(sources) <= self.known or not are_as(self.stamps):
            return
        lists = [
            [sorted(kept), [[name, *_values(node)] for name, node in nodes.items()]] for kept, nodes in sources.items()
        ]
        text = zlib.compress(json.dumps(lists).encode(), 1)
        tmp = self.path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            tmp.parent.mkdir(exist_ok=True)
            for other in tmp.parent.glob(f"{self.path.stem}.[0-9]*"):  # of a process that was killed
                other.unlink()
            tmp.write_bytes(self._head(text) + b"\n" + text)
            tmp.replace(self.path)  # half a file would not have its digest
        self.known = _count(sources)

    def _head(self, text: bytes) -> bytes:
        """What tells that a text is whole, and of this very code."""
        return f"{self.package} {_digest([text])}".encode()


def _values(node: Node) -> list[object]:
    return [node.label, node.below, sorted(node.readers), node.counts, node.digests.get(False), node.digests.get(True)]


def _node(label: str, below: list[str], readers: list[str], counts: bool, *digests: str | None) -> Node:
    known = {is_in_order: digest for is_in_order, digest in zip((False, True), digests, strict=True) if digest}
    return Node(label, None, below, set(readers), counts, known)


def _count(sources: Mapping[frozenset[str], Nodes]) -> int:
    """How much there is to keep."""
    return sum(1 + len(node.digests) for nodes in sources.values() for node in nodes.values())


def _contents(root: Path, paths: Iterable[str]) -> Iterator[bytes]:
    """The name below `root` of each folder and file, and the file's digest."""
    for name in sorted(paths):
        yield os.fsencode(os.path.relpath(name, root))
        path = Path(name)
        if not path.is_file():  # a folder; an editor's lock, which is a link to nothing
            yield b"folder" if path.is_dir() else b"none"
            continue
        try:
            with path.open("rb") as file:
                yield b"file " + hashlib.file_digest(file, "sha256").digest()
        except OSError:
            yield b"unreadable"


def _has_linked_folders(path: str) -> bool:
    """Whether a folder has links to others, whose files are no part of the listing."""
    return os.path.isdir(path) and any(each.is_symlink() and each.is_dir() for each in os.scandir(path))  # noqa: PTH112


def _digest(parts: Iterable[bytes]) -> str:
    """64 hex digits; of each part its length counts too."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()
