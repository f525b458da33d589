"""The code a job really uses, as a digest: the definitions that its entry points reach, read from their source alone.

Stdlib `ast` only; the code is parsed, never imported. Where reachability cannot be told, more is counted rather than
less. Not seen: names inside strings (`getattr(module, "name")` counts the whole module, `import_module("...")`
nothing) and classes or functions that register themselves elsewhere, except by a decorator of this package.

`python -m lskd.jobs.fingerprint lskd.train:train ...` prints the digest and what it is made of.
"""

import argparse
import ast
import difflib
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path

from lskd.errors import UserError

PACKAGE = "lskd"

# Not followed: messages, records, refusals, and what is speed only and recorded with each result.
UNFOLLOWED = frozenset(
    f"{PACKAGE}.{name}"
    for name in ("errors", "progress", "tracking", "runtime", "jobs.provenance", "jobs.fingerprint", "jobs.normalise")
)

STATEMENTS = "<statements>"  # a module's top level beside its definitions and imports
WHOLE = "*"  # every definition of a module
_NOT_COUNTED = {"TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'", "'__main__' == __name__"}
_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DYNAMIC = {"globals", "eval", "exec"}  # these reach anything in their own module
_HERE = Path(__file__).resolve().parent.parent.parent

Chain = tuple[str, ...]  # `a.b.c` as ("a", "b", "c"); what an import binds as (module, name) or (module,)
Stamp = tuple[Path, int, int]  # a file as it was looked up: path, mtime_ns, size (-1 where there is none)


def definitions(entry_points: Iterable[str], root: Path = _HERE) -> dict[str, str]:
    """"lskd/losses.py:kd" -> 10 hex digits, for each definition reachable from `entry_points` ("lskd.train:run").

    `root` is the folder that holds the package. Raises UserError for an entry point that does not exist and for a
    module that does not parse. Memoised for as long as no file that it read changes.
    """
    key = (str(root), frozenset(entry_points))
    digests, stamps = _DIGESTS.get(key, ({}, ()))
    if not digests or any(_stamp(stamp[0]) != stamp for stamp in stamps):
        source = _Source(root)
        digests = {name: _sha(text)[:10] for name, text in _texts(source, key[1]).items()}
        _DIGESTS[key] = digests, tuple(source.stamps)
    return dict(digests)


def code_digest(definitions: Mapping[str, str]) -> str:
    """16 hex digits of such a mapping."""
    return _sha("\n".join(f"{name} {digest}" for name, digest in sorted(definitions.items())))


def reachable(entry_points: Iterable[str], root: Path = _HERE) -> dict[str, str]:
    """What the digests are of: each definition's name -> its normalised source. Raises as `definitions` does."""
    source = _Source(root)
    nodes = source.walk(entry_points)
    return {source.label(node): "\n".join(map(ast.unparse, source.block(node).trees)) for node in sorted(nodes)}


def main(arguments: list[str] | None = None) -> None:
    """Print the digest of some entry points, and the digest and name of each definition that they reach."""
    parser = argparse.ArgumentParser(prog="python -m lskd.jobs.fingerprint", description="What code a job depends on.")
    parser.add_argument("entry", nargs="+", help="module:function")
    entries = parser.parse_args(arguments).entry
    try:
        digests = definitions(entries)
        print(code_digest(digests))
        for name, digest in digests.items():
            print(f"  {digest} {name}")
    except UserError as error:
        sys.exit(f"error: {error}")


def _texts(source: "_Source", entries: Iterable[str]) -> dict[str, str]:
    """For each definition: its name, what the names in it stand for, and its normalised tree, as one text."""
    texts = {}
    for node, uses in source.walk(entries).items():
        stands_for = (f"{name} = {', '.join(uses[name])}" for name in sorted(uses))
        texts[source.label(node)] = "\n".join([node, *stands_for, source.block(node).dump])
    return dict(sorted(texts.items()))


class _Source:
    """The modules of the package under `root`, read as they are needed, and how names lead from one to another.

    A node is "module:definition", "module:<statements>" or "module:*"; a dotted name without a colon is a leaf.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stamps: set[Stamp] = set()
        self.modules: dict[str, _Module] = {}

    def module(self, name: str) -> "_Module | None":
        """A module of the package; None where there is none of that name, or it is not to be followed."""
        if name not in self.modules and _is_own(name):
            base = Path(self.root, *name.split("."))
            for path in (base / "__init__.py", base.with_suffix(".py"), base):
                stamp = _stamp(path)
                self.stamps.add(stamp)
                if stamp[1] >= 0:
                    self.modules[name] = _parse(stamp, name)
                    break
        return self.modules.get(name)

    def label(self, node: str) -> str:
        """A node's name by its file: "lskd/losses.py:kd"."""
        module, _, name = node.partition(":")
        base = Path(*module.split("."))
        is_folder = Path(self.root, base).is_dir()
        return f"{(base / '__init__.py' if is_folder else base.with_suffix('.py')).as_posix()}:{name}"

    def block(self, node: str) -> "_Block":
        """The source behind a node."""
        module, _, name = node.partition(":")
        if name == WHOLE:
            return _Block(module)
        return self.modules[module].statements if name == STATEMENTS else self.modules[module].definitions[name]

    def walk(self, entries: Iterable[str]) -> dict[str, dict[str, list[str]]]:
        """The nodes reachable from `entries`, each with what its names stand for; empty ones are left out."""
        todo = [self._entry(entry) for entry in set(entries)]
        found: dict[str, dict[str, list[str]]] = {}
        while todo:
            node = todo.pop()
            if ":" in node and node not in found:
                found[node] = self._uses(node)
                todo += [*chain.from_iterable(found[node].values()), *self._executed(node)]
        return {node: uses for node, uses in found.items() if uses or self.block(node).trees}

    def _entry(self, entry: str) -> str:
        module, _, name = entry.partition(":")
        found = self.module(module)
        if found and name in found.definitions:
            return entry
        if module in UNFOLLOWED:
            raise UserError(f"entry point {entry!r}: module {module} is not followed; name the code behind it")
        if found:
            raise UserError(f"entry point {entry!r}: {module} defines no {name!r}{_nearest(name, found.definitions)}")
        files = Path(self.root, PACKAGE).rglob("[!_]*.py")
        names = [".".join(path.relative_to(self.root).with_suffix("").parts) for path in sorted(files)]
        raise UserError(f"entry point {entry!r}: no module {module!r} under {self.root}{_nearest(module, names)}")

    def _uses(self, node: str) -> dict[str, list[str]]:
        """What each name in a definition stands for: nodes of the package, or dotted names outside it."""
        module, block = node.partition(":")[0], self.block(node)
        found = {".".join(names): self._resolve(module, block, names) for names in block.names.chains}
        if node == f"{module}:{WHOLE}":
            found["*"] = self._everything(module)
        elif block.names.stars:
            found["*"] = chain.from_iterable(self._follow((star,)) for star in block.names.stars)
        uses = {name: list(dict.fromkeys(targets)) for name, targets in found.items()}
        return {name: targets for name, targets in uses.items() if targets}

    def _resolve(self, module: str, block: "_Block", names: Chain) -> Iterator[str]:
        for target in block.names.imports.get(names[0], ()):
            yield from self._follow(target + names[1:])
        if names[0] in self.modules[module].definitions or names[0] in self.modules[module].imports:
            yield from self._follow((module, *names))
        elif names[0] in _DYNAMIC:
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

    def _executed(self, node: str) -> Iterator[str]:
        """The top levels that run before this code does: of its module, of the packages above, of what is imported."""
        module = node.partition(":")[0]
        parts = module.split(".")
        modules = {".".join(parts[: n + 1]) for n in range(len(parts))}
        for target in self.block(node).names.loaded:
            modules |= {found.partition(":")[0] for found in self._follow(target) if ":" in found}
        yield from (f"{name}:{STATEMENTS}" for name in modules if self.module(name))


class _Module:
    """One parsed file: its definitions by name, its top-level statements, and what its imports bind."""

    def __init__(self, body: list[ast.stmt], package: str) -> None:
        nodes = list(_top_level(body))
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        others = [node for node in nodes if not isinstance(node, ast.Import | ast.ImportFrom)]
        self.definitions: dict[str, _Block] = {}
        for node in others:
            for bound in _bound(node):
                self.definitions.setdefault(bound, _Block(package)).trees.append(node)
        imported = _Block(package, imports).names.imports
        own = {name for name in imported if any(_is_own(target[0]) for target in imported[name])} | {*self.definitions}
        self.statements = _Block(package, imports, [node for node in others if not _is_definition(node, own)])
        self.imports = self.statements.names.imports


class _Block:
    """A definition, or the statements of a module: normalised trees, and the imports that go with them."""

    def __init__(self, package: str, imports: Iterable[ast.stmt] = (), trees: Iterable[ast.stmt] = ()) -> None:
        self.package, self.top_imports, self.trees = package, list(imports), list(trees)

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
        return "\n".join(map(_dump, self.trees))


class _Names(ast.NodeVisitor):
    """The names that code mentions (`chains`) and what it imports."""

    def __init__(self, package: str) -> None:
        self.package = package.split(".")
        self.chains: set[Chain] = set()
        self.imports: dict[str, list[Chain]] = {}  # name here -> what it stands for, the last import last
        self.stars: list[str] = []
        self.loaded: set[Chain] = set()  # imported, thereby run, whether or not a name of it is used

    def visit_Name(self, node: ast.Name) -> None:
        self.chains.add((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if names := _chain(node):
            self.chains.add(names)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.name if alias.asname else alias.name.partition(".")[0]
            self.imports.setdefault(alias.asname or bound, []).append((bound,))
            self.loaded.add((alias.name,))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self.package[: len(self.package) - node.level + 1] if node.level else []
        module = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(module)
                self.loaded.add((module,))
            else:
                self.imports.setdefault(alias.asname or alias.name, []).append((module, alias.name))
                self.loaded.add((module, alias.name))


class _Normalise(ast.NodeTransformer):
    """Removes what changes no result: docstrings and other bare strings, annotations, the u of u"..."."""

    in_class = False

    def visit(self, node: ast.AST) -> ast.AST | None:
        outside = self.in_class
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            self.in_class = isinstance(node, ast.ClassDef)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        made = super().visit(node)
        self.in_class = outside
        if getattr(made, "body", None) == []:
            made.body = [ast.Pass()]
        return made

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        bare = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if bare else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        node.kind = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        node.annotation = ast.Constant(...)
        self.generic_visit(node)
        if self.in_class:  # a dataclass's field: that it is annotated counts, its type does not
            return node
        return ast.Assign([node.target], node.value, lineno=node.lineno) if node.value else None


_DIGESTS: dict[tuple[str, frozenset[str]], tuple[dict[str, str], tuple[Stamp, ...]]] = {}
_MODULES: dict[tuple[Stamp, str], _Module] = {}


def _parse(stamp: Stamp, name: str) -> _Module:
    """The module in a file, or the empty one of a folder without __init__.py; each parsed once."""
    if (stamp, name) not in _MODULES:
        path = stamp[0]
        try:
            tree = ast.parse(b"" if path.is_dir() else path.read_bytes(), path)
        except SyntaxError as error:
            raise UserError(f"{path}, line {error.lineno}: {error.msg}; mend this file") from error
        except (ValueError, OSError) as error:
            raise UserError(f"{path}: cannot be read as Python ({error}); mend this file") from error
        _Normalise().visit(tree)
        is_package = path.name == "__init__.py" or path.suffix != ".py"
        _MODULES[stamp, name] = _Module(tree.body, name if is_package else name.rpartition(".")[0])
    return _MODULES[stamp, name]


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return path, -1, -1
    return path, found.st_mtime_ns, found.st_size


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that an import of the module runs and that matter."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in _NOT_COUNTED:
            yield from _top_level(node.orelse)
        elif isinstance(node, ast.Assign | ast.AugAssign) and _bound(node) == ["__all__"]:
            continue
        elif not isinstance(node, ast.Pass):
            yield node


def _bound(node: ast.stmt) -> list[str]:
    """The names that a top-level statement defines; of a compound one, more rather than fewer."""
    if isinstance(node, _DEFINED):
        return [node.name]
    parts = list(chain.from_iterable(map(ast.walk, node.targets if isinstance(node, ast.Assign) else [node])))
    names = [part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
    names += [part.name for part in parts if isinstance(part, _DEFINED)]
    return list(dict.fromkeys(names))


def _is_definition(node: ast.stmt, own: set[str]) -> bool:
    """Whether a top-level statement only defines names; a decorator of this package may do more, such as register."""
    if isinstance(node, _DEFINED):
        called = [made.func if isinstance(made, ast.Call) else made for made in node.decorator_list]
        return not any(names[0] in own for names in map(_chain, called) if names)
    parts = chain.from_iterable(map(ast.walk, node.targets)) if isinstance(node, ast.Assign) else [node]
    return not any(isinstance(part, ast.stmt | ast.Attribute | ast.Subscript) for part in parts)


def _chain(node: ast.AST) -> Chain:
    """`a.b.c` as ("a", "b", "c"); () for attributes of anything but a name."""
    if isinstance(node, ast.Attribute):
        above = _chain(node.value)
        return (*above, node.attr) if above else ()
    return (node.id,) if isinstance(node, ast.Name) else ()


def _dump(value: object) -> str:
    """As ast.dump, without what is empty: newer versions of Python add fields that old code leaves empty."""
    if isinstance(value, list):
        return f"[{','.join(map(_dump, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = {name: field for name, field in ast.iter_fields(value) if name not in ("ctx", "kind")}
    if isinstance(value, ast.JoinedStr):  # Python 3.12 ends a nested format with an empty part
        fields["values"] = [part for part in value.values if getattr(part, "value", None) != ""]
    kept = (f"{name}={_dump(field)}" for name, field in fields.items() if field is not None and field != [])
    return f"{type(value).__name__}({','.join(kept)})"


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE and module not in UNFOLLOWED


def _nearest(name: str, names: Iterable[str]) -> str:
    return "".join(f"; nearest is {close!r}" for close in difflib.get_close_matches(name, names, n=1, cutoff=0))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


if __name__ == "__main__":
    main()
