"""What a statement does when its module is imported."""

import ast

from lskd.fingerprint.followed import PACKAGE, is_unfollowed
from lskd.fingerprint.imports import LITERALS, Imports
from lskd.fingerprint.normal import HARMLESS
from lskd.fingerprint.tree import FUNCTIONS, called, children, nodes

# Decorators that do nothing but to what they decorate, though they may read annotations.
_PLAIN_DECORATORS = HARMLESS | frozenset(
    "dataclasses.dataclass functools.total_ordering functools.singledispatch typing.overload typing.final "
    "typing.override typing.runtime_checkable enum.unique pydantic.field_validator pydantic.model_validator "
    "pydantic.field_serializer pydantic.model_serializer pydantic.computed_field contextlib.asynccontextmanager".split()
)
_PURE_BUILTINS = frozenset(
    "abs all any bool bytes complex dict divmod enumerate float frozenset int len list object ord range repr reversed "
    "round set slice str sum tuple zip hash isinstance issubclass super".split()
)
_CALLING_BUILTINS = frozenset("map filter sorted max min".split())  # they call what they are given
_PURE = (
    "re.compile re.escape pathlib. typing. collections. dataclasses.field functools.partial itertools. operator. math. "
    "string. logging.getLogger datetime. decimal. fractions. enum.auto os.path. threading. contextvars. struct.Struct "
    "pydantic.Field pydantic.ConfigDict numpy.array numpy.asarray numpy.arange numpy.zeros numpy.ones numpy.linspace "
    "numpy.finfo numpy.iinfo numpy.dtype numpy.float numpy.int numpy.uint numpy.sqrt numpy.log numpy.exp numpy.eye "
    "torch.device torch.Size socket.gethostname platform."
).split()
_PURE_METHODS = frozenset(
    "keys items values get split rsplit strip lstrip rstrip join format replace index count lower upper "
    "startswith title endswith copy union intersection difference partition rpartition splitlines encode decode "
    "removeprefix removesuffix capitalize isdigit zfill ljust rjust casefold fromkeys with_suffix with_name "
    "joinpath resolve absolute".split()
)


def acts(tree: ast.stmt, run: list[ast.AST], imports: Imports) -> bool:
    """Whether a top-level statement, with what of it is run on import, may do more than bind its names."""
    if isinstance(tree, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if isinstance(tree, ast.ClassDef) and tree.keywords:
            return True
        parts = nodes(tree) if isinstance(tree, ast.ClassDef) else [tree]
        functions = [part for part in parts if isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
        if not all(is_plain_decorator(each, imports) for part in functions for each in part.decorator_list):
            return True
    elif not isinstance(tree, ast.Assign | ast.AnnAssign):
        return True
    for node in run:
        is_store = isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
        is_other = isinstance(node, ast.Await | ast.Delete | ast.AugAssign)
        if is_store or is_other or (isinstance(node, ast.Call) and not _is_pure(node, imports)):
            return True
    return False


def is_plain_decorator(decorator: ast.expr, imports: Imports, plain: frozenset[str] = _PLAIN_DECORATORS) -> bool:
    """Whether a decorator is an accessor's or one of `plain`."""
    is_accessor = isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "getter", "deleter")
    return is_accessor or imports.dotted(called(decorator)) in plain


def _is_pure(call: ast.Call, imports: Imports) -> bool:
    """Whether a call in a top-level statement certainly changes nothing."""
    name = imports.dotted(call.func)
    if name in _PURE_BUILTINS or name in _PLAIN_DECORATORS or name == "typing.cast":
        return True
    if name in _CALLING_BUILTINS:
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        given = [each for each in arguments if not isinstance(each, LITERALS)]
        return all(isinstance(each, ast.Lambda) or imports.dotted(each) in _PURE_BUILTINS for each in given)
    if name and is_unfollowed(name):
        return True
    if name and not name.startswith(f"{PACKAGE}."):
        return name.partition(".")[0] in ("dict", "str", "int", "bytes", "float") or name.startswith(tuple(_PURE))
    node: ast.AST = call.func
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    is_pure_method = isinstance(call.func, ast.Attribute) and call.func.attr in _PURE_METHODS
    own = imports.classes.get(call.func.id) if isinstance(call.func, ast.Name) else None
    if own and not hasattr(call.func, "variable"):
        return _is_plain_class(own, imports)
    if isinstance(node, ast.Call):
        return is_pure_method and _is_pure(node, imports)
    if isinstance(node, ast.Name) and not hasattr(node, "variable"):
        return is_pure_method and node.id in imports.literals
    return is_pure_method


def _is_plain_class(tree: ast.ClassDef, imports: Imports) -> bool:
    """Whether making an object of a class certainly runs no code of ours: a plain one or a dataclass without hooks."""
    methods = {node.name for node in tree.body if isinstance(node, FUNCTIONS)}
    factories = [part.value for part in nodes(tree) if isinstance(part, ast.keyword) and part.arg == "default_factory"]
    return (
        not tree.keywords
        and not methods & {"__init__", "__new__", "__post_init__", "__setattr__"}
        and all(imports.dotted(base) == "typing.NamedTuple" for base in tree.bases)
        and all(imports.dotted(called(each)) == "dataclasses.dataclass" for each in tree.decorator_list)
        and all(imports.dotted(factory) in _PURE_BUILTINS for factory in factories)
    )


def run_on_import(statement: ast.AST) -> list[ast.AST]:
    """The nodes that are evaluated when a top-level statement is: no bodies of functions, but their defaults."""
    evaluated: list[ast.AST] = []
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        evaluated.append(node)
        todo += reversed(_evaluated(node))
    return evaluated


def _evaluated(node: ast.AST) -> list[ast.AST]:
    """The nodes right below one that are evaluated with it."""
    if isinstance(node, ast.Lambda):
        return [each for each in (*node.args.defaults, *node.args.kw_defaults) if each]
    if not isinstance(node, FUNCTIONS):
        return children(node)
    annotations = [each.annotation for each in nodes(node.args) if isinstance(each, ast.arg)]
    evaluated = [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults, node.returns, *annotations]
    return [each for each in evaluated if each]


_NAMED = (ast.ClassDef, *FUNCTIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


def bound(node: ast.stmt, run: list[ast.AST]) -> list[str]:
    """The names that a statement binds, rebinds or deletes; of a compound one, more rather than fewer."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        walrus = [part.target.id for part in run if isinstance(part, ast.NamedExpr)]
        return [node.name, *walrus] if not isinstance(node, ast.ClassDef) else [node.name]
    names: list[str] = []
    for part in run:
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load) and not hasattr(part, "variable"):
            names.append(part.id)
        elif isinstance(part, _NAMED) and part.name:
            names.append(part.name)
        elif isinstance(part, ast.alias) and part.name != "*":
            names.append(part.asname or part.name.partition(".")[0])
    return list(dict.fromkeys(names))
