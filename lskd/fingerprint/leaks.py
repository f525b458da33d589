"""What shows that a text or an order has an effect after all."""

import ast

from lskd.fingerprint.normal import Normalise
from lskd.fingerprint.tree import FUNCTIONS, Visitor, all_arguments, nodes

# What of a caught exception is no text of a `raise` with one argument.
_NOT_TEXT = frozenset("errno filename strerror lineno offset returncode __class__".split())

# Mentioned in code that runs: what they show counts, then, everywhere.
READERS = {
    kind: frozenset(words.split())
    for kind, words in {
        "annotations": "get_type_hints __annotations__ get_annotations signature getfullargspec singledispatch "
        "singledispatchmethod validate_call create_model make_dataclass TypeAdapter getsource",
        "docs": "__doc__ getdoc getsource",
        "texts": "format_exc exc_info format_exception format_exception_only TracebackException last_value "
        "sys.exception",
        "prints": "subprocess redirect_stdout redirect_stderr catch_warnings filterwarnings addHandler FileHandler "
        "getsource",
        "order": "__init_subclass__ __prepare__ __set_name__ __dict__ vars getmembers __subclasses__ getsource",
        "subclasses": "__subclasses__",
    }.items()
}
_TEXT_BUILTINS = frozenset("str repr type len getattr format".split())


class Leaks(Visitor):
    """Whether code uses a caught exception for anything but messages: then the text of errors counts."""

    def __init__(self, normalise: Normalise, tree: ast.AST) -> None:
        self.normalise, self.tree = normalise, tree
        self.caught: set[object] = set()
        self.is_leaking = False
        self.in_message = 0

    def run(self) -> bool:
        """The answer; the names that a caught exception's text is assigned to are followed."""
        every = nodes(self.tree)
        self.caught = {node.name for node in every if isinstance(node, ast.ExceptHandler) and node.name}
        for node in every:
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
        is_unfollowed = self.normalise.imports.is_unfollowed(node.func)  # such as errors.is_of_memory
        if name in ("sys.exit", "traceback.print_exception") or self.normalise.says(node) or is_unfollowed:
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
                if any(isinstance(part, ast.Name) and part.id in self.caught for part in nodes(value)):
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
