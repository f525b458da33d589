"""The names of locals: which variable each name of a module is, and names that depend on nothing but their order."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from lskd.fingerprint.tree import Function, Visitor, all_arguments, chain_of, nodes

_INTROSPECTION = frozenset("locals vars dir eval exec".split())  # readers of locals by name
_FRAMES = frozenset("f_locals _getframe currentframe getouterframes".split())


@dataclass(eq=False)
class Variable:
    """A variable of a function; `is_renamed` unless its name has a meaning beyond the function."""

    is_renamed: bool


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


class _Binder(Visitor):
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
        if node.id in _INTROSPECTION:
            self.scope.unit.is_introspected = True

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _FRAMES or (node.attr in _INTROSPECTION and chain_of(node)[:1] == ("builtins",)):
            self.scope.unit.is_introspected = True
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        # A module's own top level may call these without hiding them from its functions; `L = locals` hides it.
        if isinstance(node.func, ast.Name) and self.scope.kind == "module" and node.func.id in _INTROSPECTION:
            self.visit_all([*node.args, *node.keywords])
            return
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("query", "eval") and node.args:
            self.scope.unit.is_introspected = True  # pandas reads its caller's locals
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


def bind(tree: ast.Module) -> None:
    """Mark the nodes of a module that name a function's variable."""
    binder = _Binder()
    binder.visit(tree)
    binder.mark()


def number(tree: ast.AST) -> None:
    """Rename a function's variables $0, $1, ... in the order in which they come."""
    names: dict[Variable, str] = {}
    for node in nodes(tree):
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
