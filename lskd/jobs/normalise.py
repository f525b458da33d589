"""The normal form of code: equal for code that does the same but for messages, annotations and names of locals.

The code is parsed, never run. Where it cannot be told whether a difference has an effect, it is kept. The normal form
is a program of the same meaning: locals get names that no other variable has, so equal forms mean equal code.
"""

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Chain = tuple[str, ...]  # `a.b.c` as ("a", "b", "c"); what an import binds as (module, name) or (module,)
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Decorators that neither read annotations nor do anything but to the function itself.
HARMLESS = frozenset(
    "staticmethod classmethod property functools.cached_property functools.cache functools.lru_cache functools.wraps "
    "contextlib.contextmanager abc.abstractmethod torch.no_grad torch.inference_mode".split()
)
# Callables of locals; pandas' query reads its caller's.
_INTROSPECTION = frozenset("locals vars dir eval exec query f_locals _getframe currentframe stack".split())
_LOG_METHODS = frozenset("debug info warning error exception critical log".split())
_HARMLESS_CALLS = frozenset("len str round min max sum".split())
# What of a caught exception is no text of a `raise` with one argument.
_NOT_TEXT = frozenset("errno filename strerror lineno offset returncode __class__".split())


@dataclass(eq=False)
class Variable:
    """A variable of a function; `is_renamed` unless its name has a meaning beyond the function."""

    is_renamed: bool


@dataclass
class Imports:
    """What a module's names stand for, as far as normalising asks."""

    targets: Mapping[str, list[Chain]]  # imported names
    bound: frozenset[str]  # names that are bound otherwise
    unfollowed: frozenset[str]  # modules
    classes: Mapping[str, ast.ClassDef] = field(default_factory=dict)
    loggers: frozenset[str] = frozenset()

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
        name = self.dotted(node)
        return any(name.startswith(f"{module}.") for module in self.unfollowed)


def root_of(node: ast.AST) -> ast.AST:
    """The `a` of `a.b.c`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def chain_of(node: ast.AST) -> Chain:
    """`a.b.c` as ("a", "b", "c"); () for attributes of anything but a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


# --- Scopes: which variable each name is


class _Scope:
    def __init__(self, kind: str, parent: "_Scope | None", unit: "_Scope | None" = None) -> None:
        self.kind, self.parent = kind, parent  # "module", "class", "function" or "comprehension"
        self.unit: _Scope = unit or self  # the outermost function around
        self.bound: dict[str, Variable] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.is_introspected = False

    def bind(self, name: str, is_renamed: bool = True) -> None:
        if name not in self.globals and name not in self.nonlocals:
            variable = self.bound.setdefault(name, Variable(True))
            variable.is_renamed &= is_renamed

    def lookup(self, name: str) -> Variable | None:
        """The function's variable of that name; None for a name of the module, of a class or a builtin."""
        scope: _Scope | None = self
        while scope and scope.kind != "module":
            is_visible = scope is self or scope.kind != "class"
            if is_visible and name in scope.globals:
                return None
            if is_visible and name in scope.bound and name not in scope.nonlocals:
                return None if scope.kind == "class" else scope.bound[name]
            scope = scope.parent
        return None


class _Binder(ast.NodeVisitor):
    """Finds the scopes of a module, and marks each node that names a function's variable with that `variable`."""

    def __init__(self) -> None:
        self.scope = self.module = _Scope("module", None)
        self.uses: list[tuple[ast.AST, str, _Scope]] = []

    def inside(self, kind: str, nodes: Iterable[ast.AST], arguments: ast.arguments | None = None) -> None:
        outer = self.scope
        unit = outer.unit if outer.unit.kind in ("function", "comprehension") else None
        self.scope = _Scope(kind, outer, unit)
        for argument in all_arguments(arguments) if arguments else ():
            self.scope.bind(argument.arg, is_renamed=False)
            self.uses.append((argument, argument.arg, self.scope))
        for node in nodes:
            self.visit(node)
        self.scope = outer

    def visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node:
                self.visit(node)

    def visit_FunctionDef(self, node: Function) -> None:
        self.scope.bind(node.name, is_renamed=False)
        arguments = all_arguments(node.args)
        self.visit_all([*node.decorator_list, *node.args.defaults, *node.args.kw_defaults, node.returns])
        self.visit_all(argument.annotation for argument in arguments)
        self.inside("function", node.body, node.args)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_all([*node.args.defaults, *node.args.kw_defaults])
        self.inside("function", [node.body], node.args)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.bind(node.name, is_renamed=False)
        self.visit_all([*node.decorator_list, *node.bases, *node.keywords])
        self.inside("class", node.body)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        first, *others = node.generators
        self.visit(first.iter)
        values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self.inside("comprehension", [first.target, *first.ifs, *others, *values])

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        home = self.scope
        while home.kind == "comprehension" and home.parent:
            home = home.parent
        home.bind(node.target.id)
        self.uses.append((node.target, node.target.id, self.scope))
        self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.scope.bind(node.id)
        self.uses.append((node, node.id, self.scope))
        self.introspected(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.introspected(node.attr)
        self.generic_visit(node)

    def introspected(self, name: str) -> None:
        if name in _INTROSPECTION:
            self.scope.unit.is_introspected = True

    def visit_Call(self, node: ast.Call) -> None:
        # A module's own top level may call these without hiding them from its functions; `L = locals` hides it.
        if isinstance(node.func, ast.Name) and self.scope.kind == "module" and node.func.id in _INTROSPECTION:
            self.visit_all([*node.args, *node.keywords])
        else:
            self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        name = node.asname or node.name
        if "." in name:  # `import a.b` binds a
            self.scope.bind(name.partition(".")[0], is_renamed=False)
        elif name != "*":
            self.scope.bind(name)
            self.uses.append((node, name, self.scope))

    def visit_ExceptHandler(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self.scope.bind(node.name)
            self.uses.append((node, node.name, self.scope))
        self.generic_visit(node)

    visit_MatchAs = visit_MatchStar = visit_ExceptHandler

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self.scope.bind(node.rest, is_renamed=False)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.scope.globals.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.scope.nonlocals.update(node.names)
        for name in node.names:  # so that the statement keeps its names
            self.uses.append((node, name, self.scope))

    def mark(self) -> None:
        """Give each use its variable."""
        for node, name, scope in self.uses:
            variable = scope.lookup(name)
            if isinstance(node, ast.Nonlocal):
                variables = getattr(node, "variables", {})
                node.variables = variables | {name: variable}  # type: ignore[attr-defined]
            elif variable:
                variable.is_renamed &= not (scope.unit.is_introspected or self.module.is_introspected)
                node.variable = variable  # type: ignore[attr-defined]


def all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters, in order."""
    single = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *single]


def bind(tree: ast.Module) -> None:
    """Mark the nodes of a module that name a function's variable."""
    binder = _Binder()
    binder.visit(tree)
    binder.mark()


def number(tree: ast.AST) -> None:
    """Rename a function's variables $0, $1, ... in the order in which they come."""
    names: dict[Variable, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Nonlocal):
            variables: dict[str, Variable | None] = getattr(node, "variables", {})
            node.names = [_numbered(names, variables.get(name), name) for name in node.names]
            continue
        variable: Variable | None = getattr(node, "variable", None)
        if isinstance(node, ast.Name):
            node.id = _numbered(names, variable, node.id)
        elif isinstance(node, ast.alias) and variable:
            node.asname = _numbered(names, variable, node.asname or node.name)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            node.name = _numbered(names, variable, node.name)


def _numbered(names: dict[Variable, str], variable: Variable | None, name: str) -> str:
    return names.setdefault(variable, f"${len(names)}") if variable and variable.is_renamed else name


# --- What has no effect


class Normalise(ast.NodeTransformer):
    """Removes what changes no result: docstrings, annotations, messages, the u of u"...".

    `kept` holds what counts nonetheless: "annotations", "docs", "texts" (of errors), "prints".
    """

    def __init__(self, imports: Imports, kept: frozenset[str]) -> None:
        self.imports, self.kept = imports, kept
        self.owner: ast.AST | None = None  # the class, function or lambda around
        self.messengers: set[Variable] = set()  # variables that hold objects of modules that are not followed

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt] | None:
        outer = self.owner
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            self.owner = node
        visited = super().visit(node)
        self.owner = outer
        if getattr(visited, "body", None) == []:
            visited.body = [ast.Pass()]
        return visited

    def visit_Module(self, node: ast.Module) -> ast.Module:
        return self._with_body(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return self._with_body(node)

    def _with_body(self, node):  # type: ignore[no-untyped-def]
        doc = node.body[:1] if "docs" in self.kept else []
        self.generic_visit(node)
        is_doc = doc and isinstance(doc[0], ast.Expr) and is_text(doc[0].value)
        node.body = [*(doc if is_doc else []), *node.body]
        return node

    def visit_FunctionDef(self, node: Function) -> Function:
        for argument in all_arguments(node.args):
            variable, annotation = getattr(argument, "variable", None), argument.annotation
            if variable and annotation and self._is_messenger_type(annotation):
                self.messengers.add(variable)
        self._find_messengers(node)
        names = {self.imports.dotted(called(decorator)) or "?" for decorator in node.decorator_list}
        names = {"property" if _is_accessor(decorator) else "" for decorator in node.decorator_list} | names - {"?"} | (
            {"?"} if any(not self.imports.dotted(called(d)) and not _is_accessor(d) for d in node.decorator_list) else set()
        )
        if names - {""} <= HARMLESS and "annotations" not in self.kept:
            for argument in all_arguments(node.args):
                argument.annotation = argument.annotation if has_call(argument.annotation) else None
            node.returns = node.returns if has_call(node.returns) else None
        return self._with_body(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]
