"""Small questions about syntax trees, ways to visit them, and their text."""

import ast
from collections.abc import Callable
from typing import Any, ClassVar

Chain = tuple[str, ...]  # `a.b.c` as ("a", "b", "c"); what an import binds as (module, name) or (module,)
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def root_of(node: ast.AST) -> ast.AST:
    """The `a` of `a.b.c`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def chain_of(node: ast.AST) -> Chain:
    """`a.b.c` as ("a", "b", "c"); () for attributes of anything but a name."""
    if isinstance(node, ast.Name):
        return (node.id,)
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters, in order."""
    single = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *single]


def called(decorator: ast.expr) -> ast.expr:
    """The `f` of `@f` and of `@f(...)`."""
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def is_text(node: ast.AST) -> bool:
    """Whether a node is a string constant."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def leading_text(node: ast.AST | None) -> tuple[str, bool]:
    """The constant text that a string begins with, and whether that is all of it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value, True
    if isinstance(node, ast.JoinedStr) and node.values:
        return leading_text(node.values[0])[0], False
    if isinstance(node, ast.BinOp):
        return leading_text(node.left)[0].partition("%")[0], False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_text(node.func.value):
        return leading_text(node.func.value)[0].partition("{")[0], False
    return "", False


class _Fields(dict[type, tuple[str, ...]]):
    """The fields of each kind of node, but for some."""

    def __init__(self, without: str) -> None:
        self.without = without.split()

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        self[kind] = tuple(name for name in kind._fields if name not in self.without)
        return self[kind]


_FIELDS = _Fields("ctx op ops id attr arg asname level module kind type_comment conversion simple is_async")
_FIELDS[ast.Constant] = ()  # so that only fields that may hold nodes are left
_WRITTEN = _Fields("ctx kind type_comment")


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below one, but for contexts and operators."""
    below: list[ast.AST] = []
    for name in _FIELDS[type(node)]:
        value = getattr(node, name, None)
        if isinstance(value, list):
            below += [each for each in value if isinstance(each, ast.AST)]
        elif isinstance(value, ast.AST):
            below.append(value)
    return below


def nodes(tree: ast.AST) -> list[ast.AST]:
    """A tree's nodes in the order of ast.walk, breadth first, but for contexts and operators."""
    every = [tree]
    for node in every:  # it grows meanwhile
        if _FIELDS[type(node)]:
            every += children(node)
    return every


class _Methods(dict[type, Callable[..., Any] | None]):
    """A visitor's method for each kind of node; None where there is nothing to visit."""

    def __init__(self, visitor: "type[Visitor]") -> None:
        self.visitor = visitor

    def __missing__(self, kind: type) -> Callable[..., Any] | None:
        default = self.visitor.generic_visit if _FIELDS[kind] else None
        self[kind] = getattr(self.visitor, f"visit_{kind.__name__}", default)
        return self[kind]


class Visitor:
    """As ast.NodeVisitor, faster: methods are looked up once for each kind of node, contexts and operators left out."""

    methods: ClassVar[dict[type, Callable[..., Any] | None]]

    def __init_subclass__(cls) -> None:
        cls.methods = _Methods(cls)

    def visit(self, node: ast.AST) -> Any:
        """Call the method for a node of this kind."""
        method = self.methods[type(node)]
        return method(self, node) if method else node

    def generic_visit(self, node: Any) -> Any:
        """Visit the nodes right below one."""
        for child in children(node):
            method = self.methods[type(child)]
            if method:
                method(self, child)


class Transformer(Visitor):
    """As ast.NodeTransformer: what a method returns takes the node's place; a statement may become none or several."""

    def generic_visit(self, node: Any) -> Any:
        """Put what becomes of the nodes right below one in their places."""
        for name in _FIELDS[type(node)]:
            value = getattr(node, name, None)
            if isinstance(value, list):
                value[:] = self._all(value)
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        return node

    def _all(self, values: list[Any]) -> list[Any]:
        after: list[Any] = []
        for each in values:
            new = self.visit(each) if isinstance(each, ast.AST) else each
            if isinstance(new, list):
                after += new
            elif new is not None or each is None:  # None: the key of {**x}
                after.append(new)
        return after


def dump(value: object) -> str:
    """As ast.dump, without what is empty: newer versions of Python add fields that old code leaves empty."""
    if isinstance(value, list):
        return f"[{','.join(map(dump, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    kind, parts = type(value), []
    for name in _WRITTEN[kind]:
        part = getattr(value, name, None)
        if kind is ast.JoinedStr:  # Python 3.12 ends a nested format with an empty part
            part = [each for each in value.values if getattr(each, "value", None) != ""]  # type: ignore[attr-defined]
        if part is not None and part != []:
            parts.append(f"{name}={dump(part)}")
    return f"{kind.__name__}({','.join(parts)})"
