"""The code a job really uses: the definitions that its entry points reach, each with a digest, from their source alone.

Stdlib `ast` only; the code is parsed, never imported. Where reachability cannot be told, more is counted rather than
less. Of what is dynamic, `getattr(module, name)` counts the whole module and `import_module(f"lskd.models.{name}")`
every module of that folder; functions that a job's spec names ("lskd.supervision.losses:kd") are its entry points.

What was worked out is kept for later calls in the same process, for as long as no file that was read changes; of this
very package, for later processes too.
"""

import ast
import atexit
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from lskd.fingerprint.files import Files
from lskd.fingerprint.kept import Kept
from lskd.fingerprint.source import Modules, Source

TRIES = 5  # where files are edited meanwhile, so that some were read before and others after
_HERE = Path(__file__).resolve().parent.parent.parent


def definitions(entry_points: Iterable[str], root: Path = _HERE) -> dict[str, str]:
    """10 hex digits for each definition reachable from `entry_points` ("lskd.training.loop:run"), by its name.

    A name is "lskd/supervision/losses.py:kd".

    `root` is the folder that holds the package. Raises UserError for an entry point that does not exist and for a
    module that does not parse.
    """
    entries, digests = frozenset(entry_points), dict[str, str]()
    for _ in range(TRIES):
        package = _package(root)
        if entries not in package.digests:
            walk = package.walk(entries)
            of_walk = {walk.source.node(node).label: walk.source.digest(node, walk.in_order) for node in walk.nodes}
            package.digests[entries] = dict(sorted(of_walk.items()))
        digests = package.digests[entries]
        if package.files.are_unchanged():
            break
    return dict(digests)


def code_digest(definitions: Mapping[str, str]) -> str:
    """16 hex digits of such a mapping."""
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(definitions.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def reachable(entry_points: Iterable[str], root: Path = _HERE) -> dict[str, str]:
    """The same names, each with the normalised source behind it. Raises as `definitions` does."""
    walk = _package(root).walk(entry_points)
    trees = {walk.source.node(node).label: walk.source.block(node).trees for node in walk.nodes}
    texts = {name: "\n".join(map(ast.unparse, each)) for name, each in trees.items()}
    return dict(sorted(texts.items()))


def reached_through(name: str, entry_points: Iterable[str], root: Path = _HERE) -> list[str]:
    """The names through which `name` ("lskd/study/config.py:Recipe", or its beginning) is reached; [] if it is not."""
    walk = _package(root).walk(entry_points)
    names: list[str] = []
    node = min((node for node in walk.nodes if walk.source.node(node).label.startswith(name)), default=None)
    while node:
        names.append(walk.source.node(node).label)
        node = walk.above[node]
    return names[::-1]


class _Walk(NamedTuple):
    source: Source
    nodes: list[str]  # those that count
    above: dict[str, str | None]  # each node, with the one that it was first reached from
    in_order: bool  # whether the order of methods counts


class _Package:
    """All that was worked out about the package under a root."""

    def __init__(self, root: Path) -> None:
        self.files = Files(root)
        self.digests: dict[frozenset[str], dict[str, str]] = {}
        self._modules: Modules = {}
        self._sources: dict[frozenset[str], Source] = {}
        self._kept = Kept(self.files) if root == _HERE else None
        self._nodes = self._kept.read() if self._kept else {}

    def keep(self) -> None:
        """Keep for later processes what was worked out of this very package."""
        if self._kept:
            self._kept.write(self._nodes)

    def walk(self, entries: Iterable[str]) -> _Walk:
        """All that is reached; walked again where reached code reads what normally is left out."""
        entries, kept = sorted(set(entries)), frozenset[str]()
        while True:
            key = kept - {"order"}  # which changes digests, and not what is reached
            if key not in self._sources:
                self._sources[key] = Source(self.files, key, self._modules, self._nodes.setdefault(key, {}))
            source = self._sources[key]
            above = source.walk(entries)
            nodes = [node for node in above if source.node(node).counts]
            readers = frozenset[str]().union(*(source.node(node).readers for node in nodes))
            if readers <= kept:
                return _Walk(source, nodes, above, "order" in kept)
            kept |= readers


_PACKAGES: dict[Path, _Package] = {}


def _package(root: Path) -> _Package:
    """What is known of the package, forgotten where one of its files changed."""
    package = _PACKAGES.get(root)
    if package is None or not package.files.are_unchanged():
        package = _PACKAGES[root] = _Package(root)
    return package


@atexit.register
def keep() -> None:
    """Keep what was worked out of this very package; as a process ends at the latest."""
    if _HERE in _PACKAGES:
        _PACKAGES[_HERE].keep()
