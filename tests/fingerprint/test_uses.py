"""What code uses: classes, what is named at run time, data files."""

from pathlib import Path

import pytest

from lskd.fingerprint.definitions import definitions
from tests.fingerprint.packages import ENTRY, Pair, packages, write

DIFFERENT: dict[str, Pair] = {
    # Classes
    "method": ("class A:\n def f(self): return 1\n def g(self): return 2\ndef fit(): return A().f()", "2", "3"),
    "method removed": (
        "class A:\n def f(self): return 1\n def g(self): return 2\ndef fit(): return A().f()",
        " def g(self): return 2\n",
        "",
    ),
    "method twice": (
        "class A:\n def f(self): return 1\n def f(self): return 2\ndef fit(): return A().f()",
        " def f(self): return 1\n def f(self): return 2",
        " def f(self): return 2\n def f(self): return 1",
    ),
    "method then attribute": (
        "class A:\n def f(self): return 1\n f = 2\ndef fit(): return A.f",
        " def f(self): return 1\n f = 2",
        " f = 2\n def f(self): return 1",
    ),
    "method wrapped": (
        "class A:\n def f(self): return 1\n g = [f]\n def f(self): return 2\ndef fit(): return A.g",
        " g = [f]\n def f(self): return 2",
        " def f(self): return 2\n g = [f]",
    ),
    "property's setter": (
        "class A:\n @property\n def x(self): return 1\n @x.setter\n def x(self, v): self.y = 2\ndef fit(): return A()",
        "2",
        "3",
    ),
    "base class's method": (
        "from lskd.a import B\nclass A(B): pass\ndef fit(): return A().f()\n"
        "== a.py\nclass B:\n def f(self): return 22\n",
        "22",
        "33",
    ),
    "order of validators": (
        "from pydantic import BaseModel, model_validator\nclass A(BaseModel):\n"
        " @model_validator(mode='after')\n def f(self): return self\n"
        " @model_validator(mode='after')\n def g(self): return self\ndef fit(): return A()",
        " def f(self): return self\n @model_validator(mode='after')\n def g",
        " def g(self): return self\n @model_validator(mode='after')\n def f",
    ),
    "order of methods is read": (
        "class A:\n def f(self): return 1\n def g(self): return 2\ndef fit(): return list(vars(A))",
        " def f(self): return 1\n def g(self): return 2",
        " def g(self): return 2\n def f(self): return 1",
    ),
    "private name of a class": ("def _A__f(): return 1\nclass A:\n def g(self): return __f()\nfit = A", "1", "2"),
    "staticmethod": ("class A:\n @staticmethod\n def f(x): return x\ndef fit(): return A.f", " @staticmethod\n", ""),
    # A base class elsewhere
    "inherited class elsewhere": (
        "from lskd import a\nclass A(a.B): pass\ndef fit(): return A().f()\n"
        "== a.py\nclass B:\n def f(self): return 22\n",
        "22",
        "33",
    ),
    # Dynamic
    "globals": ("def g(): return 1\ndef fit(n): return globals()[n]()", "return 1", "return 2"),
    "getattr of a module": (
        "from lskd import a\ndef fit(n): return getattr(a, n)\n== a.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    "getattr of a package": (
        "import lskd.deep.a\ndef fit(n): return getattr(lskd.deep, n)\n== deep/a.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    "import_module": (
        "from importlib import import_module\ndef fit(): return import_module('lskd.a').f()\n"
        "== a.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    "import_module, relative": (
        "import importlib\ndef fit(): return importlib.import_module('.a', __package__).f()\n"
        "== a.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    "import_module of a folder": (
        "from importlib import import_module\ndef fit(n): return import_module(f'lskd.models.{n}').f()\n"
        "== models/a.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    "__import__": ("def fit(): return __import__('lskd.a').a.f()\n== a.py\ndef f(): return 22\n", "22", "33"),
    "sys.modules": (
        "import sys\ndef fit(): return sys.modules[__name__].g()\ndef g(): return 22\n",
        "22",
        "33",
    ),
    "module's __getattr__": (
        "from lskd import a\ndef fit(): return a.x\n== a.py\ndef __getattr__(name): return 22\n",
        "22",
        "33",
    ),
    "closure": ("def g(n):\n def f(): return n + 22\n return f\nF = g(1)\ndef fit(): return F()", "22", "33"),
    "nonlocal": (
        "def fit():\n x = 1\n def g():\n  nonlocal x\n  x = 2\n g()\n return x",
        "  nonlocal x\n",
        "",
    ),
    "global": ("x = 1\ndef fit():\n global x\n x = 2\n return g()\ndef g(): return x", " global x\n", ""),
    # More that is dynamic
    "import tried within a function": (
        "def fit():\n try: from lskd.a import f\n except ImportError: from lskd.b import f\n return f()\n"
        "== a.py\ndef f(): return 1\n\n== b.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    # A process
    "module run as a process": (
        "import subprocess, sys\ndef fit(): return subprocess.run([sys.executable, '-m', 'lskd.a'])\n"
        "== a.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    # Data files
    "data file beside": (
        "from pathlib import Path\ndef fit(): return (Path(__file__).parent / 'a.yaml').read_text()\n"
        "== a.yaml\nx: 22\n",
        "22",
        "33",
    ),
    "data file from the repository": ("def fit(): return open('lskd/d/a.csv')\n== d/a.csv\n22\n", "22", "33"),
    "data file from the package": (
        "from lskd.deep.m import f\ndef fit(): return f('d/a.csv')\n== deep/m.py\ndef f(x): return x\n== d/a.csv\n22\n",
        "22",
        "33",
    ),
    "data file in a folder below": (
        "from pathlib import Path\ndef fit(): return Path(__file__).parent / 'd' / 'a.csv'\n== d/a.csv\n22\n",
        "22",
        "33",
    ),
    "data files by a suffix": ("def fit(n): return open(f'{n}.yaml')\n== a.yaml\nx: 22\n", "22", "33"),
    "data files by a sum": ("def fit(n): return open(n + '.yaml')\n== a.yaml\nx: 22\n", "22", "33"),
    "data files by a pattern": ("def fit(p): return p.glob('*.yaml')\n== a.yaml\nx: 22\n", "22", "33"),
    "data files by a folder": (
        "from pathlib import Path\ndef fit(): return [*Path(__file__).parent.iterdir()]\n== a.yaml\nx: 22\n",
        "22",
        "33",
    ),
    # Resources
    "resource": (
        "from importlib.resources import files\ndef fit(): return (files('lskd.d') / 'a.csv').read_text()\n"
        "== d/a.csv\n22\n",
        "22",
        "33",
    ),
    "resources by a suffix": (
        "from importlib.resources import files\ndef fit(n): return files('lskd.d') / f'{n}.csv'\n== d/a.csv\n22\n",
        "22",
        "33",
    ),
    "data beside another module": (
        "from pathlib import Path\nfrom lskd.d import m\ndef fit(n): return Path(m.__file__).parent / f'{n}.csv'\n"
        "== d/m.py\nX = 1\n\n== d/a.csv\n22\n",
        "22",
        "33",
    ),
    "data in a folder of the package": (
        "from lskd.e.m import fit as f\ndef fit(n): return f(n)\n"
        "== e/m.py\nfrom pathlib import Path\ndef fit(n): return Path(__file__).parent.parent / 'd' / f'{n}.csv'\n\n"
        "== d/a.csv\n22\n",
        "22",
        "33",
    ),
    "data file named by a constant": ("P = 'a.yaml'\ndef fit(): return open(P)\n== a.yaml\n22\n", "22", "33"),
    # Control flow
    "swapped except clauses": (
        "def fit(f):\n try: f()\n except OSError as a: return 1\n except ValueError as b: return 2",
        "return 1",
        "return 3",
    ),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_packages_that_differ(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before != after


def test_a_difference_names_the_definitions_edited(tmp_path: Path) -> None:
    text = "X = 1\nclass A:\n def f(self): return g()\n def h(self): return 2\ndef g(): return X\ndef fit(): return A()"
    before, after = packages(tmp_path, text, "return 2", "return 3")
    assert [name for name in before if before[name] != after[name]] == ["lskd/train.py:A.h"]
    before, after = packages(tmp_path, text, "X = 1", "X = 2")
    assert [name for name in before if before[name] != after[name]] == ["lskd/train.py:X"]


def test_a_data_file_is_named_and_its_edit_noticed(tmp_path: Path) -> None:
    root = write(tmp_path, {"train.py": "def fit(n): return open(f'{n}.yaml')", "a.yaml": "1"})
    assert "lskd/a.yaml" in definitions(ENTRY, root)
    (root / "lskd/b.yaml").write_text("2")
    assert "lskd/b.yaml" in definitions(ENTRY, root)
    before = definitions(ENTRY, root)
    (root / "lskd/b.yaml").write_text("33")
    assert definitions(ENTRY, root) != before
