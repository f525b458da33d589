"""The normal form of code: equal for code that does the same but for messages, annotations and names of locals.

The code is parsed, never run. Where it cannot be told whether a difference has an effect, it is kept. The normal form
is a program of the same meaning: locals get names that no other variable has, so equal forms mean equal code.
"""

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Chain = tuple[str, ...]  # `a.b.c` as ("a", "b", "c"); what an import binds as (module, name) or (module,)
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Decorators that neither read annotations nor do anything but to the function itself.
HARMLESS = frozenset(
    "staticmethod classmethod property functools.cached_property functools.cache functools.lru_cache functools.wraps "
    "contextlib.contextmanager abc.abstractmethod torch.no_grad torch.inference_mode".split()
)
_INTROSPECTION = frozenset("locals vars dir eval exec".split())  # readers of locals by name
_FRAMES = frozenset("f_locals _getframe currentframe getouterframes".split())
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
        for node in ast.walk(function):
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
        parameters = {getattr(node, "variable", None) for node in ast.walk(function) if isinstance(node, ast.arg)}
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
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                if self.imports.dotted(part.func) not in _HARMLESS_CALLS or part.keywords:
                    return False
            elif not isinstance(part, (*plain, *texts)):
                return False
        return True


def called(decorator: ast.expr) -> ast.expr:
    """The `f` of `@f` and of `@f(...)`."""
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _runs(annotation: ast.expr | None) -> bool:
    """Whether an annotation does something when it is evaluated."""
    return annotation is not None and any(
        isinstance(part, ast.Call | ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom)
        for part in ast.walk(annotation)
    )


def _is_bare_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and is_text(node.value)


def is_text(node: ast.AST) -> bool:
    """Whether a node is a string constant."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


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


# --- What shows that something has an effect after all


# Mentioned in code that runs: what they show counts, then, everywhere.
READERS = {
    "annotations": "get_type_hints __annotations__ get_annotations signature getfullargspec singledispatch "
    "singledispatchmethod validate_call create_model make_dataclass TypeAdapter getsource",
    "docs": "__doc__ getdoc getsource",
    "texts": "format_exc exc_info format_exception format_exception_only TracebackException last_value sys.exception",
    "prints": "subprocess redirect_stdout redirect_stderr catch_warnings filterwarnings addHandler FileHandler "
    "getsource",
    "order": "__init_subclass__ __prepare__ __set_name__ __dict__ vars getmembers __subclasses__ getsource",
    "subclasses": "__subclasses__",
}
_TEXT_BUILTINS = frozenset("str repr type len getattr format".split())


class Leaks(ast.NodeVisitor):
    """Whether code uses a caught exception for anything but messages: then the text of errors counts."""

    def __init__(self, normalise: Normalise, tree: ast.AST) -> None:
        self.normalise, self.tree = normalise, tree
        self.caught: set[object] = set()
        self.is_leaking = False
        self.in_message = 0

    def run(self) -> bool:
        """The answer; the names that a caught exception's text is assigned to are followed."""
        handlers = [node for node in ast.walk(self.tree) if isinstance(node, ast.ExceptHandler) and node.name]
        self.caught = {node.name for node in handlers}
        for node in ast.walk(self.tree):
            if isinstance(node, FUNCTIONS) and node.name == "__exit__" and len(all_arguments(node.args)) > 2:
                self.caught.add(all_arguments(node.args)[2].arg)
        size = -1
        while self.caught and len(self.caught) != size:
            size = len(self.caught)
            self.visit(self.tree)
        return self.is_leaking

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in self.caught and not self.in_message:
            self.is_leaking = True

    def visit_Attribute(self, node: ast.Attribute) -> None:
        is_caught = isinstance(node.value, ast.Name) and node.value.id in self.caught
        if not (is_caught and node.attr in _NOT_TEXT):
            self.visit(node.value)

    def visit_Compare(self, node: ast.Compare) -> None:
        is_none = all(isinstance(other, ast.Constant) and other.value is None for other in node.comparators)
        if not is_none:
            with_message, self.in_message = self.in_message, 0
            self.generic_visit(node)
            self.in_message = with_message

    def message(self, *nodes: ast.AST | None) -> None:
        self.in_message += 1
        for node in nodes:
            if node:
                self.visit(node)
        self.in_message -= 1

    def visit_Raise(self, node: ast.Raise) -> None:
        if isinstance(node.exc, ast.Call):
            self.visit(node.exc.func)
            self.message(*node.exc.args, *node.exc.keywords, node.cause)
        else:
            self.message(node.exc, node.cause)

    def visit_Call(self, node: ast.Call) -> None:
        name = self.normalise.imports.dotted(node.func)
        if name in ("isinstance", "type") and isinstance(node.args[0] if node.args else None, ast.Name):
            return
        arguments = [*node.args, *node.keywords]
        if name in ("sys.exit", "traceback.print_exception") or self.normalise.says(node):
            self.message(*arguments)
            return
        self.visit(node.func)
        outer = self.in_message
        if not (name in _TEXT_BUILTINS or self._is_text_method(node.func) or self._is_wording(node.func)):
            self.in_message = 0
        for argument in arguments:
            self.visit(argument)
        self.in_message = outer

    def _is_wording(self, function: ast.expr) -> bool:
        """Whether it is a function of this module that only returns a text made of its one argument."""
        imports = self.normalise.imports
        own = imports.functions.get(function.id) if isinstance(function, ast.Name) else None
        if own is None or hasattr(function, "variable") or own.decorator_list or len(own.args.args) != 1:
            return False
        returned = own.body[-1]
        if len(own.body) != 1 or not isinstance(returned, ast.Return) or returned.value is None:
            return False
        inner = Leaks(self.normalise, returned)
        inner.caught = {own.args.args[0].arg}
        inner.message(returned.value)
        return not inner.is_leaking

    def _is_text_method(self, function: ast.expr) -> bool:
        """Whether it is a method of a string constant, of the exception or of what comes of these: str(e).split."""
        node = function.value if isinstance(function, ast.Attribute) else None
        while isinstance(node, ast.Call | ast.Attribute | ast.Subscript):
            node = node.func if isinstance(node, ast.Call) else node.value
        is_text = isinstance(node, ast.Constant | ast.JoinedStr)
        return is_text or (isinstance(node, ast.Name) and node.id in {*self.caught, *_TEXT_BUILTINS})

    def visit_Assign(self, node: ast.Assign) -> None:
        for target, value in _pairs(node):
            if isinstance(target, ast.Name) and target.id.startswith("$"):
                if any(isinstance(part, ast.Name) and part.id in self.caught for part in ast.walk(value)):
                    self.caught.add(target.id)
                self.message(value)
            else:
                self.visit(target)
                self.visit(value)


def _pairs(node: ast.Assign) -> list[tuple[ast.expr, ast.expr]]:
    """What is assigned to what: `a, b = c, d` in two."""
    if len(node.targets) > 1:
        return [(target, node.value) for target in node.targets]
    target, value = node.targets[0], node.value
    if not (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts)):
        return [(target, value)]
    has_star = any(isinstance(part, ast.Starred) for part in [*target.elts, *value.elts])
    return [(target, value)] if has_star else list(zip(target.elts, value.elts, strict=True))


def dump(value: object) -> str:
    """As ast.dump, without what is empty: newer versions of Python add fields that old code leaves empty."""
    if isinstance(value, list):
        return f"[{','.join(map(dump, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = {name: part for name, part in ast.iter_fields(value) if name not in ("ctx", "kind", "type_comment")}
    if isinstance(value, ast.JoinedStr):  # Python 3.12 ends a nested format with an empty part
        fields["values"] = [part for part in value.values if getattr(part, "value", None) != ""]
    kept = (f"{name}={dump(part)}" for name, part in fields.items() if part is not None and part != [])
    return f"{type(value).__name__}({','.join(kept)})"
