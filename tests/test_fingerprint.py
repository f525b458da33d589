"""The digest follows what the code means: small packages are written, edited and fingerprinted again."""

import ast
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd import fingerprint
from lskd.errors import UserError
from lskd.fingerprint import code_digest, reachable

ROOT = Path(__file__).resolve().parent.parent
ENTRY = ["lskd.train:fit"]


def write(root: Path, files: dict[str, str]) -> Path:
    """A package lskd under `root` with these modules; folders get an empty __init__.py where none is given."""
    for name, text in {"__init__.py": "", **files}.items():
        path = root / "lskd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (path.parent / "__init__.py").exists():
            (path.parent / "__init__.py").write_text("")
        path.write_text(textwrap.dedent(text))
    return root


def digests(tmp_path: Path, before: dict[str, str], after: dict[str, str]) -> tuple[str, str]:
    """The digests of lskd.train:fit in two packages: `before`, and the same with `after` written over it."""
    return (
        code_digest(ENTRY, write(tmp_path / "before", before)),
        code_digest(ENTRY, write(tmp_path / "after", before | after)),
    )


TRAIN = """
    import torch
    from torch.nn.functional import mse_loss as distance
    from lskd.losses import kd
    from lskd.config import Recipe

    EPOCHS = 3
    OTHER = 1
    HEAD, TAIL = 1, 2

    def helper(x: int) -> int:
        return x + EPOCHS

    class Base:
        size: int = 4
        name: str

    class Loop(Base):
        rate = 0.1

        def run(self, data: list) -> None:
            total: int = helper(1)
            unset: int
            return kd(total)

    def fit(data, recipe: Recipe, *, loop=Loop()):
        '''Doc.'''
        return distance(loop.run(data), HEAD)

    def unused(x):
        return x - OTHER
"""
LOSSES = """
    def kd(x):
        return _soften(x)

    def _soften(x):
        return x * 2

    def mse(x):
        return x
"""
BASE = {"train.py": TRAIN, "losses.py": LOSSES}

SAME = {
    "comment": ("EPOCHS = 3", "EPOCHS = 3  # as in the paper"),
    "reformatted": ("x + EPOCHS", "(x\n            + EPOCHS)"),
    "docstring edited": ("'''Doc.'''", "'''Another.'''"),
    "docstring removed": ("'''Doc.'''\n", "\n"),
    "docstring added": ("class Base:\n", "class Base:\n        '''Doc.'''\n"),
    "bare string after a field": ("rate = 0.1", "rate = 0.1\n        'per step'"),
    "argument's annotation": ("x: int)", "x: float)"),
    "annotation removed": ("recipe: Recipe", "recipe"),
    "return annotation": (") -> int:", "):"),
    "local annotation": ("total: int =", "total ="),
    "local annotation without a value": ("            unset: int\n", ""),
    "constant annotated": ("EPOCHS = 3", "EPOCHS: int = 3"),
    "field's annotation": ("size: int", "size: float"),
    "annotation of a field without a value": ("name: str", "name: bytes"),
    "number written otherwise": ("EPOCHS = 3", "EPOCHS = 0x3"),
    "__all__": ("import torch\n", "import torch\n    __all__ = ['fit']\n    __all__ += ['Loop']\n"),
    "unused function": ("x - OTHER", "x + OTHER"),
    "unused constant": ("OTHER = 1", "OTHER = 2"),
    "unused function removed": ("    def unused(x):\n        return x - OTHER\n", ""),
    "unused import": ("import torch\n", "import torch\n    import numpy as np\n"),
    "new definition": ("EPOCHS = 3", "EPOCHS = 3\n    NEW = 5\n    def new():\n        return 1"),
    "main block": ("EPOCHS = 3", "EPOCHS = 3\n    if __name__ == '__main__':\n        print(fit(1, 2))"),
    "type checking block": ("EPOCHS = 3", "EPOCHS = 3\n    if TYPE_CHECKING:\n        from lskd.losses import mse"),
    "module docstring": ("\n    import torch\n", "\n    'What this is.'\n    import torch\n"),
}

DIFFERENT = {
    "body of the entry point": ("return distance(", "return -distance("),
    "body of a helper": ("x + EPOCHS", "x - EPOCHS"),
    "constant": ("EPOCHS = 3", "EPOCHS = 4"),
    "annotated constant": ("EPOCHS = 3", "EPOCHS: int = 4"),
    "one of a tuple of constants": ("HEAD, TAIL = 1, 2", "HEAD, TAIL = 3, 2"),
    "base class": ("size: int = 4", "size: int = 5"),
    "base class's field": ("        name: str\n", ""),
    "field renamed": ("name: str", "title: str"),
    "field becomes a plain attribute": ("size: int = 4", "size = 4"),
    "class attribute": ("rate = 0.1", "rate = 0.2"),
    "method": ("return kd(total)", "return kd(-total)"),
    "default argument": ("loop=Loop()", "loop=None"),
    "decorator": ("def helper(", "@torch.no_grad()\n    def helper("),
    "string that is used": ("return kd(total)", "return kd('total')"),
    "import of another library's function": ("import mse_loss as distance", "import l1_loss as distance"),
    "import of another function of ours": ("import kd", "import mse as kd"),
    "top-level statement": ("EPOCHS = 3", "EPOCHS = 3\n    torch.set_num_threads(1)"),
    "attribute assigned": ("EPOCHS = 3", "EPOCHS = 3\n    torch.backends.flag = True"),
    "item assigned": ("OTHER = 1", "OTHER = {}\n    OTHER['x'] = 1"),
    "augmented assignment": ("OTHER = 1", "OTHER = 1\n    OTHER += 1"),
    "if block": ("OTHER = 1", "if torch.cuda:\n        OTHER = 1"),
    "else of a main block": (
        "OTHER = 1",
        "OTHER = 1\n    if __name__ == '__main__':\n        1\n    else:\n        f()",
    ),
    "local name": ("x + EPOCHS", "x.y + EPOCHS"),
    "async": ("def helper(", "async def helper("),
}


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME)
def test_edits_without_effect(tmp_path: Path, old: str, new: str) -> None:
    assert old in TRAIN
    before, after = digests(tmp_path, BASE, {"train.py": TRAIN.replace(old, new, 1)})
    assert before == after


@pytest.mark.parametrize(("old", "new"), DIFFERENT.values(), ids=DIFFERENT)
def test_edits_with_effect(tmp_path: Path, old: str, new: str) -> None:
    assert old in TRAIN
    before, after = digests(tmp_path, BASE, {"train.py": TRAIN.replace(old, new, 1)})
    assert before != after


def test_other_modules_count_by_definition(tmp_path: Path) -> None:
    edited = LOSSES.replace("def mse(x):\n        return x", "def mse(x):\n        return x + 1")
    before, after = digests(tmp_path / "mse", BASE, {"losses.py": edited})
    assert before == after
    before, after = digests(tmp_path / "soften", BASE, {"losses.py": LOSSES.replace("x * 2", "x * 3")})
    assert before != after


def test_order_of_definitions_and_of_entry_points_and_place_do_not_count(tmp_path: Path) -> None:
    tree = ast.parse(textwrap.dedent(LOSSES))
    tree.body.reverse()
    before, after = digests(tmp_path, BASE, {"losses.py": ast.unparse(tree)})
    assert before == after
    two = ["lskd.train:fit", "lskd.losses:mse"]
    assert code_digest(two, tmp_path / "before") == code_digest(two[::-1] + two, tmp_path / "after")
    assert code_digest(two, tmp_path / "before") != before


# How fit may come to use lskd/deep/losses.py:kd, with whatever other modules that takes
def test_new_field_of_an_opaque_config_changes_nothing(tmp_path: Path) -> None:
    files = {
        "train.py": "from lskd import config\ndef fit(): return config.Recipe().lr",
        "config.py": "class Recipe:\n    lr: float = 0.1",
    }
    before, after = digests(tmp_path, files, {"config.py": "class Recipe:\n    lr: float = 0.1\n    new: int = 1"})
    assert before == after


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def fit(): return 'x'", 'def fit():\n  return u"x"'),
        ("def fit(): pass", "def fit(): 'Only a docstring.'"),
        ("class fit: pass", "class fit: 'Only a docstring.'"),
        ("def fit(): return 1000, [2,]", "def fit(): return (1_000, [0x2])"),
    ],
)
def test_the_same_code_written_otherwise(tmp_path: Path, one: str, other: str) -> None:
    before, after = digests(tmp_path, {"train.py": one}, {"train.py": other})
    assert before == after


def test_which_opaque_module_is_used_counts(tmp_path: Path) -> None:
    use = "def fit(): return c.x"
    before, after = digests(
        tmp_path,
        {"train.py": f"from lskd import config as c\n{use}", "config.py": "", "device.py": ""},
        {"train.py": f"from lskd import device as c\n{use}"},
    )
    assert before != after


def test_two_imports_swapped(tmp_path: Path) -> None:
    use = "\ndef fit(x): return f(g(x))"
    before, after = digests(
        tmp_path,
        {"train.py": "from lskd.losses import kd as f, mse as g" + use, "losses.py": LOSSES},
        {"train.py": "from lskd.losses import mse as f, kd as g" + use},
    )
    assert before != after


def test_the_order_of_top_level_statements_counts(tmp_path: Path) -> None:
    define = "\ndef fit(): return 1"
    before, after = digests(tmp_path, {"train.py": "a()\nb()" + define}, {"train.py": "b()\na()" + define})
    assert before != after


def test_the_digest_is_the_same_on_every_machine_and_python(tmp_path: Path) -> None:
    """A change here reruns every result that anyone has; it must be meant."""
    text = """
        async def fit(a, /, *b, c: int = 1, **d) -> None:
            x = f"{a!r:>{c}} {b}" u"z" if False else None
            match a:
                case [1, *_] | {"k": 2.5e-3}: return lambda y=1j: (y, ...)
            try:
                async with a as e: yield {**d}, {*b}, x[1:, ::2]
            except ValueError: raise
        @fit
        class A(B, metaclass=C):
            f: int
    """
    root = write(tmp_path, {"train.py": text})
    assert code_digest(["lskd.train:fit", "lskd.train:A"], root) == "77d28f58f1bee1d3"


def test_a_name_assigned_twice_counts_twice(tmp_path: Path) -> None:
    use = "\ndef fit(): return X"
    before, after = digests(tmp_path, {"train.py": "X = 1\nX = X + 1" + use}, {"train.py": "X = 2\nX = X + 1" + use})
    assert before != after


def test_a_touch_or_a_revert_changes_nothing_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    root = write(tmp_path, BASE)
    before = code_digest(ENTRY, root)
    os.utime(root / "lskd/losses.py", ns=(1, 1))
    assert code_digest(ENTRY, root) == before
    write(root, {"losses.py": LOSSES.replace("x * 2", "x * 31")})
    assert code_digest(ENTRY, root) != before
    write(root, BASE)
    assert code_digest(ENTRY, root) == before


def test_a_module_that_appears_is_noticed(tmp_path: Path) -> None:
    root = write(tmp_path, {"train.py": "from lskd.late import f\ndef fit(): return f()"})
    before = code_digest(ENTRY, root)
    (root / "lskd/late.py").write_text("def f(): return 1")
    assert code_digest(ENTRY, root) != before


def test_reachable_names_the_definitions_with_their_plain_source(tmp_path: Path) -> None:
    found = reachable(ENTRY, write(tmp_path, BASE))
    assert set(found) == {
        *(
            f"lskd.train:{name}" for name in ("fit", "Loop", "Base", "helper", "EPOCHS", "HEAD", "TAIL")
        ),  # HEAD, TAIL = 1, 2
        "lskd.losses:kd",
        "lskd.losses:_soften",
    }
    assert found["lskd.train:helper"] == "def helper(x):\n    return x + EPOCHS"
    assert found["lskd.train:EPOCHS"] == "EPOCHS = 3"
    assert found["lskd.train:Base"] == "class Base:\n    size: ... = 4\n    name: ..."


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("lskd.train:fitt", "entry point 'lskd.train:fitt': lskd.train defines no 'fitt'; nearest is 'fit'"),
        ("lskd.trian:fit", "no module 'lskd.trian' under .*; nearest is 'lskd.train'"),
        ("lskd.train", "lskd.train defines no ''"),
        ("lskd.train:kd", "lskd.train defines no 'kd'"),
        ("lskd.train:*", r"lskd.train defines no '\*'"),
        ("torch:nn", "no module 'torch'"),
        ("lskd.config:Recipe", "module lskd.config is not followed"),
        ("", "entry point '': no module ''"),
    ],
)
def test_entry_points_that_do_not_exist(tmp_path: Path, entry: str, expected: str) -> None:
    root = write(tmp_path, BASE)
    with pytest.raises(UserError, match=expected) as raised:
        code_digest([entry, *ENTRY], root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("text", "expected"), [("x = 1\ndef (:\n", "losses.py, line 2: "), ("x\0", "losses.py")])
def test_syntax_error_names_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        code_digest(ENTRY, write(tmp_path, BASE | {"losses.py": text}))


MESSY = textwrap.dedent(TRAIN).strip().splitlines()


@settings(max_examples=40, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, len(MESSY)), st.sampled_from(["", "# note", "   # x = 1", "\f"]))))
def test_comments_and_blank_lines_anywhere(tmp_path_factory: pytest.TempPathFactory, places: list) -> None:
    lines = list(MESSY)
    for place, text in sorted(places, reverse=True):
        lines.insert(place, text)
    root = tmp_path_factory.mktemp("noise")
    before, after = digests(root, BASE, {"train.py": "\n".join(lines)})
    assert before == after


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_other_number_in_reached_code_is_noticed(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    """Each of a chain of modules holds a constant; one of them changes, and exactly those that reach it notice."""
    count = data.draw(st.integers(2, 6))
    uses = [data.draw(st.sets(st.integers(0, count - 1), max_size=3)) for _ in range(count)]
    changed = data.draw(st.integers(0, count - 1))
    root = tmp_path_factory.mktemp("chain")

    def module(number: int, constant: int) -> str:
        imports = "".join(f"from lskd import m{other}\n" for other in uses[number])
        return f"{imports}def f(): return [{constant}{''.join(f', m{other}.f()' for other in uses[number])}]"

    write(root, {f"m{n}.py": module(n, 1) for n in range(count)})
    before = [code_digest([f"lskd.m{n}:f"], root) for n in range(count)]
    write(root, {f"m{changed}.py": module(changed, 22)})
    after = [code_digest([f"lskd.m{n}:f"], root) for n in range(count)]

    reached = [{n} for n in range(count)]
    for _ in range(count):
        reached = [{n}.union(*(reached[other] for other in uses[n])) for n in range(count)]
    assert [a != b for a, b in zip(before, after, strict=True)] == [changed in found for found in reached]


def test_names_found_in_the_real_tree_are_its_own() -> None:
    """Each name counted for a real module's definition exists in the module, once that is imported."""
    found = reachable(["lskd.io.atomic:atomic", "lskd.fingerprint:code_digest"])
    assert "lskd.io.atomic:_sync" in found
    assert "lskd.io.atomic:write_json" not in found
    assert all(hasattr(fingerprint, name.partition(":")[2]) for name in found if name.startswith("lskd.fingerprint:"))


def test_every_real_module_can_be_followed() -> None:
    files = [path for path in (ROOT / "lskd").rglob("*.py") if path.name != "__init__.py"]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}
    for name in modules.keys() - fingerprint.OPAQUE:
        functions = [node.name for node in ast.parse(modules[name].read_bytes()).body if hasattr(node, "name")]
        for function in functions:
            assert len(code_digest([f"{name}:{function}"])) == 16


def test_thousands_of_calls_are_cheap() -> None:
    entries = ["lskd.io.atomic:atomic", "lskd.fingerprint:code_digest"]
    code_digest(entries)
    started = time.perf_counter()
    for _ in range(1000):
        code_digest(entries)
    assert time.perf_counter() - started < 2  # about 0.05 s on one core


def test_command_line_explains_and_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lskd.fingerprint", "lskd.io.atomic:write_json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    digest, *rest = shown.stdout.splitlines()
    assert digest == code_digest(["lskd.io.atomic:write_json"])
    assert [line.split()[1] for line in rest] == [
        f"lskd.io.atomic:{name}" for name in ("_sync", "atomic", "write_json")
    ]
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert {name for name in imported if name.startswith("lskd")} <= {"lskd", "lskd.errors"}
    assert not imported & {"torch", "numpy", "pandas", "lskd.io.atomic"}

    wrong = subprocess.run(
        [sys.executable, "-m", "lskd.fingerprint", "lskd.io.atomic:atomc"], cwd=ROOT, capture_output=True, text=True
    )
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: entry point 'lskd.io.atomic:atomc'")
