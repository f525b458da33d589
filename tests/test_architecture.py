"""docs/architecture.md is true of the tree: its rooms, what they import, its functions and its files."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text()
ROOMS = {
    name: set(filter(None, allowed.split(", ")))
    for name, allowed in re.findall(r"^\| `lskd/(\w+)(?:/|\.py)` \| [^|]* \| ([^|]*?) ?\|$", PAGE, re.MULTILINE)
}
LIBRARY = {"torch", "torchvision", "timm"}
FOR_ALL = ("errors", "version")
TORCHLESS = ("study", "jobs", "metrics", "analysis", "figures", "papers", "transforms", "fingerprint")
# what points upwards, as the page says; nothing may be added here
FOR_STAGES = {"lskd.jobs.work", "lskd.jobs.environment", "lskd.jobs.progress"}
UPWARDS = dict.fromkeys(("data", "figures", "inference", "metrics", "training", "translation"), FOR_STAGES)
UPWARDS["study"] = {"lskd.data.kinds"}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "lskd").rglob("*.py"))
}


def room_of(module: str) -> str:
    return module.split(".")[1] if module.count(".") else "lskd"


def imported(tree: ast.Module, at_start: bool) -> Iterator[str]:
    """The modules that a file imports, those under TYPE_CHECKING aside; `at_start`: as soon as it is imported."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        or (at_start and isinstance(node, ast.FunctionDef))
        for part in node.body
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ([name if name in MODULES else node.module for name in inner])


@cache
def imports(module: str, at_start: bool = False) -> frozenset[str]:
    return frozenset(imported(ast.parse(MODULES[module].read_text()), at_start))


@cache
def reached(module: str) -> frozenset[str]:
    """All that is imported when a module is."""
    modules, waiting = set(), [module]
    while waiting:
        for name in imports(waiting.pop(), at_start=True):
            if name not in modules:
                modules.add(name)
                waiting += [name] if name in MODULES else []
    return frozenset(modules)


def test_every_room_is_listed():
    folders = {path.name for path in (ROOT / "lskd").iterdir() if path.is_dir() and path.name != "__pycache__"}
    files = {path.stem for path in (ROOT / "lskd").glob("*.py")} - {"__init__", "__main__"}
    assert set(ROOMS) == folders | files


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_its_row_names(room):
    rooms, upwards = set(), set()
    for module in MODULES:
        if room_of(module) != room:
            continue
        for name in imports(module):
            if not name.startswith("lskd.") or room_of(name) in (room, *FOR_ALL):
                continue
            (upwards if name in UPWARDS.get(room, set()) else rooms).add(name)
    assert {room_of(name) for name in rooms} == ROOMS[room], sorted(rooms)
    order = list(ROOMS)
    assert all(order.index(room_of(name)) > order.index(room) for name in rooms), f"{room} imports upwards"


def test_no_module_imports_in_a_circle():
    for module in MODULES:
        assert module not in reached(module)


@pytest.mark.parametrize("room", TORCHLESS)
def test_a_room_without_torch(room):
    assert f"`{room}`" in PAGE.split("No module imports in a circle. ")[1].split("never import torch")[0]
    for module in MODULES:
        if room_of(module) == room:
            heavy = {name for name in reached(module) if name.split(".")[0] in LIBRARY}
            assert not heavy, f"{module} imports {heavy}"


def test_the_workflow_alone_knows_snakemake():
    assert not [module for module in MODULES if any(name.split(".")[0] == "snakemake" for name in imports(module))]
    assert "import" in (ROOT / "workflow/rules/common.smk").read_text()


def test_each_function_is_there():
    names = re.findall(r"`(lskd/[\w/]+\.py):(\w+)`", PAGE)
    assert len(names) > 15
    for file, name in names:
        tree = ast.parse((ROOT / file).read_text())
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in defined, f"{file}: no {name}"


def test_each_change_has_its_file():
    changes = re.findall(r"^\| ([^|]+?) \| `([\w/.]+\.\w+)` \|$", PAGE.split("## Where a change goes")[1], re.MULTILINE)
    assert len(changes) >= 20
    assert len({change for change, _ in changes}) == len({file for _, file in changes}) == len(changes)
    for _, file in changes:
        assert (ROOT / file).is_file(), file
