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

from lskd.errors import UserError
from lskd.fingerprint.definitions import code_digest, definitions, reachable
from lskd.fingerprint.followed import is_unfollowed
from lskd.study.registry import DATASETS
from tests.fingerprint.packages import ENTRY, digest, digests, write

ROOT = Path(__file__).resolve().parent.parent.parent

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
    "number written otherwise": ("EPOCHS = 3", "EPOCHS = 0x3"),
    "__all__": ("import torch\n", "import torch\n    __all__ = ['fit']\n    __all__ += ['Loop']\n"),
    "unused function": ("x - OTHER", "x + OTHER"),
    "unused constant": ("OTHER = 1", "OTHER = 2"),
    "unused function removed": ("    def unused(x):\n        return x - OTHER\n", ""),
    "unused import": ("import torch\n", "import torch\n    import numpy as np\n"),
    "new definition": ("EPOCHS = 3", "EPOCHS = 3\n    NEW = 5\n    def new():\n        return 1"),
    "main block": ("EPOCHS = 3", "EPOCHS = 3\n    if __name__ == '__main__':\n        print(fit(1, 2))"),
    "type checking block": (
        "EPOCHS = 3",
        "EPOCHS = 3\n    from typing import TYPE_CHECKING\n    if TYPE_CHECKING:\n        from lskd.losses import mse",
    ),
    "module docstring": ("\n    import torch\n", "\n    'What this is.'\n    import torch\n"),
}

DIFFERENT = {
    "body of the entry point": ("return distance(", "return -distance("),
    "body of a helper": ("x + EPOCHS", "x - EPOCHS"),
    "constant": ("EPOCHS = 3", "EPOCHS = 4"),
    "annotated constant": ("EPOCHS = 3", "EPOCHS: int = 4"),
    "one of a tuple of constants": ("HEAD, TAIL = 1, 2", "HEAD, TAIL = 3, 2"),
    "field's annotation": ("size: int", "size: float"),
    "annotation of a field without a value": ("name: str", "name: bytes"),
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
    assert digest(two, tmp_path / "before") == digest(two[::-1] + two, tmp_path / "after")
    assert digest(two, tmp_path / "before") != before


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


def test_which_unfollowed_module_is_used_counts(tmp_path: Path) -> None:
    use = "def fit(): return c.x"
    before, after = digests(
        tmp_path,
        {
            "train.py": f"from lskd.training import tracking as c\n{use}",
            "training/tracking.py": "",
            "jobs/progress.py": "",
        },
        {"train.py": f"from lskd.jobs import progress as c\n{use}"},
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
    assert digest(["lskd.train:fit", "lskd.train:A"], root) == "6f21bc7c03315b98"


def test_a_name_assigned_twice_counts_twice(tmp_path: Path) -> None:
    use = "\ndef fit(): return X"
    before, after = digests(tmp_path, {"train.py": "X = 1\nX = X + 1" + use}, {"train.py": "X = 2\nX = X + 1" + use})
    assert before != after


def test_a_touch_or_a_revert_changes_nothing_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    root = write(tmp_path, BASE)
    before = digest(ENTRY, root)
    os.utime(root / "lskd/losses.py", ns=(1, 1))
    assert digest(ENTRY, root) == before
    write(root, {"losses.py": LOSSES.replace("x * 2", "x * 31")})
    assert digest(ENTRY, root) != before
    write(root, BASE)
    assert digest(ENTRY, root) == before


def test_a_module_that_appears_is_noticed(tmp_path: Path) -> None:
    root = write(tmp_path, {"train.py": "from lskd.late import f\ndef fit(): return f()"})
    before = digest(ENTRY, root)
    (root / "lskd/late.py").write_text("def f(): return 1")
    assert digest(ENTRY, root) != before


def test_what_was_asked_before_does_not_count(tmp_path: Path) -> None:
    """Two modules import each other, and the import of one acts; walks share what is known of them."""
    files = {
        "a.py": "from lskd import b, acting\ndef f(): return 1",
        "b.py": "from lskd import a\ndef f(): return 2",
        "acting.py": "import torch\ntorch.set_num_threads(1)",
    }
    entries = (["lskd.a:f"], ["lskd.b:f"], ["lskd.a:f", "lskd.b:f"])
    alone = [definitions(each, write(tmp_path / f"{n}", files)) for n, each in enumerate(entries)]
    assert [definitions(each, tmp_path / "0") for each in entries] == alone
    assert [definitions(each, tmp_path / "1") for each in entries[::-1]] == alone[::-1]
    assert all("lskd/acting.py:<statements>" in each for each in alone)


def test_a_name_from_an_outer_function_in_a_method(tmp_path: Path) -> None:
    """Locals of a method are numbered by themselves, whatever other methods do."""
    method = (
        "    def g(self):\n        x = 1\n        def h():\n            nonlocal x\n            x = 2\n        h()\n"
    )
    sources = reachable(ENTRY, write(tmp_path, {"train.py": f"class fit:\n    def f(self): y = 1; return y\n{method}"}))
    assert "nonlocal $0" in sources["lskd/train.py:fit.g"]


def test_reachable_names_the_definitions_with_their_plain_source(tmp_path: Path) -> None:
    sources = reachable(ENTRY, write(tmp_path, BASE))
    names = ("fit", "Loop", "Loop.run", "Base", "helper", "EPOCHS", "HEAD", "TAIL")  # HEAD, TAIL = 1, 2
    train = {f"lskd/train.py:{name}" for name in names}
    statements = "lskd/train.py:<statements>"  # fit's default, Loop(), is made on import
    assert set(sources) == train | {"lskd/losses.py:kd", "lskd/losses.py:_soften", statements}
    assert sources["lskd/train.py:helper"] == "def helper(x):\n    return x + EPOCHS"
    assert sources["lskd/train.py:EPOCHS"] == "EPOCHS = 3"
    assert sources["lskd/train.py:Base"] == "class Base:\n    size: int = 4\n    name: str"
    assert sources["lskd/train.py:Loop.run"] == "def run(self, data):\n    $0 = helper(1)\n    return kd($0)"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("lskd.train:fitt", "entry point 'lskd.train:fitt': lskd.train defines no 'fitt'; nearest is 'fit'"),
        ("lskd.trian:fit", "no module 'lskd.trian' under .*; nearest is 'lskd.train'"),
        ("lskd.train", "lskd.train defines no ''"),
        ("lskd.train:kd", "lskd.train defines no 'kd'"),
        ("lskd.train:*", r"lskd.train defines no '\*'"),
        ("torch:nn", "no module 'torch'"),
        ("lskd.errors:UserError", "module lskd.errors is not followed"),
        ("lskd.fingerprint.definitions:definitions", "module lskd.fingerprint.definitions is not followed"),
        ("", "entry point '': no module ''"),
    ],
)
def test_entry_points_that_do_not_exist(tmp_path: Path, entry: str, expected: str) -> None:
    root = write(tmp_path, BASE)
    with pytest.raises(UserError, match=expected) as raised:
        digest([entry, *ENTRY], root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("text", "expected"), [("x = 1\ndef (:\n", "losses.py, line 2: "), ("x\0", "losses.py")])
def test_syntax_error_names_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        digest(ENTRY, write(tmp_path, BASE | {"losses.py": text}))


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
    before = [digest([f"lskd.m{n}:f"], root) for n in range(count)]
    write(root, {f"m{changed}.py": module(changed, 22)})
    after = [digest([f"lskd.m{n}:f"], root) for n in range(count)]

    reached = [{n} for n in range(count)]
    for _ in range(count):
        reached = [{n}.union(*(reached[other] for other in uses[n])) for n in range(count)]
    assert [a != b for a, b in zip(before, after, strict=True)] == [changed in each for each in reached]


def test_every_real_module_can_be_followed() -> None:
    for path in (ROOT / "lskd").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name != "__init__.py" and not is_unfollowed(name):
            for node in ast.parse(path.read_bytes()).body:
                if hasattr(node, "name"):
                    assert definitions([f"{name}:{node.name}"])


REAL = [
    "lskd.jobs.execute:main",
    "lskd.training.loop:run",
    "lskd.models.resnet_cifar:resnet8",
    "lskd.supervision.kd:loss",
]


def test_a_real_training_reaches_no_messages_and_no_config() -> None:
    files = {name.partition(":")[0] for name in definitions(REAL)}
    assert {"lskd/training/loop.py", "lskd/supervision/kd.py", "lskd/io/seal.py", "lskd/jobs/execute.py"} <= files
    assert not files & {
        f"lskd/{name}.py"
        for name in ("errors", "jobs/progress", "study/config", "study/registry", "training/tracking", "study/runtime")
    }
    assert not files & {f"lskd/{name}.py" for name in ("study/options", "supervision/maxsup", "supervision/logit_mse")}
    assert not files & {f"lskd/{name}.py" for name in ("data/streamed", "data/decode", "data/encoded", "data/mixup")}
    assert not files & {f"lskd/{name}.py" for name in ("training/distill", "training/start")}


@pytest.mark.parametrize("load", [data_set.entry for data_set in DATASETS.values()])
def test_real_data_reach_neither_tables_nor_what_only_refuses(load: str) -> None:
    names = definitions(["lskd.jobs.execute:main", "lskd.data.prepare:run", load])
    files = {name.partition(":")[0] for name in names}
    assert not files & {"lskd/study/registry.py", "lskd/study/options.py", "lskd/data/content.py", "lskd/cli.py"}


def test_thousands_of_calls_are_cheap() -> None:
    definitions(REAL)
    started = time.perf_counter()
    for _ in range(1000):
        definitions(REAL)
    assert time.perf_counter() - started < 5  # about 0.6 s on one core


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-X", "importtime", "-m", "lskd.fingerprint", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True)


def test_command_line_explains_and_imports_nothing_heavy() -> None:
    printed = command("lskd.io.atomic:write_json")
    first, *rest = printed.stdout.splitlines()
    expected = definitions(["lskd.io.atomic:write_json"])
    assert first == code_digest(expected)
    assert [line.split() for line in rest] == [[number, name] for name, number in expected.items()]
    imported = {line.rpartition("|")[2].strip() for line in printed.stderr.splitlines()}
    own = {name for name in imported if name.partition(".")[0] == "lskd" and not name.startswith("lskd.fingerprint")}
    assert own <= {"lskd", "lskd.errors", "lskd.version"}
    assert not imported & {"torch", "numpy", "pandas", "lskd.io.atomic"}


def test_command_line_says_how_a_definition_is_reached() -> None:
    lines = command("lskd.io.atomic:write_json", "--chain", "lskd/io/atomic.py:_sync").stdout.splitlines()
    assert lines[0] == "lskd/io/atomic.py:write_json"
    assert lines[-1] == "lskd/io/atomic.py:_sync"
    assert "not reached" in command("lskd.io.atomic:write_json", "--chain", "lskd/study/config.py").stdout


def test_command_line_says_a_mistake_in_a_line() -> None:
    wrong = command("lskd.io.atomic:atomc")
    assert wrong.returncode == 1
    assert "error: entry point 'lskd.io.atomic:atomc'" in wrong.stderr
