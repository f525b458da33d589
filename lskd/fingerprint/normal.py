"""The normal form of code: equal for code that does the same but for messages, annotations and names of locals.

The code is parsed, never run. Where it cannot be told whether a difference has an effect, it is kept. The normal form
is a program of the same meaning: locals get names that no other variable has, so equal forms mean equal code.
"""

import ast
import builtins
from collections.abc import Iterator
from typing import Any

from lskd.fingerprint.imports import Imports
from lskd.fingerprint.scopes import Variable
from lskd.fingerprint.tree import Function, Transformer, all_arguments, called, chain_of, is_text, nodes, root_of

# Decorators that neither read annotations nor do anything but to the function itself.
HARMLESS = frozenset(
    "staticmethod classmethod property functools.cached_property functools.cache functools.lru_cache functools.wraps "
    "contextlib.contextmanager abc.abstractmethod torch.no_grad torch.inference_mode".split()
)
_LOG_METHODS = frozenset("debug info warning error exception critical log".split())
_HARMLESS_CALLS = frozenset("len str round min max sum".split())


class Normalise(Transformer):
    """Removes what changes no result: docstrings, annotations, messages, the u of u"...".

    `kept` holds what counts nonetheless: "annotations", "docs", "texts" (of errors), "prints".
    """

    def __init__(self, imports: Imports, kept: frozenset[str]) -> None:
        self.imports, self.kept = imports, kept
        self.owner: ast.AST | None = None  # the class, function or lambda around
        self.messengers: set[Variable] = set()  # variables that hold objects of modules that are not followed

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt] | None:
        if "body" not in node._fields:
            method = self.methods[type(node)]
            return method(self, node) if method else node
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

    def _with_body(self, node: Any) -> Any:
        doc = node.body[:1] if "docs" in self.kept else []
        self.generic_visit(node)
        is_doc = doc and isinstance(doc[0], ast.Expr) and is_text(doc[0].value)
        node.body = [*(doc if is_doc else []), *node.body]
        return node

    def visit_FunctionDef(self, node: Function) -> Function:
        self._add_messengers(node)
        is_harmless = all(self._is_harmless(decorator) for decorator in node.decorator_list)
        if is_harmless and "annotations" not in self.kept:
            for argument in all_arguments(node.args):
                argument.annotation = argument.annotation if _runs(argument.annotation) else None
            node.returns = node.returns if _runs(node.returns) else None
        return self._with_body(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def _is_harmless(self, decorator: ast.expr) -> bool:
        is_accessor = isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "getter", "deleter")
        return is_accessor or self.imports.dotted(called(decorator)) in HARMLESS

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if isinstance(self.owner, ast.ClassDef):  # a dataclass's or a model's field
            return node
        is_run = self.owner is None and _runs(node.annotation)
        if not is_run and (self.owner or "annotations" not in self.kept):
            if node.value:
                return ast.Assign([node.target], node.value, lineno=node.lineno)
            variable = getattr(node.target, "variable", None)
            if variable is None or variable.is_renamed:  # else the name's being local is known from here alone
                return None
            node.annotation = ast.Constant(...)
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        is_main = self.owner is None and ast.unparse(node.test) in ("__name__ == '__main__'", "'__main__' == __name__")
        if is_main or self.imports.dotted(node.test) == "typing.TYPE_CHECKING":
            self.generic_visit(node)
            return node.orelse
        return self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        node.kind = None
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        self.generic_visit(node)
        texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
        return node if len(texts) < len(node.values) else ast.Constant("".join(map(str, texts)))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if self.imports.dotted(node.func) == "typing.cast" and len(node.args) == 2 and not _runs(node.args[0]):
            node.args[0] = ast.Constant(...)
        return node

    # Messages

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) or self._is_said_elsewhere(node.value):
            return None
        self.generic_visit(node)
        if isinstance(node.value, ast.Call):
            call, name = node.value, self.imports.dotted(node.value.func)
            if name == "sys.exit" and "texts" not in self.kept or self.says(call) and "prints" not in self.kept:
                call.args = [without_text(argument) for argument in call.args]
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.exc, ast.Call) and self.is_message(node.exc) and "texts" not in self.kept:
            node.exc.args = [without_text(argument) for argument in node.exc.args]
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.generic_visit(node)
        if node.msg and "texts" not in self.kept:
            node.msg = without_text(node.msg)
        return node

    def says(self, call: ast.Call) -> bool:
        """Whether a call prints, logs or warns, and does nothing else."""
        name = self.imports.dotted(call.func)
        if name == "print":
            files = [keyword.value for keyword in call.keywords if keyword.arg in ("file", None)]
            return all(self.imports.dotted(file) in ("sys.stderr", "sys.stdout") for file in files)
        method = name.rpartition(".")[2]
        if name.startswith("logging.") and method in _LOG_METHODS or name in ("warnings.warn", "sys.stderr.write"):
            return True
        names = chain_of(call.func)
        is_global = not hasattr(root_of(call.func), "variable")
        return len(names) == 2 and is_global and names[0] in self.imports.loggers and names[1] in _LOG_METHODS

    def is_message(self, call: ast.Call) -> bool:
        """Whether what is raised takes its text as a text: one argument of a builtin exception, or one of ours."""
        if self.imports.is_unfollowed(call.func):
            return True
        return len(call.args) == 1 and not call.keywords and self._is_plain_exception(call.func)

    def _is_plain_exception(self, node: ast.AST) -> bool:
        name = chain_of(node)[0] if len(chain_of(node)) == 1 else ""
        own = None if hasattr(node, "variable") else self.imports.classes.get(name)
        if own:  # without a method that could read its text
            body = [part for part in own.body if not isinstance(part, ast.Pass) and not _is_bare_text(part)]
            is_plain = not body and not own.keywords and not own.decorator_list and own.bases
            return bool(is_plain) and all(self._is_plain_exception(base) for base in own.bases)
        kind = getattr(builtins, self.imports.dotted(node), None)
        return isinstance(kind, type) and issubclass(kind, BaseException)

    # Statements on objects of modules that are not followed

    def _add_messengers(self, function: Function) -> None:
        stores: dict[Variable, list[ast.AST | None]] = {}
        every = nodes(function)
        for node in every:
            for name, value in _stored(node):
                if variable := getattr(name, "variable", None):
                    stores.setdefault(variable, []).append(value)
        for argument in all_arguments(function.args):
            variable = getattr(argument, "variable", None)
            if variable and variable not in stores and self._is_messenger_type(argument.annotation):
                self.messengers.add(variable)
        for variable, values in stores.items():
            if len(values) == 1 and isinstance(values[0], ast.Call) and self.imports.is_unfollowed(values[0].func):
                self.messengers.add(variable)
        parameters = {getattr(node, "variable", None) for node in every if isinstance(node, ast.arg)}
        self.messengers -= {variable for variable in stores if variable in parameters}

    def _is_messenger_type(self, annotation: ast.expr | None) -> bool:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return False
        if isinstance(annotation, ast.BinOp):  # Report | None
            parts = [annotation.left, annotation.right]
            others = [part for part in parts if not (isinstance(part, ast.Constant) and part.value is None)]
            return len(others) == 1 and self._is_messenger_type(others[0])
        return annotation is not None and self.imports.is_unfollowed(annotation)

    def _is_said_elsewhere(self, call: ast.expr) -> bool:
        if not isinstance(call, ast.Call) or not chain_of(call.func):
            return False
        is_method = isinstance(call.func, ast.Attribute)
        is_messenger = is_method and getattr(root_of(call.func), "variable", None) in self.messengers
        if not is_messenger and not self.imports.is_unfollowed(call.func):
            return False
        return all(map(self._is_plain, [*call.args, *(keyword.value for keyword in call.keywords)]))

    def _is_plain(self, node: ast.expr) -> bool:
        """Whether an argument does nothing: names, attributes, items, constants, arithmetic."""
        plain = (ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Tuple, ast.Constant, ast.BinOp, ast.UnaryOp)
        texts = (ast.JoinedStr, ast.FormattedValue, ast.operator, ast.unaryop, ast.expr_context)
        for part in nodes(node):
            if isinstance(part, ast.Call):
                if self.imports.dotted(part.func) not in _HARMLESS_CALLS or part.keywords:
                    return False
            elif not isinstance(part, (*plain, *texts)):
                return False
        return True


def _runs(annotation: ast.expr | None) -> bool:
    """Whether an annotation does something when it is evaluated."""
    return annotation is not None and any(
        isinstance(part, ast.Call | ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for part in nodes(annotation)
    )


def _is_bare_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and is_text(node.value)


def _stored(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    """What a node binds, each with its value where that is simple. A name may come twice, as "not simple" too."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        yield node.targets[0], node.value
        node.targets[0].is_simple = True  # type: ignore[attr-defined]
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target, node.value
        node.target.is_simple = True  # type: ignore[attr-defined]
    elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
        yield node.optional_vars, node.context_expr
        node.optional_vars.is_simple = True  # type: ignore[attr-defined]
    elif isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load) and not hasattr(node, "is_simple"):
            yield node, None
    elif isinstance(node, ast.ExceptHandler | ast.alias | ast.MatchAs | ast.MatchStar):
        yield node, None


def without_text(node: ast.expr) -> ast.expr:
    """A message without its constant parts; what it evaluates stays."""
    if is_text(node):
        return ast.Constant("")
    if isinstance(node, ast.JoinedStr):
        node.values = [part for part in node.values if not isinstance(part, ast.Constant)]
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                part.value = without_text(part.value)
        return node if node.values else ast.Constant("")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        node.left, node.right = without_text(node.left), without_text(node.right)
        return ast.Constant("") if is_text(node.left) and is_text(node.right) else node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        node.left = without_text(node.left)
    elif isinstance(node, ast.IfExp):
        node.body, node.orelse = without_text(node.body), without_text(node.orelse)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join"):
        node.func.value = without_text(node.func.value)
    return node
