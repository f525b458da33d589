"""What a statement does when its module is imported: registrations, rebinding; and what does nothing."""

from pathlib import Path

import pytest

from tests.fingerprint.packages import KD, LOSSES, PYDANTIC, USE, Pair, packages

DIFFERENT: dict[str, Pair] = {
    # Registered by a decorator, by an assignment
    "decorator called": (f"{USE}@make(3)\n{KD}{LOSSES}", "22", "33"),
    "decorator called with another argument": (f"{USE}@make(3)\n{KD}{LOSSES}", "make(3)", "make(4)"),
    "decorator in a table": (f"registry = {{}}\n{USE}@registry['x']\n{KD}{LOSSES}", "22", "33"),
    "decorator's key": (f"registry = {{}}\n{USE}@registry['x']\n{KD}{LOSSES}", "'x'", "'y'"),
    "decorator of an object": (f"{USE}@TABLE.add('x')\n{KD}{LOSSES}", "22", "33"),
    "decorator that is partial": (
        f"from functools import partial\n{USE}@partial(register, n=1)\n{KD}{LOSSES}",
        "22",
        "33",
    ),
    "decorator of a foreign registry": (f"import atexit\ndef fit(): return 1\n@atexit.register\n{KD}", "22", "33"),
    "decorator of a class": (f"{USE}@register\nclass A:\n def f(self): return 22\n{LOSSES}", "22", "33"),
    "decorator of a method": (f"{USE}class A:\n @register\n def f(self): return 22\n{LOSSES}", "22", "33"),
    "call assigned": (f"{USE}{KD}_ = register(kd)\n{LOSSES}", "22", "33"),
    "call assigned removed": (f"{USE}{KD}_ = register(kd)\n{LOSSES}", "_ = register(kd)", ""),
    "method assigned": (f"{USE}{KD}x = TABLE.setdefault('kd', kd)\n{LOSSES}", "22", "33"),
    "method of an object of this module": (f"T = {{}}\ndef fit(): return T\n{KD}x = T.setdefault('a', kd)", "22", "33"),
    "call in a comprehension": (f"{USE}{KD}_ = [register(f) for f in (kd,)]\n{LOSSES}", "22", "33"),
    "call by map": (f"{USE}{KD}_ = list(map(register, [kd]))\n{LOSSES}", "22", "33"),
    "call in a default": (f"{USE}{KD}def g(x=register(kd)): pass\n{LOSSES}", "22", "33"),
    "call in a class's body": (f"{USE}{KD}class A:\n x = register(kd)\n{LOSSES}", "22", "33"),
    "call in a base": (f"{USE}{KD}class A(register(kd)): pass\n{LOSSES}", "22", "33"),
    "call by setattr": (f"{USE}{KD}_ = setattr(TABLE, 'kd', kd)\n{LOSSES}", "22", "33"),
    "call in an annotation": (f"{USE}{KD}x: register(kd)\n{LOSSES}", "22", "33"),
    "foreign state": ("import torch\ndef fit(): return torch.rand(1)\n_ = torch.manual_seed(0)", "(0)", "(1)"),
    "order of registrations": (
        f"{USE}def a(): pass\ndef b(): pass\n_ = register(a)\n_2 = register(b)\n{LOSSES}",
        "_ = register(a)\n_2 = register(b)",
        "_2 = register(b)\n_ = register(a)",
    ),
    "order of imports that register": (
        f"from lskd import a\nfrom lskd import b\n{USE}{LOSSES}"
        f"== a.py\nfrom lskd.losses import register\nregister(1)\n"
        f"== b.py\nfrom lskd.losses import register\nregister(2)\n",
        "from lskd import a\nfrom lskd import b",
        "from lskd import b\nfrom lskd import a",
    ),
    "registered by __init_subclass__": (
        "class Base:\n T = []\n def __init_subclass__(cls): Base.T.append(cls)\n"
        "class A(Base):\n def f(self): return 22\ndef fit(): return Base.T",
        "22",
        "33",
    ),
    "registered by __init_subclass__ elsewhere": (
        "from lskd.base import Base\nimport lskd.a\ndef fit(): return Base.T\n"
        "== base.py\nclass Root:\n T = []\n def __init_subclass__(cls): Root.T.append(cls)\nclass Base(Root): pass\n"
        "== a.py\nfrom lskd.base import Base\nclass A(Base):\n def f(self): return 22\n",
        "22",
        "33",
    ),
    "registered by a metaclass": (
        "T = []\nclass Meta(type):\n def __init__(cls, *a): T.append(cls)\nclass Base(metaclass=Meta): pass\n"
        "class A(Base):\n def f(self): return 22\ndef fit(): return T",
        "22",
        "33",
    ),
    "__subclasses__": (
        "class Base: pass\nclass A(Base):\n def f(self): return 22\ndef fit(): return Base.__subclasses__()",
        "22",
        "33",
    ),
    "metaclass": ("class Meta(type): x = 1\nclass A(metaclass=Meta): pass\ndef fit(): return A.x", "x = 1", "x = 2"),
    # Registered otherwise
    "annotated registration": (f"{USE}{KD}x: object = register(kd)\n{LOSSES}", "22", "33"),
    "registration in a star's module": (
        f"from lskd.a import *\n{USE}{LOSSES}== a.py\nfrom lskd.losses import register\n{KD}_ = register(kd)\n",
        "22",
        "33",
    ),
    "registration in a package above": (
        "from lskd.d.m import T\ndef fit(): return T\n"
        "== d/__init__.py\nfrom lskd.d.m import T\nT.append(22)\n\n== d/m.py\nT = []\n",
        "22",
        "33",
    ),
    "registration by a loop": (f"{USE}{KD}for f in (kd,): register(f)\n{LOSSES}", "22", "33"),
    "registration by an object's making": (
        "T = []\nclass R:\n def __init__(self, f): T.append(f)\ndef g(): return 22\nx = R(g)\ndef fit(): return T",
        "22",
        "33",
    ),
    "registration by a dataclass's making": (
        "from dataclasses import dataclass\nT = []\n@dataclass\nclass R:\n f: object\n"
        " def __post_init__(self): T.append(self.f)\ndef g(): return 22\nx = R(g)\ndef fit(): return T",
        "22",
        "33",
    ),
    "registration by a default factory": (
        "from dataclasses import dataclass, field\nT = []\ndef g(): T.append(22)\n@dataclass\nclass R:\n"
        " f: object = field(default_factory=g)\nx = R()\ndef fit(): return T",
        "22",
        "33",
    ),
    "registration by a sort": (f"{USE}{KD}x = sorted([kd], key=register)\n{LOSSES}", "22", "33"),
    "registration by a lambda that is called": (f"{USE}{KD}x = (lambda: register(kd))()\n{LOSSES}", "22", "33"),
    "registration under a condition": (f"{USE}{KD}if TABLE: register(kd)\n{LOSSES}", "22", "33"),
    "monkeypatch": ("import lskd.a\nlskd.a.f = 22\ndef fit(): return lskd.a.f\n== a.py\nf = 1\n", "22", "33"),
    "decorator shadowed in a class": (
        "T = []\nclass A:\n def property(f): T.append(f); return f\n @property\n def g(self): return 22\n"
        "def fit(): return T",
        "22",
        "33",
    ),
    "decorator rebound": (
        "T = []\ndef property(f): T.append(f)\n@property\ndef g(): return 22\ndef fit(): return T",
        "22",
        "33",
    ),
    # A class's making
    "class's keyword": (
        "class B:\n def __init_subclass__(cls, n): cls.n = n\nclass A(B, n=22): pass\nfit = A",
        "22",
        "33",
    ),
    # Rebinding
    "definition twice": ("def g(): return 1\ndef g(): return 2\ndef fit(): return g()", "1", "3"),
    "definitions swapped": (
        "def g(): return 1\ndef g(): return 2\ndef fit(): return g()",
        "def g(): return 1\ndef g(): return 2",
        "def g(): return 2\ndef g(): return 1",
    ),
    "import then definition": (
        f"from lskd.losses import make\ndef make(): return 1\ndef fit(): return make()\n{LOSSES}",
        "from lskd.losses import make\ndef make(): return 1",
        "def make(): return 1\nfrom lskd.losses import make",
    ),
    "foreign import then constant": (
        "from math import pi\npi = 3\ndef fit(): return pi",
        "from math import pi\npi = 3",
        "pi = 3\nfrom math import pi",
    ),
    "two imports of a name": (
        "from math import sin as f\nfrom math import cos as f\ndef fit(): return f(1)",
        "from math import sin as f\nfrom math import cos as f",
        "from math import cos as f\nfrom math import sin as f",
    ),
    "constant rebound": ("X = 1\nX = X + 1\ndef fit(): return X", "X + 1", "X + 2"),
    "read between two bindings": (
        "X = 1\nY = X\nX = 2\ndef fit(): return Y",
        "Y = X\nX = 2",
        "X = 2\nY = X",
    ),
    "read before a mutation": (
        "X = []\nY = len(X)\nX.append(1)\ndef fit(): return Y",
        "Y = len(X)\nX.append(1)",
        "X.append(1)\nY = len(X)",
    ),
    "read before a mutation by an alias": (
        "X = []\nZ = X\nY = len(X)\nZ.append(1)\ndef fit(): return Y",
        "Y = len(X)\nZ.append(1)",
        "Z.append(1)\nY = len(X)",
    ),
    "read before a registration": (
        "T = []\ndef add(f): T.append(f)\nN = len(T)\n@add\ndef g(): pass\ndef fit(): return N",
        "N = len(T)\n@add\ndef g(): pass",
        "@add\ndef g(): pass\nN = len(T)",
    ),
    "default read before a rebinding": (
        "X = 1\ndef g(x=X): return x\nX = 2\ndef fit(): return g()",
        "def g(x=X): return x\nX = 2",
        "X = 2\ndef g(x=X): return x",
    ),
    "global written by a function": (
        "X = 1\ndef set_():\n global X\n X = 2\nset_()\nY = X\ndef fit(): return Y",
        "set_()\nY = X",
        "Y = X\nset_()",
    ),
    "try import": (
        "try:\n import rich as a\nexcept ImportError:\n a = None\ndef fit(): return a",
        "a = None",
        "a = 1",
    ),
    "try import of another": (
        "try:\n import rich as a\nexcept ImportError:\n a = None\ndef fit(): return a",
        "import rich as",
        "import yaml as",
    ),
    "del": ("X = 1\nY = 2\ndef fit(): return X", "Y = 2", "Y = 2\ndel X"),
    "augmented": ("X = [1]\nX += [2]\ndef fit(): return X", "[2]", "[3]"),
    "walrus": ("A = (X := 1)\ndef fit(): return X", "1", "2"),
    "for at the top": ("for X in (1, 2): pass\ndef fit(): return X", "(1, 2)", "(2, 1)"),
    "with at the top": ("from io import StringIO as S\nwith S('a') as X: pass\ndef fit(): return X", "'a'", "'b'"),
    "match at the top": ("match 1:\n case X: pass\ndef fit(): return X", "1", "2"),
    "conditional definition": (
        "import sys\nif sys.argv:\n def g(): return 1\nelse:\n def g(): return 2\ndef fit(): return g()",
        "2",
        "3",
    ),
    "TYPE_CHECKING of our own": (
        "TYPE_CHECKING = True\nif TYPE_CHECKING:\n X = 1\nelse:\n X = 2\ndef fit(): return X",
        "X = 1",
        "X = 3",
    ),
    "else of TYPE_CHECKING": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING: X = 1\nelse:\n X = 2\ndef fit(): return X",
        "X = 2",
        "X = 3",
    ),
    "__all__ of a star import": (
        "from lskd.a import *\ndef fit(): return f()\n"
        "== a.py\n__all__ = ['f']\nfrom math import *\ndef f(): return 1\n",
        "['f']",
        "['f', 'sin']",
    ),
    "star import before or after": (
        "from lskd.a import *\ndef g(): return 1\ndef fit(): return g()\n== a.py\ndef g(): return 2\n",
        "from lskd.a import *\ndef g(): return 1",
        "def g(): return 1\nfrom lskd.a import *",
    ),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_packages_that_differ(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before != after


EQUAL: dict[str, Pair] = {
    # What is not used
    "unused import": ("def fit(): return 1", "def fit", "import numpy\ndef fit"),
    "unused import of ours": (
        "def fit(): return 1\n== a.py\ndef f(): return 1\n",
        "def fit",
        "from lskd.a import f\ndef fit",
    ),
    "unused function": ("def fit(): return 1", "def fit", "def other(x=3): return fit()\ndef fit"),
    "unused constant": ("def fit(): return 1", "def fit", "import re\nOTHER = re.compile('a').pattern\ndef fit"),
    "unused tuple of a call": ("def fit(): return 1", "def fit", "OTHER = tuple('a b'.split())\ndef fit"),
    "unused class": ("def fit(): return 1", "def fit", "class Other:\n x = 1\n def f(self): pass\ndef fit"),
    "unused dataclass": (
        "from dataclasses import dataclass, field\ndef fit(): return 1",
        "def fit",
        "@dataclass(frozen=True)\nclass Other:\n x: list = field(default_factory=list)\ndef fit",
    ),
    "unused model": (f"{PYDANTIC}def fit(): return 1", "def fit", "class Other(BaseModel):\n x: int = 1\ndef fit"),
    "unused subclass": (
        "class A: pass\ndef fit(): return A",
        "def fit",
        "class Other(A):\n def f(self): pass\ndef fit",
    ),
    "unused cached function": (
        "from functools import cache\ndef fit(): return 1",
        "def fit",
        "@cache\ndef other(): return 2\ndef fit",
    ),
    "option of a module that is not reached": (
        "def fit(): return 1\n== config.py\nclass Recipe:\n x: int = 22\n",
        "22",
        "33",
    ),
    "__all__": ("def fit(): return 1", "def fit", "__all__ = ['fit']\ndef fit"),
    "main block": ("def fit(): return 1", "def fit", "if __name__ == '__main__':\n fit()\ndef fit"),
    "data file of another module": ("def fit(): return open('a.yaml')\n== a.yaml\n1\n\n== b.yaml\n22\n", "22", "33"),
    "parameter named as a module": (
        "from lskd import a\ndef fit(a): return a\n== a.py\nX = 22\n",
        "22",
        "33",
    ),
    "pass": ("def fit():\n return 1", " return 1", " pass\n return 1"),
    # What is not used, though it is made on import
    "unused enum": (
        "import enum\ndef fit(): return 1",
        "def fit",
        "class E(enum.Enum):\n A = enum.auto()\ndef fit",
    ),
    "unused row of a table": (
        "from typing import NamedTuple\nclass Row(NamedTuple):\n x: int\ndef fit(): return 1\nT = [Row(1)]",
        "[Row(1)]",
        "[Row(1), Row(2)]",
    ),
    "unused path": (
        "from pathlib import Path\ndef fit(): return 1",
        "def fit",
        "HERE = Path('x').resolve()\ndef fit",
    ),
    "unused partial": (
        "from functools import partial\ndef g(): pass\ndef fit(): return 1",
        "def fit",
        "H = partial(g, 1)\ndef fit",
    ),
    "unused array": ("import numpy as np\ndef fit(): return 1", "def fit", "X = np.array([1, 2])\ndef fit"),
    "unused logger": ("import logging\ndef fit(): return 1", "def fit", "log = logging.getLogger('x')\ndef fit"),
    "unused type": ("from typing import TypeVar\ndef fit(): return 1", "def fit", "T = TypeVar('T')\ndef fit"),
    "unused alias of ours": (
        "from lskd import a\ndef fit(): return 1\n== a.py\nX = 1\n",
        "def fit",
        "X = a.X\ndef fit",
    ),
    "test of another module": ("def fit(): return 1\n== test_x.py\nX = 22\n", "22", "33"),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_packages_that_do_the_same(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before == after
