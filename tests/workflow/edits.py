"""Edits of a tree, each a function of its root, and how to take them back."""

import ast
import copy
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.workflow.conftest import TINY

Edit = Callable[[Path], object]
BRANCH = "if hash(1) == 2:\n    return None"  # a statement that fits any function, and that no normal form drops


def replaced(path: str, old: str, new: str) -> Edit:
    """One file's text, which must stand there exactly once."""

    def edit(root: Path) -> None:
        text = (root / path).read_text()
        assert text.count(old) == 1, f"{path}: {old!r} stands {text.count(old)} times"
        (root / path).write_text(text.replace(old, new))

    return edit


def inserted(path: str, name: str, line: str = BRANCH) -> Edit:
    """A statement put first in the body of a function or a method ("Class.method")."""

    def edit(root: Path) -> None:
        tree = ast.parse((root / path).read_text())
        part: ast.AST = tree
        for step in name.split("."):
            part = next(node for node in part.body if getattr(node, "name", "") == step)
        place = 1 if ast.get_docstring(part) is not None else 0
        part.body[place:place] = ast.parse(line).body
        (root / path).write_text(ast.unparse(tree))

    return edit


def appended(path: str, text: str) -> Edit:
    """Text at a file's end, which need not exist yet."""

    def edit(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        with (root / path).open("a") as file:
            file.write(text)

    return edit


def reformatted(pattern: str) -> Edit:
    """All comments dropped and the layout changed: what ast.unparse makes of files."""

    def edit(root: Path) -> None:
        for path in sorted(root.glob(pattern)):
            path.write_text(ast.unparse(ast.parse(path.read_text())) + "\n")

    return edit


def reordered(path: str) -> Edit:
    """A module's functions in the opposite order, in the places where functions stood."""

    def edit(root: Path) -> None:
        tree = ast.parse((root / path).read_text())
        places = [place for place, node in enumerate(tree.body) if isinstance(node, ast.FunctionDef)]
        functions = [tree.body[place] for place in reversed(places)]
        for place, function in zip(places, functions, strict=True):
            tree.body[place] = function
        (root / path).write_text(ast.unparse(tree))

    return edit


def renamed(path: str, function: str, old: str, new: str) -> Edit:
    """A local variable of a function under another name."""

    def edit(root: Path) -> None:
        tree = ast.parse((root / path).read_text())
        part = next(node for node in tree.body if getattr(node, "name", "") == function)
        names = [node for node in ast.walk(part) if isinstance(node, ast.Name) and node.id == old]
        assert names, f"{path}: {function} has no {old}"
        for node in names:
            node.id = new
        (root / path).write_text(ast.unparse(tree))

    return edit


def each(*edits: Edit) -> Edit:
    """Several edits, one after the other."""
    return lambda root: [edit(root) for edit in edits]


def configured(change: Callable[[dict], dict | None], study: dict = TINY) -> Edit:
    """The config that a function makes of a study, which it may change in place."""

    def edit(root: Path) -> None:
        changed = copy.deepcopy(study)
        changed = change(changed) or changed
        (root / "config.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))

    return edit


def put(*path_and_value: object, study: dict = TINY) -> Edit:
    """One value of the config: put(key, key, ..., value)."""
    *path, last, value = path_and_value

    def change(changed: dict) -> None:
        for key in path:
            changed = changed.setdefault(key, {})
        changed[last] = value

    return configured(change, study)


def touched(pattern: str, seconds: float | None = None) -> Edit:
    """Another time for files: that of now, or so many seconds since 1970."""

    def edit(root: Path) -> None:
        paths = sorted(root.glob(pattern))
        assert paths, pattern
        for path in paths:
            os.utime(path, None if seconds is None else (seconds, seconds))

    return edit


def deleted(*patterns: str) -> Edit:
    """Files that are gone."""

    def edit(root: Path) -> None:
        for pattern in patterns:
            paths = [path for path in root.glob(pattern) if path.is_file()]
            assert paths, pattern
            for path in paths:
                path.unlink()

    return edit


def shell(command: str) -> Edit:
    """A shell's command, run in the root."""
    return lambda root: subprocess.run(command, shell=True, cwd=root, check=True)


@contextmanager
def put_back(root: Path, *parts: str) -> Iterator[None]:
    """Give the files of these parts of a tree their content and times back, and remove those that came."""
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in _files(root, parts)}
    folders = {path for part in parts for path in (root / part).rglob("*") if path.is_dir()}
    try:
        yield
    finally:
        for path in _files(root, parts):
            if path not in before:
                path.unlink()
        new = {path for part in parts for path in (root / part).rglob("*") if path.is_dir()} - folders
        for path in sorted(new, reverse=True):
            shutil.rmtree(path)
        for path, (content, mtime) in before.items():
            if not path.is_file() or path.read_bytes() != content or path.stat().st_mtime_ns != mtime:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                os.utime(path, ns=(mtime, mtime))


def _files(root: Path, parts: tuple[str, ...]) -> list[Path]:
    paths = [path for part in parts for path in [root / part, *(root / part).rglob("*")]]
    return [path for path in paths if path.is_file() and "__pycache__" not in path.parts]
