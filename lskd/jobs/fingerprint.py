"""The code a job really uses: the definitions that its entry points reach, each with a digest, from their source alone.

Stdlib `ast` only; the code is parsed, never imported. Where reachability cannot be told, more is counted rather than
less. Of what is dynamic, `getattr(module, name)` counts the whole module and `import_module(f"lskd.models.{name}")`
every module of that folder; functions that a job's spec names ("lskd.losses:kd") are its entry points.

`python -m lskd.jobs.fingerprint lskd.train:run ...` prints digests and names; `--chain NAME` says how NAME is reached.
"""

import argparse
import ast
import copy
import difflib
import fnmatch
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path

from lskd.errors import UserError
from lskd.jobs.normalise import (
    FUNCTIONS,
    HARMLESS,
    READERS,
    Chain,
    Imports,
    Leaks,
    Normalise,
    bind,
    called,
    chain_of,
    dump,
    is_text,
    number,
    root_of,
)

PACKAGE = "lskd"

# Not followed, since they change no result: messages, records, refusals, and what only makes a job faster, which is
# recorded with each result.
UNFOLLOWED = frozenset(
    f"{PACKAGE}.{name}"
    for name in ("errors", "progress", "tracking", "runtime", "jobs.provenance", "jobs.fingerprint", "jobs.normalise")
)

STATEMENTS = "<statements>"  # what a module's import does beside defining names
WHOLE = "*"  # every definition of a module
_HERE = Path(__file__).resolve().parent.parent.parent

Stamp = tuple[Path, int, int]  # a file as it was looked up: path, mtime_ns, size (-1 where there is none)
Uses = dict[str, list[str]]  # name in a definition -> what it stands for: nodes, or dotted names outside


def definitions(entry_points: Iterable[str], root: Path = _HERE) -> dict[str, str]:
    """10 hex digits for each definition reachable from `entry_points` ("lskd.train:run"): "lskd/losses.py:kd" -> ...

    `root` is the folder that holds the package. Raises UserError for an entry point that does not exist and for a
    module that does not parse. Memoised for as long as no file that it read changes.
    """
    key = (str(root), frozenset(entry_points))
    digests, stamps = _DIGESTS.get(key, ({}, ()))
    if not digests or any(_stamp(stamp[0]) != stamp for stamp in stamps):
        source = _walked(root, key[1])
        digests = {source.label(node): _sha(source.text(node))[:10] for node in source.reached}
        digests = dict(sorted(digests.items()))
        _DIGESTS[key] = digests, tuple(source.stamps)
    return dict(digests)


def code_digest(definitions: Mapping[str, str]) -> str:
    """16 hex digits of such a mapping."""
    return _sha("\n".join(f"{name} {digest}" for name, digest in sorted(definitions.items())))[:16]


def reachable(entry_points: Iterable[str], root: Path = _HERE) -> dict[str, str]:
    """The same names, each with the normalised source behind it. Raises as `definitions` does."""
    source = _walked(root, entry_points)
    texts = {source.label(node): "\n".join(map(ast.unparse, source.block(node).trees)) for node in source.reached}
    return dict(sorted(texts.items()))


def reached_through(name: str, entry_points: Iterable[str], root: Path = _HERE) -> list[str]:
    """The names through which `name` ("lskd/config.py:Recipe", or the beginning of one) is reached; [] if it is not."""
    source = _walked(root, entry_points)
    nodes = [node for node in source.reached if source.label(node).startswith(name)]
    names: list[str] = []
    node: str | None = min(nodes, default=None)
    while node:
        names.append(source.label(node))
        node = source.above[node]
    return names[::-1]


def main(arguments: list[str] | None = None) -> None:
    """Print the digest of some entry points, and the digest and name of each definition that they reach."""
    parser = argparse.ArgumentParser(prog="python -m lskd.jobs.fingerprint", description="What code a job depends on.")
    parser.add_argument("entry", nargs="+", help="module:function")
    parser.add_argument("--chain", metavar="NAME", help="print how NAME (path.py, path.py:definition) is reached")
    options = parser.parse_args(arguments)
    try:
        if options.chain:
            print("\n".join(reached_through(options.chain, options.entry)) or f"{options.chain}: not reached")
            return
        digests = definitions(options.entry)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(code_digest(digests))
    for name, digest in digests.items():
        print(f"  {digest} {name}")


def _walked(root: Path, entries: Iterable[str]) -> "_Source":
    """The source with all that is reached; walked again where reached code reads what normally is left out."""
    entries, kept = sorted(set(entries)), frozenset[str]()
    while True:
        source = _Source(root, kept)
        source.walk(entries)
        readers = frozenset(chain.from_iterable(source.block(node).readers for node in source.reached))
        if readers <= kept:
            return source
        kept |= readers


class _Source:
    """The modules of the package under `root`, read as they are needed, and how names lead from one to another.

    A node is "module:definition", "module:Class.method", "module:<statements>", "module:*" or a data file's "/path"; a
    dotted name without a colon is a leaf.
    """

    def __init__(self, root: Path, kept: frozenset[str]) -> None:
        self.root, self.kept = Path(root), kept
        self.stamps: set[Stamp] = set()
        self.modules: dict[str, _Module] = {}
        self.reached: dict[str, Uses] = {}
        self.above: dict[str, str | None] = {}  # node -> the one that it was first reached from
        self._acts: dict[str, bool] = {}

    def module(self, name: str) -> "_Module | None":
        """A module of the package; None where there is none of that name, or it is not to be followed."""
        if name not in self.modules and _is_own(name):
            base = Path(self.root, *name.split("."))
            for path in (base / "__init__.py", base.with_suffix(".py"), base):
                stamp = _stamp(path)
                self.stamps.add(stamp)
                if stamp[1] >= 0:
                    self.modules[name] = _parse(stamp, name, self.kept)
                    break
        return self.modules.get(name)

    @cached_property
    def files(self) -> list[Path]:
        """The package's files, relative to `root`."""
        paths = []
        for folder, folders, names in os.walk(self.root / PACKAGE):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            self.stamps.add(_stamp(Path(folder)))
            paths += [Path(folder, name).relative_to(self.root) for name in sorted(names)]
        return [path for path in paths if path.suffix != ".pyc"]

    def label(self, node: str) -> str:
        """A node's name for people: "lskd/losses.py:kd"."""
        if node.startswith("/"):
            return node[1:]
        module, _, name = node.partition(":")
        return f"{self.modules[module].path.relative_to(self.root).as_posix()}:{name}"

    def block(self, node: str) -> "_Block":
        """The source behind a node."""
        module, _, name = node.partition(":")
        if name in ("", WHOLE):
            return _Block(module)
        return self.modules[module].statements if name == STATEMENTS else self.modules[module].definitions[name]

    def text(self, node: str) -> str:
        """A definition's name, what the names in it stand for, and its normalised tree."""
        if node.startswith("/"):
            return hashlib.sha256((self.root / node[1:]).read_bytes()).hexdigest()
        block, uses = self.block(node), self.reached[node]
        stands_for = [f"{name} = {', '.join(uses[name])}" for name in sorted(uses)]
        if node.endswith(f":{STATEMENTS}"):
            return "\n".join([node, *stands_for, *self.sequence(node.partition(":")[0])])
        order = [",".join(block.methods)] if block.is_ordered or "order" in self.kept else []
        return "\n".join([node, *stands_for, *order, block.dump])

    def walk(self, entries: Iterable[str]) -> None:
        """Fill `reached` with the nodes reachable from `entries`, each with what its names stand for."""
        todo: list[tuple[str, str | None]] = [(self._entry(entry), None) for entry in reversed(list(entries))]
        while todo:
            node, above = todo.pop()
            if node in self.reached or not (":" in node or node.startswith("/")):
                continue
            self.above[node] = above
            self.reached[node] = uses = {} if node.startswith("/") else self._uses(node)
            if not node.startswith("/"):
                below = [*chain.from_iterable(uses.values()), *self._parts(node), *self._executed(node)]
                todo += [(target, node) for target in reversed(below)]
        self.reached = {node: uses for node, uses in self.reached.items() if uses or self._says(node)}

    def _says(self, node: str) -> bool:
        if node.endswith(f":{STATEMENTS}"):
            return bool(self.sequence(node.partition(":")[0]))
        return node.startswith("/") or bool(self.block(node).trees)

    def _entry(self, entry: str) -> str:
        module, _, name = entry.partition(":")
        home = self.module(module)
        if home and name in home.definitions and "." not in name:
            return entry
        if module in UNFOLLOWED:
            raise UserError(f"entry point {entry!r}: module {module} is not followed; name the code behind it")
        if home:
            raise UserError(f"entry point {entry!r}: {module} defines no {name!r}{_nearest(name, home.definitions)}")
        names = [".".join(path.with_suffix("").parts) for path in self.files if path.match("[!_]*.py")]
        raise UserError(f"entry point {entry!r}: no module {module!r} under {self.root}{_nearest(module, names)}")

    def _uses(self, node: str) -> Uses:
        """What each name in a definition stands for."""
        module, _, name = node.partition(":")
        names = self.block(node).names
        targets = {".".join(each): [*self._resolve(node, each)] for each in names.chains}
        for each in names.local_chains:  # imported within the function
            targets.setdefault(".".join(each), []).extend(self._imported(names, each))
        if name == WHOLE:
            targets["*"] = [*self._everything(module)]
        elif names.stars:
            targets["*"] = [*chain.from_iterable(self._star(star) for star in names.stars)]
        if name == STATEMENTS and self.modules[module].stars:
            targets["*"] = [*chain.from_iterable(self._star(star) for star in self.modules[module].stars)]
        targets["import_module"] = [
            *chain.from_iterable(map(self._imported_by_text, names.modules)),
            *chain.from_iterable(map(self._imported_by_text, sorted(names.strings) if names.starts else ())),
            *chain.from_iterable(self._folder(prefix) for prefix in names.prefixes),
        ]
        targets["files"] = self._data(module, names)
        uses = {each: list(dict.fromkeys(nodes)) for each, nodes in targets.items()}
        return {each: nodes for each, nodes in uses.items() if nodes}

    def _resolve(self, node: str, names: Chain) -> Iterator[str]:
        module, _, name = node.partition(":")
        home, imports = self.modules[module], self.block(node).names.imports
        owner = name.partition(".")[0]
        if names[0].startswith("__") and not names[0].endswith("__"):  # in a class, __x is _Class__x
            yield from self._resolve(node, (f"_{owner.lstrip('_')}{names[0]}", *names[1:]))
        for target in imports.get(names[0], ()):
            yield from self._follow(target + names[1:])
        if home.imports.get(names[0]) == [("sys",)] and names[1:2] == ("modules",):
            yield f"{module}:{WHOLE}"
        if names[0] in home.definitions or names[0] in home.imports:
            yield from self._follow((module, *names))
        elif names[0] in ("globals", "eval", "exec", "vars", "locals"):
            yield f"{module}:{WHOLE}"

    def _imported(self, names: "_Names", each: Chain) -> Iterator[str]:
        for target in names.imports.get(each[0], ()):
            yield from self._follow(target + each[1:])

    def _star(self, module: str) -> Iterator[str]:
        """What a star import brings."""
        home = self.module(module)
        if home is None:
            yield module
            return
        yield f"{module}:{WHOLE}"

    def _follow(self, names: Chain, seen: frozenset[Chain] = frozenset()) -> Iterator[str]:
        """The nodes behind (module, name, attribute...), through whatever modules re-export the name."""
        module, *rest = names
        home = self.module(module)
        if home is None:
            yield ".".join(names)
            return
        if not rest:
            yield f"{module}:{WHOLE}"
            if home.is_package:  # getattr on it may give its modules
                yield from self._folder(f"{module}.")
            return
        here = (module, rest[0])
        imported = () if here in seen else home.imports.get(rest[0], ())
        if rest[0] in home.definitions:
            yield f"{module}:{rest[0]}"
        for target in imported:
            yield f"{module}:{STATEMENTS}"
            yield from self._follow(target + tuple(rest[1:]), seen | {here})
        if rest[0] in home.definitions or imported:
            return
        below = f"{module}.{rest[0]}"
        if below in UNFOLLOWED or self.module(below):
            yield from self._follow((below, *rest[1:]), seen)
        else:  # set at run time, brought in by a star import, or the module's own __file__
            yield f"{module}:{WHOLE}"

    def _everything(self, module: str) -> Iterator[str]:
        yield f"{module}:{STATEMENTS}"
        yield from (f"{module}:{name}" for name in self.modules[module].definitions)
        for target in chain.from_iterable(self.modules[module].imports.values()):
            yield from self._follow(target)

    def _imported_by_text(self, name: str) -> Iterator[str]:
        if self.module(name):
            yield f"{name}:{WHOLE}"

    def _folder(self, prefix: str) -> Iterator[str]:
        """All modules whose dotted names go on from a prefix by one more name."""
        for path in self.files:
            parts = path.with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            is_next = name.startswith(prefix) and "." not in name[len(prefix) :] and name != prefix.rstrip(".")
            if path.suffix == ".py" and is_next and self.module(name):
                yield f"{name}:{WHOLE}"

    def _data(self, module: str, names: "_Names") -> list[str]:
        """The package's data files that strings of a definition name, or that its patterns match."""
        if not names.strings and not names.patterns and not (names.reads_folder or names.reads_package):
            return []
        here = self.modules[module].path.parent.relative_to(self.root)
        data = [path for path in self.files if path.suffix != ".py"]
        folders = {path.parent for path in data}
        named = {each for each in folders if names.strings & {each.name, str(each), ".".join(each.parts)}}
        roots = {here, *named} if not names.reads_package else {Path(PACKAGE)}
        beside = [path for path in data if any(path.is_relative_to(each) for each in roots)]
        paths = set()
        for text in names.strings:
            if 0 < len(text) < 200 and "\n" not in text:
                places = [os.path.normpath(place / text) for place in (here, Path(PACKAGE), Path())]
                paths |= {path for path in self.files if str(path) in places}
                paths |= {path for path in data if path.name == text}
        paths |= {path for path in beside for pattern in names.patterns if fnmatch.fnmatch(path.name, pattern)}
        if (names.reads_folder or names.reads_package) and not paths:
            paths |= set(beside)
        for path in paths:
            self.stamps.add(_stamp(self.root / path))
        return [f"/{path.as_posix()}" for path in sorted(paths)]

    # What runs although nothing names it

    def _parts(self, node: str) -> Iterator[str]:
        """A class's methods."""
        return (f"{node}.{method}" for method in self.block(node).methods)

    def _executed(self, node: str) -> Iterator[str]:
        """The top levels that run before this code does: of its module, of the packages above, of what is imported."""
        module, _, name = node.partition(":")
        if name == STATEMENTS:
            yield from (f"{module}:{each}" for item in self._acting(module) for each in item.binds)
        parts = module.split(".")
        modules = {".".join(parts[: n + 1]): None for n in range(len(parts))}
        for target in self.block(node).names.loaded:
            modules |= dict.fromkeys([target[0], ".".join(target)])
        yield from (f"{each}:{STATEMENTS}" for each in modules if self.module(each))

    def _acting(self, module: str) -> "Iterator[_Item]":
        """The top-level statements that may do more than bind their names."""
        return (item for item in self.modules[module].items if item.acts or self._is_hooked(module, item))

    def _is_hooked(self, module: str, item: "_Item") -> bool:
        """Whether a class's making runs code of a base class."""
        return isinstance(item.tree, ast.ClassDef) and any(
            "subclasses" in self.kept or self._has_hook(module, chain_of(base), frozenset()) for base in item.tree.bases
        )

    def _has_hook(self, module: str, names: Chain, seen: frozenset[tuple[str, Chain]]) -> bool:
        if not names or (module, names) in seen:
            return False
        for node in self._resolve(f"{module}:{STATEMENTS}", names):
            home, _, name = node.partition(":")
            if not name or name == STATEMENTS:
                continue
            for tree in self.block(node).trees:
                if not isinstance(tree, ast.ClassDef):
                    return True
                hooks = "__init_subclass__" in self.block(node).methods or tree.keywords
                bases = (self._has_hook(home, chain_of(base), seen | {(module, names)}) for base in tree.bases)
                if hooks or any(bases):
                    return True
        return False

    def sequence(self, module: str) -> list[str]:
        """What a module's import does, in order: statements, and names where an order may matter."""
        home, lines = self.modules[module], []
        acting = [*self._acting(module)]
        touched = home.touched(acting)
        for item in home.items:
            if item.loads and not item.stars:
                imports = [f"import {name}" for name in item.loads if self._acts_on_import(name)]
                lines += [line for line in imports if line not in lines]
            elif item.is_import and not item.stars:
                continue
            elif item in acting and not item.binds:
                lines.append(dump(item.tree))
            elif item in acting or home.stars or item.import_names & touched:
                lines.append(f"= {' '.join(item.binds)}")
        return lines

    def _acts_on_import(self, name: str) -> bool:
        home = self.module(name)
        if home and name not in self._acts:
            self._acts[name] = False  # for a cycle
            self._acts[name] = bool(self.sequence(name))
        return bool(home) and self._acts[name]


class _Module:
    """One parsed file: its top-level statements, its definitions by name, and what its imports bind."""

    def __init__(self, tree: ast.Module, path: Path, package: str, kept: frozenset[str]) -> None:
        self.path, self.package = path, package
        self.is_package = path.name == "__init__.py" or path.suffix != ".py"
        bind(tree)
        environment = _environment(tree, package)
        normalise = Normalise(environment, kept)
        normalise.visit(tree)
        self.items = [
            _Item(part, package, environment)
            for node in tree.body
            if not isinstance(node, ast.Pass)
            for part in _split(node)
        ]
        self._find_rebound()
        self.imports: dict[str, list[Chain]] = {}
        self.stars: list[str] = []
        self.definitions: dict[str, _Block] = {}
        for item in self.items:
            self.stars += item.stars
            for name, targets in item.imports.items():
                self.imports.setdefault(name, []).extend(targets)
            for name in item.binds:
                if not item.is_import or name in self.rebound:
                    block = self.definitions.setdefault(name, _Block(package, normalise=normalise))
                    block.add(item)
        for name, block in [*self.definitions.items()]:
            self.definitions |= {f"{name}.{method}": part for method, part in block.part(environment).items()}
        for item in self.items:
            number(item.tree)
        for block in self.definitions.values():
            for each in block.trees:
                number(each)
        nameless = [item.tree for item in self.items if item.acts and not item.binds and not item.is_import]
        self.statements = _Block(package, nameless, normalise, [item.tree for item in self.items if item.is_import])

    def _find_rebound(self) -> None:
        """Names bound more than once, or by functions too: when they are read matters."""
        bindings: dict[str, list[object]] = {}
        for item in self.items:
            for name in item.binds:
                bindings.setdefault(name, []).append(item.imports.get(name) or object())
        self.rebound = {name for name, all_ in bindings.items() if any(each != all_[0] for each in all_)} - {"__all__"}
        self.written = {name for item in self.items for name in item.written_globals}
        for item in self.items:
            item.acts |= bool(self.rebound & {*item.binds})

    def touched(self, acting: list["_Item"]) -> set[str]:
        """The names whose values may depend on when they are read, given the statements that do something."""
        if not acting and not self.written:
            return set()
        mentions = {name: item.names for item in self.items for name in item.binds}
        names = self.written.union(*(item.names | {*item.binds} for item in acting))
        todo = [*names]
        while todo:
            more = mentions.get(todo.pop(), set()) - names
            names |= more
            todo += more
        own = set(mentions)
        return names & own


class _Item:
    """A top-level statement."""

    def __init__(self, tree: ast.stmt, package: str, environment: Imports) -> None:
        self.tree = tree
        self.is_import = isinstance(tree, ast.Import | ast.ImportFrom)
        names = _Names(package)
        names.visit(tree)
        self.imports, self.stars = names.imports, names.stars
        self.loads = sorted({".".join(target) for target in names.loaded} | {target[0] for target in names.loaded})
        self.loads = [name for name in self.loads if _is_own(name)] if self.is_import else []
        self.names = {each[0] for each in names.chains}
        self.binds = _bound(tree)
        self.import_names = {
            node.id for node in _run_on_import(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        self.written_globals = [name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names]
        self.acts = bool(self.stars) or (not self.is_import and self.binds != ["__all__"] and _acts(tree, environment))


class _Block:
    """A definition, or the statements of a module: normalised trees, and the imports that go with them."""

    def __init__(
        self,
        package: str,
        trees: Iterable[ast.stmt] = (),
        normalise: Normalise | None = None,
        imports: Iterable[ast.stmt] = (),
    ) -> None:
        self.package, self.trees, self.top_imports, self.normalise = package, list(trees), list(imports), normalise
        self.methods: list[str] = []
        self.is_ordered = False

    def add(self, item: _Item) -> None:
        self.trees.append(item.tree)

    def part(self, environment: Imports) -> dict[str, "_Block"]:
        """Take the methods out of a class: each name's own block."""
        if len(self.trees) != 1 or not isinstance(self.trees[0], ast.ClassDef):
            return {}
        frame = copy.copy(self.trees[0])
        groups: dict[str, list[ast.stmt]] = {}
        for node in frame.body:
            if isinstance(node, FUNCTIONS):
                groups.setdefault(node.name, []).append(node)
        others = [node for node in frame.body if not isinstance(node, FUNCTIONS)]
        used = {name for node in others for name in _bound(node)}
        used |= {part.id for node in others for part in ast.walk(node) if isinstance(part, ast.Name)}
        for name, group in groups.items():
            mentioned = {part.id for node in group for part in _run_on_import(node) if isinstance(part, ast.Name)}
            used |= mentioned - ({name} if len(group) > 1 else set())
        methods = {name: group for name, group in groups.items() if name not in used}
        decorators = [each for node in frame.body if isinstance(node, FUNCTIONS) for each in node.decorator_list]
        self.is_ordered = bool(frame.keywords) or not (
            all(_is_plain_decorator(each, environment) for each in frame.decorator_list)
            and all(_is_plain_decorator(each, environment, HARMLESS) for each in decorators)
        )
        frame.body = [node for node in frame.body if not (isinstance(node, FUNCTIONS) and node.name in methods)] or [
            ast.Pass()
        ]
        self.trees = [frame]
        self.methods = list(methods) if self.is_ordered else sorted(methods)
        return {name: _Block(self.package, group, self.normalise) for name, group in methods.items()}

    @cached_property
    def names(self) -> "_Names":
        """Every name that the trees and imports mention."""
        names = _Names(self.package)
        for tree in (*self.top_imports, *self.trees):
            names.visit(tree)
        return names

    @cached_property
    def dump(self) -> str:
        """The trees as text that is equal for equal trees, on every version of Python."""
        return "\n".join(map(dump, self.trees))

    @cached_property
    def readers(self) -> set[str]:
        """What counts everywhere because this reads it: "annotations", "texts" and so on."""
        kinds = {kind for kind, words in READERS.items() if self.names.words & {*words.split()}}
        if self.normalise and any(Leaks(self.normalise, tree).run() for tree in self.trees):
            kinds.add("texts")
        return kinds


class _Names(ast.NodeVisitor):
    """The names that code mentions (`chains`), what it imports, and the files that it may read."""

    def __init__(self, package: str) -> None:
        self.package = package.split(".")
        self.chains: set[Chain] = set()
        self.local_chains: set[Chain] = set()
        self.imports: dict[str, list[Chain]] = {}  # name here -> what it stands for, the last import last
        self.stars: list[str] = []
        self.loaded: dict[Chain, None] = {}  # imported, thereby run, whether or not a name of it is used
        self.words: set[str] = set()
        self.strings: set[str] = set()
        self.patterns: set[str] = set()
        self.reads_folder = self.reads_package = False
        self.modules: list[str] = []  # imported by their names as text
        self.prefixes: list[str] = []

    def visit_Name(self, node: ast.Name) -> None:
        self.visit_Attribute(node)

    def visit_Attribute(self, node: ast.Attribute | ast.Name) -> None:
        names = chain_of(node)
        is_local = hasattr(root_of(node), "variable")
        if names:
            (self.local_chains if is_local else self.chains).add(names)
            self.words.update(names[1:] if is_local else names)
            self.reads_folder |= names[0] in ("__file__", "__path__", "__spec__")
            is_resource = names[-2:-1] == ("resources",) or names == ("files",) or names[-1] == "get_data"
            self.reads_package |= is_resource and not is_local
            self.reads_package |= names[-1] in ("__file__", "__path__") and len(names) > 1
        elif isinstance(node, ast.Attribute):
            self.words.add(node.attr)
            self.visit(node.value)

    @property
    def starts(self) -> bool:
        """Whether it may start processes, which may run a module that a string names."""
        return bool(self.words & {"subprocess", "Popen", "executable", "execv", "spawn"})

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        self._visit_quoted(node.annotation)

    def visit_arg(self, node: ast.arg) -> None:
        self.generic_visit(node)
        self._visit_quoted(node.annotation)

    def _visit_quoted(self, annotation: ast.expr | None) -> None:
        """The names of a quoted annotation; one that a model reads may be followed."""
        for part in ast.walk(annotation) if annotation else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                with suppress(SyntaxError):
                    self.visit(ast.parse(part.value, mode="eval"))

    def visit_keyword(self, node: ast.keyword) -> None:
        is_help = node.arg in ("description", "epilog", "help") and chain_of(node.value) == ("__doc__",)
        if not is_help:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.words.add(node.name)
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Call(self, node: ast.Call) -> None:
        names = chain_of(node.func)
        if names[-1:] and names[-1] in ("import_module", "__import__", "find_spec", "run_module", "resolve_name"):
            self._import_by_text(node.args[0] if node.args else None)
        if (
            isinstance(node.func, ast.Attribute) and node.func.attr == "exception" and not node.args
        ):  # sys's, a future's
            self.words.add("sys.exception")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if chain_of(node.value)[-1:] == ("modules",):
            self._import_by_text(node.slice)
        self.generic_visit(node)

    def _import_by_text(self, node: ast.expr | None) -> None:
        text, is_whole = _leading_text(node)
        if text.startswith("."):
            level = len(text) - len(text.lstrip("."))
            text = ".".join([*self.package[: len(self.package) - level + 1], text.lstrip(".")])
        if is_whole:
            self.modules.append(text.partition(":")[0])
        elif text.startswith(f"{PACKAGE}."):
            self.prefixes.append(text)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.strings.add(node.value)
            self._add_pattern(node.value, is_end=False)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.generic_visit(node)
        last = node.values[-1] if node.values else None
        if isinstance(last, ast.Constant) and isinstance(last.value, str):
            self._add_pattern(last.value, is_end=True)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant) and isinstance(node.right.value, str):
            self._add_pattern(node.right.value, is_end=True)

    def _add_pattern(self, text: str, is_end: bool) -> None:
        """f"{name}.yaml", "*.yaml", "%s.yaml", ".yaml": all files that end so."""
        stem, dot, suffix = text.rpartition(".")
        is_open = is_end or not stem or any(mark in stem for mark in "*%{?[")
        if dot and is_open and suffix and len(suffix) < 12:
            self.patterns.add(f"*.{suffix}")
        elif text.endswith("*") and len(text) < 100:  # glob("*")
            self.patterns.add(text.rpartition("/")[2])

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.name if alias.asname else alias.name.partition(".")[0]
            self.imports.setdefault(alias.asname or bound, []).append((bound,))
            self.loaded[alias.name,] = None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self.package[: len(self.package) - node.level + 1] if node.level else []
        module = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(module)
                self.loaded[module,] = None
            else:
                self.imports.setdefault(alias.asname or alias.name, []).append((module, alias.name))
                self.loaded[module, alias.name] = None


# --- What a statement does when its module is imported

# Decorators that do nothing but to what they decorate, though they may read annotations.
_PLAIN_DECORATORS = HARMLESS | frozenset(
    "dataclasses.dataclass functools.total_ordering functools.singledispatch typing.overload typing.final "
    "typing.override typing.runtime_checkable enum.unique pydantic.field_validator pydantic.model_validator "
    "pydantic.field_serializer pydantic.model_serializer pydantic.computed_field contextlib.asynccontextmanager".split()
)
_PURE_BUILTINS = frozenset(
    "abs all any bool bytes complex dict divmod enumerate float frozenset int len list object ord range repr reversed "
    "round set slice str sum tuple zip hash isinstance issubclass super".split()
)
_CALLING_BUILTINS = frozenset("map filter sorted max min".split())  # they call what they are given
_PURE = (
    "re.compile re.escape pathlib. typing. collections. dataclasses.field functools.partial itertools. operator. math. "
    "string. logging.getLogger datetime. decimal. fractions. enum.auto os.path. threading. contextvars. struct.Struct "
    "pydantic.Field pydantic.ConfigDict numpy.array numpy.asarray numpy.arange numpy.zeros numpy.ones numpy.linspace "
    "numpy.finfo numpy.iinfo numpy.dtype numpy.float numpy.int numpy.uint numpy.sqrt numpy.log numpy.exp numpy.eye "
    "torch.device torch.Size socket.gethostname platform."
).split()
_PURE_METHODS = frozenset(
    "keys items values get split rsplit strip lstrip rstrip join format replace index count lower upper "
    "startswith title endswith copy union intersection difference partition rpartition splitlines encode decode "
    "removeprefix removesuffix capitalize isdigit zfill ljust rjust casefold fromkeys with_suffix with_name "
    "joinpath resolve absolute".split()
)
_LITERALS = (
    ast.Constant,
    ast.JoinedStr,
    ast.Dict,
    ast.List,
    ast.Tuple,
    ast.Set,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
)


def _acts(tree: ast.stmt, environment: Imports) -> bool:
    """Whether a top-level statement may do more than bind its names."""
    if isinstance(tree, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if isinstance(tree, ast.ClassDef) and tree.keywords:
            return True
        parts = ast.walk(tree) if isinstance(tree, ast.ClassDef) else [tree]
        functions = [part for part in parts if isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
        if not all(_is_plain_decorator(each, environment) for part in functions for each in part.decorator_list):
            return True
    elif not isinstance(tree, ast.Assign | ast.AnnAssign):
        return True
    for node in _run_on_import(tree):
        is_store = isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
        is_other = isinstance(node, ast.Await | ast.Delete | ast.AugAssign)
        if is_store or is_other or (isinstance(node, ast.Call) and not _is_pure(node, environment)):
            return True
    return False


def _is_plain_decorator(decorator: ast.expr, environment: Imports, plain: frozenset[str] = _PLAIN_DECORATORS) -> bool:
    is_accessor = isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "getter", "deleter")
    return is_accessor or environment.dotted(called(decorator)) in plain


def _is_pure(call: ast.Call, environment: Imports) -> bool:
    """Whether a call in a top-level statement certainly changes nothing."""
    name = environment.dotted(call.func)
    if name in _PURE_BUILTINS or name in _PLAIN_DECORATORS or name == "typing.cast":
        return True
    if name in _CALLING_BUILTINS:
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        given = [each for each in arguments if not isinstance(each, _LITERALS)]
        return all(isinstance(each, ast.Lambda) or environment.dotted(each) in _PURE_BUILTINS for each in given)
    if name and not name.startswith(f"{PACKAGE}."):
        return name.partition(".")[0] in ("dict", "str", "int", "bytes", "float") or name.startswith(tuple(_PURE))
    node: ast.AST = call.func
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    is_pure_method = isinstance(call.func, ast.Attribute) and call.func.attr in _PURE_METHODS
    own = environment.classes.get(call.func.id) if isinstance(call.func, ast.Name) else None
    if own and not hasattr(call.func, "variable"):
        return _is_plain_class(own, environment)
    if isinstance(node, ast.Call):
        return is_pure_method and _is_pure(node, environment)
    if isinstance(node, ast.Name) and not hasattr(node, "variable"):
        return is_pure_method and node.id in environment.literals
    return is_pure_method


def _is_plain_class(tree: ast.ClassDef, environment: Imports) -> bool:
    """Whether making an object of a class certainly runs no code of ours: a plain one or a dataclass without hooks."""
    methods = {node.name for node in tree.body if isinstance(node, FUNCTIONS)}
    factories = [
        part.value for part in ast.walk(tree) if isinstance(part, ast.keyword) and part.arg == "default_factory"
    ]
    return (
        not tree.keywords
        and not methods & {"__init__", "__new__", "__post_init__", "__setattr__"}
        and all(environment.dotted(base) == "typing.NamedTuple" for base in tree.bases)
        and all(environment.dotted(called(each)) == "dataclasses.dataclass" for each in tree.decorator_list)
        and all(environment.dotted(factory) in _PURE_BUILTINS for factory in factories)
    )


def _run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are evaluated when a top-level statement is: no bodies of functions, but their defaults."""
    if isinstance(node, FUNCTIONS):
        arguments = node.args
        evaluated: Iterable[ast.AST | None] = [
            *node.decorator_list,
            *arguments.defaults,
            *arguments.kw_defaults,
            node.returns,
            *(each.annotation for each in ast.walk(arguments) if isinstance(each, ast.arg)),
        ]
    elif isinstance(node, ast.Lambda):
        evaluated = [*node.args.defaults, *node.args.kw_defaults]
    else:
        evaluated = ast.iter_child_nodes(node)
    yield node
    for each in evaluated:
        if each:
            yield from _run_on_import(each)


def _environment(tree: ast.Module, package: str) -> Imports:
    """What a module's names stand for."""
    names, bound = _Names(package), set[str]()
    defined: dict[str, list[ast.AST]] = {}
    values: dict[str, list[ast.AST | None]] = {}
    for node in _module_level(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.visit(node)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            bound.add(node.name)
            defined.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    values.setdefault(target.id, []).append(node.value)
    inner = {each.name for each in ast.walk(tree) if isinstance(each, FUNCTIONS)}
    bound |= inner & {"staticmethod", "classmethod", "property"}
    stores = [each for each in ast.walk(tree) if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)]
    bound |= {each.id for each in stores if not hasattr(each, "variable")}
    single = {name: of[0] for name, of in values.items() if len(of) == 1}
    once = {name: of[0] for name, of in defined.items() if len(of) == 1 and name not in {*values, *names.imports}}
    classes = {name: node for name, node in once.items() if isinstance(node, ast.ClassDef)}
    functions = {name: node for name, node in once.items() if isinstance(node, ast.FunctionDef)}
    environment = Imports(names.imports, frozenset(bound), UNFOLLOWED, classes, functions)
    environment.literals = frozenset(name for name, value in single.items() if isinstance(value, _LITERALS))
    environment.loggers = frozenset(
        name
        for name, value in single.items()
        if isinstance(value, ast.Call) and environment.dotted(value.func) == "logging.getLogger"
    )
    return environment


def _module_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those within compound ones too."""
    for node in body:
        yield node
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
            for handler in getattr(node, "handlers", []) + getattr(node, "cases", []):
                inner += handler.body
            yield from _module_level(inner)


def _split(node: ast.stmt) -> list[ast.stmt]:
    """An import as one statement for each name."""
    if isinstance(node, ast.Import):
        return [ast.Import([alias]) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]
    return [node]


_NAMED = (ast.ClassDef, *FUNCTIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


def _bound(node: ast.stmt) -> list[str]:
    """The names that a top-level statement binds, rebinds or deletes; of a compound one, more rather than fewer."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        walrus = [part.target.id for part in _run_on_import(node) if isinstance(part, ast.NamedExpr)]
        return [node.name, *walrus] if not isinstance(node, ast.ClassDef) else [node.name]
    names: list[str] = []
    for part in _run_on_import(node):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load) and not hasattr(part, "variable"):
            names.append(part.id)
        elif isinstance(part, _NAMED) and part.name:
            names.append(part.name)
        elif isinstance(part, ast.alias) and part.name != "*":
            names.append(part.asname or part.name.partition(".")[0])
    return list(dict.fromkeys(names))


def _leading_text(node: ast.AST | None) -> tuple[str, bool]:
    """The constant text that a string begins with, and whether that is all of it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value, True
    if isinstance(node, ast.JoinedStr) and node.values:
        return _leading_text(node.values[0])[0], False
    if isinstance(node, ast.BinOp):
        return _leading_text(node.left)[0].partition("%")[0], False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_text(node.func.value):
        return _leading_text(node.func.value)[0].partition("{")[0], False
    return "", False


_DIGESTS: dict[tuple[str, frozenset[str]], tuple[dict[str, str], tuple[Stamp, ...]]] = {}
_MODULES: dict[tuple[Stamp, str, frozenset[str]], _Module] = {}


def _parse(stamp: Stamp, name: str, kept: frozenset[str]) -> _Module:
    """The module in a file, or the empty one of a folder without __init__.py; each parsed once."""
    key = (stamp, name, kept)
    if key not in _MODULES:
        path = stamp[0]
        try:
            tree = ast.parse(b"" if path.is_dir() else path.read_bytes(), path)
        except SyntaxError as error:
            raise UserError(f"{path}, line {error.lineno}: {error.msg}; mend this file") from error
        except (ValueError, OSError) as error:
            raise UserError(f"{path}: cannot be read as Python ({error}); mend this file") from error
        is_package = path.name == "__init__.py" or path.suffix != ".py"
        _MODULES[key] = _Module(tree, path, name if is_package else name.rpartition(".")[0], kept)
    return _MODULES[key]


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return path, -1, -1
    return path, status.st_mtime_ns, status.st_size


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE and module not in UNFOLLOWED


def _nearest(name: str, names: Iterable[str]) -> str:
    return "".join(f"; nearest is {close!r}" for close in difflib.get_close_matches(name, names, n=1, cutoff=0))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


if __name__ == "__main__":
    main()
