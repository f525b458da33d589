"""Walking from name to name: which definitions lead to which others, and what identifies each."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain

from lskd.errors import UserError
from lskd.fingerprint.files import Files
from lskd.fingerprint.followed import is_own, is_unfollowed
from lskd.fingerprint.module import Block, Item, Module, read
from lskd.fingerprint.tree import Chain, chain_of, dump

STATEMENTS = "<statements>"  # what a module's import does beside defining names
WHOLE = "*"  # every definition of a module

Uses = dict[str, list[str]]  # name in a definition -> what it stands for: nodes, or dotted names outside
Modules = dict[tuple[str, frozenset[str]], Module | None]  # by dotted name and what counts in their normal form

_IN_NORMAL_FORM = frozenset({"annotations", "docs", "texts", "prints"})  # the other kinds change no tree


@dataclass
class Node:
    """What a definition uses, and the nodes to go on to; one that neither uses nor says anything does not count."""

    label: str  # for people: "lskd/supervision/losses.py:kd"
    uses: Uses | None  # None in what an earlier process kept
    below: list[str]
    readers: set[str]
    counts: bool
    digests: dict[bool, str] = field(default_factory=dict)  # by whether the order of methods counts


class Source:
    """The modules of the package, read as they are needed, and how names lead from one to another.

    A node is "module:definition", "module:Class.method", "module:<statements>", "module:*" or a data file's "/path"; a
    dotted name without a colon is a leaf. Nothing here depends on where walking began, so all walks share it.
    """

    def __init__(self, files: Files, kept: frozenset[str], parsed: Modules, nodes: dict[str, Node]) -> None:
        self.files, self.kept, self.parsed, self.nodes = files, kept, parsed, nodes
        self.modules: dict[str, Module] = {}
        self._absent: set[str] = set()
        self._acting: dict[str, list[Item]] = {}
        self._lines: dict[str, dict[Item, str]] = {}
        self._sequences: dict[str, list[str]] = {}
        self._acts: dict[str, bool] = {}

    def walk(self, entries: Iterable[str]) -> dict[str, str | None]:
        """The nodes reachable from `entries`, each with the one that it was first reached from."""
        todo: list[tuple[str, str | None]] = [(self._entry(entry), None) for entry in reversed([*entries])]
        above: dict[str, str | None] = {}
        while todo:
            node, before = todo.pop()
            if node not in above:
                above[node] = before
                todo += [(each, node) for each in reversed(self.node(node).below) if each not in above]
        return above

    def node(self, name: str) -> Node:
        """What is behind a node."""
        if name not in self.nodes:
            self.nodes[name] = Node(name[1:], {}, [], set(), True) if name.startswith("/") else self._node(name)
        return self.nodes[name]

    def _node(self, name: str) -> Node:
        uses, block = self._uses(name), self.block(name)
        below = [*chain.from_iterable(uses.values()), *(f"{name}.{method}" for method in block.methods)]
        below = [each for each in dict.fromkeys([*below, *self._executed(name)]) if ":" in each or each.startswith("/")]
        module, _, definition = name.partition(":")
        says = self._sequence(module) if definition == STATEMENTS else block.trees
        label = f"{self._home(module).path.as_posix()}:{definition}"
        return Node(label, uses, below, block.readers, bool(uses or says))

    def block(self, node: str) -> Block:
        """The source behind a node."""
        module, _, name = node.partition(":")
        if name in ("", WHOLE):
            return Block(module)
        home = self._home(module)
        return home.statements if name == STATEMENTS else home.definitions[name]

    def digest(self, name: str, in_order: bool) -> str:
        """10 hex digits of a node's name, of what the names in it stand for, and of its normalised tree."""
        node = self.node(name)
        if in_order not in node.digests:
            uses = self._uses(name) if node.uses is None else node.uses
            node.digests[in_order] = hashlib.sha256(self._bytes(name, uses, in_order)).hexdigest()[:10]
        return node.digests[in_order]

    def _bytes(self, name: str, uses: Uses, in_order: bool) -> bytes:
        if name.startswith("/"):
            return hashlib.sha256((self.files.root / name[1:]).read_bytes()).hexdigest().encode()
        module, _, definition = name.partition(":")
        lines = [name, *(f"{each} = {', '.join(uses[each])}" for each in sorted(uses))]
        if definition == STATEMENTS:
            lines += self._sequence(module)
        else:
            block = self.block(name)
            lines += [",".join(block.methods)] if block.is_ordered or in_order else []
            lines.append(block.dump)
        return "\n".join(lines).encode("utf-8", "surrogatepass")

    def _home(self, name: str) -> Module:
        """The module of a node."""
        module = self._module(name)
        assert module, name
        return module

    def _module(self, name: str) -> Module | None:
        """A module of the package; None where there is none of that name, or it is not to be followed."""
        if name not in self.modules and name not in self._absent:
            key = (name, self.kept & _IN_NORMAL_FORM)
            if key not in self.parsed:
                self.parsed[key] = read(self.files, *key) if is_own(name) else None
            module = self.parsed[key]
            if module:
                self.modules[name] = module
            else:
                self._absent.add(name)
        return self.modules.get(name)

    def _entry(self, entry: str) -> str:
        module, _, name = entry.partition(":")
        if entry in self.nodes and name.isidentifier():  # else it is a method, or no definition
            return entry
        home = self._module(module)
        if home and name in home.definitions and "." not in name:
            return entry
        if is_unfollowed(module):
            raise UserError(f"entry point {entry!r}: module {module} is not followed; name the code behind it")
        if home:
            raise UserError(f"entry point {entry!r}: {module} defines no {name!r}{_nearest(name, home.definitions)}")
        names = [".".join(path.with_suffix("").parts) for path in self.files.listing if path.match("[!_]*.py")]
        raise UserError(f"entry point {entry!r}: no module {module!r} under {self.files.root}{_nearest(module, names)}")

    # What names stand for

    def _uses(self, node: str) -> Uses:
        """What each name in a definition stands for."""
        module, _, name = node.partition(":")
        home, names = self._home(module), self.block(node).names
        targets = {".".join(each): [*self._resolve(node, each)] for each in sorted(names.chains)}
        for each in sorted(names.local_chains):  # imported within the function
            imported = names.imports.get(each[0], ())
            targets.setdefault(".".join(each), []).extend(
                chain.from_iterable(self._follow(target + each[1:]) for target in imported)
            )
        if name == WHOLE:
            targets["*"] = [*self._everything(module)]
        elif names.stars:
            targets["*"] = [*map(self._star, names.stars)]
        if name == STATEMENTS and home.stars:
            targets["*"] = [*map(self._star, home.stars)]
        texts = [*names.modules, *(sorted(names.strings) if names.starts else ())]
        targets["import_module"] = [
            *(f"{each}:{WHOLE}" for each in texts if self._module(each)),
            *chain.from_iterable(map(self._folder, names.prefixes)),
        ]
        targets["files"] = [f"/{path.as_posix()}" for path in self.files.used(home.path.parent, names)]
        uses = {each: list(dict.fromkeys(nodes)) for each, nodes in targets.items()}
        return {each: nodes for each, nodes in uses.items() if nodes}

    def _resolve(self, node: str, names: Chain) -> Iterator[str]:
        module, _, name = node.partition(":")
        home, imports = self._home(module), self.block(node).names.imports
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

    def _star(self, module: str) -> str:
        """What a star import brings."""
        return f"{module}:{WHOLE}" if self._module(module) else module

    def _follow(self, names: Chain, seen: frozenset[Chain] = frozenset()) -> Iterator[str]:
        """The nodes behind (module, name, attribute...), through whatever modules re-export the name."""
        module, *rest = names
        home = self._module(module)
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
        if is_unfollowed(below) or self._module(below):
            yield from self._follow((below, *rest[1:]), seen)
        else:  # set at run time, brought in by a star import, or the module's own __file__
            yield f"{module}:{WHOLE}"

    def _everything(self, module: str) -> Iterator[str]:
        yield f"{module}:{STATEMENTS}"
        yield from (f"{module}:{name}" for name in self._home(module).definitions)
        for target in chain.from_iterable(self._home(module).imports.values()):
            yield from self._follow(target)

    def _folder(self, prefix: str) -> Iterator[str]:
        """All modules whose dotted names go on from a prefix by one more name."""
        for name in self.files.modules:
            is_next = name.startswith(prefix) and "." not in name[len(prefix) :] and name != prefix.rstrip(".")
            if is_next and self._module(name):
                yield f"{name}:{WHOLE}"

    # What runs although nothing names it

    def _executed(self, node: str) -> Iterator[str]:
        """The top levels that run before this code does: of its module, of the packages above, of what is imported."""
        module, _, name = node.partition(":")
        if name == STATEMENTS:
            yield from (f"{module}:{each}" for item in self._acting_in(module) for each in item.binds)
        parts = module.split(".")
        modules = {".".join(parts[: n + 1]): None for n in range(len(parts))}
        for target in self.block(node).names.loaded:
            modules |= dict.fromkeys([target[0], ".".join(target)])
        yield from (f"{each}:{STATEMENTS}" for each in modules if self._module(each))

    def _acting_in(self, module: str) -> list[Item]:
        """The top-level statements that may do more than bind their names."""
        if module not in self._acting:
            items = self._home(module).items
            self._acting[module] = [item for item in items if item.acts or self._is_hooked(module, item)]
        return self._acting[module]

    def _is_hooked(self, module: str, item: Item) -> bool:
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

    def _sequence(self, module: str) -> list[str]:
        """What a module's import does, in order: statements, and names where an order may matter."""
        if module not in self._sequences:
            lines: list[str] = []
            own = self._own(module)
            for item in self._home(module).items:
                imports = [f"import {name}" for name in item.loads if item not in own and self._acts_on_import(name)]
                lines += [own[item]] if item in own else [line for line in imports if line not in lines]
            self._sequences[module] = lines
        return self._sequences[module]

    def _own(self, module: str) -> dict[Item, str]:
        """A line for each statement that does something itself."""
        if module not in self._lines:
            home, acting = self._home(module), self._acting_in(module)
            touched = home.touched(acting)
            lines = self._lines[module] = {}
            for item in home.items:
                if item.is_import and not item.stars:
                    continue
                if item in acting and not item.binds:
                    lines[item] = dump(item.tree)
                elif item in acting or home.stars or item.import_names & touched:
                    lines[item] = f"= {' '.join(item.binds)}"
        return self._lines[module]

    def _acts_on_import(self, name: str) -> bool:
        """Whether a module or one that it imports does something, however they import each other."""
        if name not in self._acts:
            seen, todo = {name}, [name]
            while todo:
                each = todo.pop()
                if self._module(each):
                    if self._acts.get(each) or self._own(each):
                        self._acts[name] = True
                        return True
                    more = {load for item in self._home(each).items for load in item.loads} - seen
                    seen |= more
                    todo += sorted(more)
            self._acts |= dict.fromkeys(seen, False)
        return self._acts[name]


def _nearest(name: str, names: Iterable[str]) -> str:
    return "".join(f"; nearest is {close!r}" for close in get_close_matches(name, names, n=1, cutoff=0))
