"""The names that code mentions, what it imports, and the files that it may read."""

import ast
from contextlib import suppress

from lskd.fingerprint.followed import PACKAGE
from lskd.fingerprint.tree import Chain, Visitor, chain_of, leading_text, nodes, root_of


class Names(Visitor):
    """The names that code mentions (`chains`), what it imports, and the files that it may read."""

    def __init__(self, package: str) -> None:
        self.package = package.split(".")
        self.chains: set[Chain] = set()
        self.local_chains: set[Chain] = set()
        self.imports: dict[str, list[Chain]] = {}  # name here -> what it stands for, the last import last
        self.stars: list[str] = []
        self.loaded: dict[Chain, None] = {}  # imported, thereby run, whether or not a name of it is used
        self.words: set[str] = set()
        self.strings: set[str] = set()
        self.patterns: set[str] = set()
        self.reads_folder = self.reads_package = False
        self.modules: list[str] = []  # imported by their names as text
        self.prefixes: list[str] = []
        self.catches = False
        self.globals: list[str] = []  # in `global` statements

    def visit_Name(self, node: ast.Name) -> None:
        self.visit_Attribute(node)

    def visit_Attribute(self, node: ast.Attribute | ast.Name) -> None:
        names = chain_of(node)
        is_local = hasattr(root_of(node), "variable")
        if names:
            (self.local_chains if is_local else self.chains).add(names)
            self.words.update(names[1:] if is_local else names)
            self.reads_folder |= names[0] in ("__file__", "__path__", "__spec__")
            is_resource = names[-2:-1] == ("resources",) or names == ("files",) or names[-1] == "get_data"
            self.reads_package |= is_resource and not is_local
            self.reads_package |= names[-1] in ("__file__", "__path__") and len(names) > 1
        elif isinstance(node, ast.Attribute):
            self.words.add(node.attr)
            self.visit(node.value)

    @property
    def starts(self) -> bool:
        """Whether it may start processes, which may run a module that a string names."""
        return bool(self.words & {"subprocess", "Popen", "executable", "execv", "spawn"})

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        self._visit_quoted(node.annotation)

    def visit_arg(self, node: ast.arg) -> None:
        self.generic_visit(node)
        self._visit_quoted(node.annotation)

    def _visit_quoted(self, annotation: ast.expr | None) -> None:
        """The names of a quoted annotation; one that a model reads may be followed."""
        for part in nodes(annotation) if annotation else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                with suppress(SyntaxError):
                    self.visit(ast.parse(part.value, mode="eval"))

    def visit_keyword(self, node: ast.keyword) -> None:
        is_help = node.arg in ("description", "epilog", "help") and chain_of(node.value) == ("__doc__",)
        if not is_help:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.words.add(node.name)
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Call(self, node: ast.Call) -> None:
        names = chain_of(node.func)
        if names[-1:] and names[-1] in ("import_module", "__import__", "find_spec", "run_module", "resolve_name"):
            self._import_by_text(node.args[0] if node.args else None)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if method == "exception" and not node.args:  # sys's, a future's
            self.words.add("sys.exception")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if chain_of(node.value)[-1:] == ("modules",):
            self._import_by_text(node.slice)
        self.generic_visit(node)

    def _import_by_text(self, node: ast.expr | None) -> None:
        text, is_whole = leading_text(node)
        if text.startswith("."):
            level = len(text) - len(text.lstrip("."))
            text = ".".join([*self.package[: len(self.package) - level + 1], text.lstrip(".")])
        if is_whole:
            self.modules.append(text.partition(":")[0])
        elif text.startswith(f"{PACKAGE}."):
            self.prefixes.append(text)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.strings.add(node.value)
            self._add_pattern(node.value, is_end=False)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.generic_visit(node)
        last = node.values[-1] if node.values else None
        if isinstance(last, ast.Constant) and isinstance(last.value, str):
            self._add_pattern(last.value, is_end=True)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant) and isinstance(node.right.value, str):
            self._add_pattern(node.right.value, is_end=True)

    def _add_pattern(self, text: str, is_end: bool) -> None:
        """f"{name}.yaml", "*.yaml", "%s.yaml", ".yaml": all files that end so."""
        stem, dot, suffix = text.rpartition(".")
        is_open = is_end or not stem or any(mark in stem for mark in "*%{?[")
        if dot and is_open and suffix and len(suffix) < 12:
            self.patterns.add(f"*.{suffix}")
        elif text.endswith("*") and len(text) < 100:  # glob("*")
            self.patterns.add(text.rpartition("/")[2])

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.catches = True
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.globals += node.names

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.name if alias.asname else alias.name.partition(".")[0]
            self.imports.setdefault(alias.asname or bound, []).append((bound,))
            self.loaded[alias.name,] = None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self.package[: len(self.package) - node.level + 1] if node.level else []
        module = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(module)
                self.loaded[module,] = None
            else:
                self.imports.setdefault(alias.asname or alias.name, []).append((module, alias.name))
                self.loaded[module, alias.name] = None
