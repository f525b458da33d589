"""One parsed file: its top-level statements, and its definitions by name, in their normal form."""

import ast
import copy
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from lskd.errors import UserError
from lskd.fingerprint.effects import acts, bound, is_plain_decorator, run_on_import
from lskd.fingerprint.files import Files
from lskd.fingerprint.followed import is_own
from lskd.fingerprint.imports import Imports, imports_of
from lskd.fingerprint.leaks import READERS, Leaks
from lskd.fingerprint.names import Names
from lskd.fingerprint.normal import HARMLESS, Normalise
from lskd.fingerprint.scopes import bind, number
from lskd.fingerprint.tree import FUNCTIONS, Chain, dump, nodes


def read(files: Files, name: str, kept: frozenset[str]) -> "Module | None":
    """The module of a dotted name, or the empty one of a folder without __init__.py; None where there is neither."""
    base = Path(*name.split("."))
    if len(base.parts) > 2 and not files.exists(base.parent):  # a name in a module that is a file
        return None
    for path in (base / "__init__.py", base.with_suffix(".py"), base):
        if files.exists(path):
            is_package = path.name == "__init__.py" or path.suffix != ".py"
            package = name if is_package else name.rpartition(".")[0]
            return Module(_parsed(files.root / path), path, package, kept)
    return None


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(b"" if path.is_dir() else path.read_bytes(), path)
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}; mend this file") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: cannot be read as Python ({error}); mend this file") from error


class Module:
    """One parsed file: its top-level statements, its definitions by name, and what its imports bind."""

    def __init__(self, tree: ast.Module, path: Path, package: str, kept: frozenset[str]) -> None:
        self.path, self.package = path, package  # the path is relative to the root
        self.is_package = path.name == "__init__.py" or path.suffix != ".py"
        bind(tree)
        imports = imports_of(tree, package)
        normalise = Normalise(imports, kept)
        normalise.visit(tree)
        statements = [part for node in tree.body if not isinstance(node, ast.Pass) for part in _split(node)]
        self.items = [Item(statement, package, imports) for statement in statements]
        self._find_rebound()
        self.imports: dict[str, list[Chain]] = {}
        self.stars: list[str] = []
        self.definitions: dict[str, Block] = {}
        for item in self.items:
            self.stars += item.stars
            for name, targets in item.imports.items():
                self.imports.setdefault(name, []).extend(targets)
            for name in item.binds:
                if not item.is_import or name in self.rebound:
                    self.definitions.setdefault(name, Block(package, normalise=normalise)).trees.append(item.tree)
        for name, block in [*self.definitions.items()]:
            self.definitions |= {f"{name}.{method}": part for method, part in block.part(imports).items()}
        nameless = [item.tree for item in self.items if not item.binds]
        for each in [*nameless, *(tree for block in self.definitions.values() for tree in block.trees)]:
            number(each)
        acting = [item.tree for item in self.items if item.acts and not item.binds and not item.is_import]
        self.statements = Block(package, acting, normalise, [item.tree for item in self.items if item.is_import])

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

    def touched(self, acting: list["Item"]) -> set[str]:
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


class Item:
    """A top-level statement."""

    def __init__(self, tree: ast.stmt, package: str, imports: Imports) -> None:
        self.tree = tree
        self.is_import = isinstance(tree, ast.Import | ast.ImportFrom)
        names = Names(package)
        names.visit(tree)
        self.imports, self.stars, self.written_globals = names.imports, names.stars, names.globals
        self.loads = sorted({".".join(target) for target in names.loaded} | {target[0] for target in names.loaded})
        self.loads = [name for name in self.loads if is_own(name)] if self.is_import else []
        self.names = {each[0] for each in names.chains}
        run = run_on_import(tree)
        self.binds = bound(tree, run)
        self.import_names = {node.id for node in run if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        self.acts = bool(self.stars) or (not self.is_import and self.binds != ["__all__"] and acts(tree, run, imports))


class Block:
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

    def part(self, imports: Imports) -> dict[str, "Block"]:
        """Take the methods out of a class: each name's own block."""
        if len(self.trees) != 1 or not isinstance(self.trees[0], ast.ClassDef):
            return {}
        frame = copy.copy(self.trees[0])
        groups: dict[str, list[ast.stmt]] = {}
        for node in frame.body:
            if isinstance(node, FUNCTIONS):
                groups.setdefault(node.name, []).append(node)
        others = [node for node in frame.body if not isinstance(node, FUNCTIONS)]
        used = {name for node in others for name in bound(node, run_on_import(node))}
        used |= {part.id for node in others for part in nodes(node) if isinstance(part, ast.Name)}
        for name, group in groups.items():
            mentioned = {part.id for node in group for part in run_on_import(node) if isinstance(part, ast.Name)}
            used |= mentioned - ({name} if len(group) > 1 else set())
        methods = {name: group for name, group in groups.items() if name not in used}
        decorators = [each for node in frame.body if isinstance(node, FUNCTIONS) for each in node.decorator_list]
        self.is_ordered = bool(frame.keywords) or not (
            all(is_plain_decorator(each, imports) for each in frame.decorator_list)
            and all(is_plain_decorator(each, imports, HARMLESS) for each in decorators)
        )
        frame.body = [node for node in frame.body if not (isinstance(node, FUNCTIONS) and node.name in methods)] or [
            ast.Pass()
        ]
        self.trees = [frame]
        self.methods = list(methods) if self.is_ordered else sorted(methods)
        return {name: Block(self.package, group, self.normalise) for name, group in methods.items()}

    @cached_property
    def names(self) -> Names:
        """Every name that the trees and imports mention."""
        names = Names(self.package)
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
        kinds = {kind for kind, words in READERS.items() if not self.names.words.isdisjoint(words)}
        catches = self.names.catches or "__exit__" in self.names.words
        if self.normalise and catches and any(Leaks(self.normalise, tree).run() for tree in self.trees):
            kinds.add("texts")
        return kinds


def _split(node: ast.stmt) -> list[ast.stmt]:
    """An import as one statement for each name."""
    if isinstance(node, ast.Import):
        return [ast.Import([alias]) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]
    return [node]
