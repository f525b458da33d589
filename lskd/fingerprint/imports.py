"""What a module's names stand for."""

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lskd.fingerprint.followed import UNFOLLOWED
from lskd.fingerprint.names import Names
from lskd.fingerprint.tree import FUNCTIONS, Chain, chain_of, nodes, root_of

LITERALS = (
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


@dataclass
class Imports:
    """What a module's names stand for, as far as normalising asks."""

    targets: Mapping[str, list[Chain]]  # imported names
    bound: frozenset[str]  # names that are bound otherwise
    classes: Mapping[str, ast.ClassDef] = field(default_factory=dict)
    functions: Mapping[str, ast.FunctionDef] = field(default_factory=dict)
    loggers: frozenset[str] = frozenset()
    literals: frozenset[str] = frozenset()  # names of constants of builtin types

    def dotted(self, node: ast.AST) -> str:
        """The full name of a builtin or of what is imported once; "" for anything else."""
        names = chain_of(node)
        root = root_of(node)
        if not names or hasattr(root, "variable") or names[0] in self.bound:
            return ""
        if names[0] in self.targets:
            targets = self.targets[names[0]]
            return ".".join(targets[0] + names[1:]) if len(targets) == 1 else ""
        return ".".join(names) if hasattr(builtins, names[0]) else ""

    def is_unfollowed(self, node: ast.AST) -> bool:
        """Whether an expression is of a module that is not followed."""
        return self.dotted(node).startswith(UNFOLLOWED)


def imports_of(tree: ast.Module, package: str) -> Imports:
    """What a module's names stand for."""
    names, bound = Names(package), set[str]()
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
    every = nodes(tree)
    inner = {each.name for each in every if isinstance(each, FUNCTIONS)}
    bound |= inner & {"staticmethod", "classmethod", "property"}
    stores = [each for each in every if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)]
    bound |= {each.id for each in stores if not hasattr(each, "variable")}
    single = {name: of[0] for name, of in values.items() if len(of) == 1}
    once = {name: of[0] for name, of in defined.items() if len(of) == 1 and name not in {*values, *names.imports}}
    classes = {name: node for name, node in once.items() if isinstance(node, ast.ClassDef)}
    functions = {name: node for name, node in once.items() if isinstance(node, ast.FunctionDef)}
    imports = Imports(names.imports, frozenset(bound), classes, functions)
    imports.literals = frozenset(name for name, value in single.items() if isinstance(value, LITERALS))
    imports.loggers = frozenset(
        name
        for name, value in single.items()
        if isinstance(value, ast.Call) and imports.dotted(value.func) == "logging.getLogger"
    )
    return imports


def _module_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those within compound ones too."""
    for node in body:
        yield node
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
            for handler in getattr(node, "handlers", []) + getattr(node, "cases", []):
                inner += handler.body
            yield from _module_level(inner)
