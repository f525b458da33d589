"""Pairs of packages: those that behave differently have different digests, those that differ in nothing equal ones.

A package is written as one text: what stands before the first "== FILE" line is lskd/train.py, of which `fit` is run.
"""

from pathlib import Path

import pytest

from lskd.jobs.fingerprint import definitions
from tests.jobs.test_fingerprint import ENTRY, write

Pair = tuple[str, str, str]  # package, a part of it, what stands there in the other package


def packages(tmp_path: Path, text: str, old: str, new: str) -> tuple[dict[str, str], dict[str, str]]:
    """What `fit` reaches in a package and in the other one."""
    assert old in text
    return tuple(
        definitions(ENTRY, write(tmp_path / name, files(each)))
        for name, each in (("before", text), ("after", text.replace(old, new, 1)))
    )  # type: ignore[return-value]


def files(text: str) -> dict[str, str]:
    """The files of a package written as one text."""
    first, *others = text.split("\n== ")
    return {"train.py": first} | {part.partition("\n")[0].strip(): part.partition("\n")[2] for part in others}


LOSSES = (
    "\n== losses.py\nTABLE = {}\ndef register(f): TABLE[f.__name__] = f; return f\ndef make(n): return lambda f: f\n"
)
KD = "def kd(): return 22\n"
USE = "from lskd.losses import TABLE, register, make\ndef fit(): return TABLE\n"
PYDANTIC = "from pydantic import BaseModel\n"

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
    # Annotations that something reads
    "model's field": (f"{PYDANTIC}class A(BaseModel):\n x: int\ndef fit(): return A(x=1.5)", "int", "float"),
    "model's nested model": (
        f"{PYDANTIC}from lskd.losses import B\nclass A(BaseModel):\n x: B\ndef fit(): return A()\n"
        f"== losses.py\n{PYDANTIC}class B(BaseModel):\n y: int = 1\n",
        "y: int = 1",
        "y: int = 2",
    ),
    "model's nested model in quotes": (
        f"{PYDANTIC}class B(BaseModel):\n y: int = 1\nclass A(BaseModel):\n x: 'list[B]'\ndef fit(): return A()",
        "y: int = 1",
        "y: int = 2",
    ),
    "model's constraint": (
        "from typing import Annotated\nfrom pydantic import BaseModel, Field\n"
        "class A(BaseModel):\n x: Annotated[int, Field(ge=1)]\ndef fit(): return A(x=0)",
        "ge=1",
        "ge=0",
    ),
    "mixin of a model": (
        f"{PYDANTIC}class M:\n x: int = 1\nclass A(M, BaseModel): pass\ndef fit(): return A()",
        "int",
        "str",
    ),
    "dataclass's ClassVar": (
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "@dataclass\nclass A:\n x: int = 1\ndef fit(): return A(1)",
        "x: int",
        "x: ClassVar[int]",
    ),
    "dataclass called": (
        "from dataclasses import dataclass\nclass A:\n x: int = 1\nB = dataclass(A)\ndef fit(): return B",
        "int",
        "str",
    ),
    "NamedTuple": ("from typing import NamedTuple\nclass A(NamedTuple):\n x: int\ndef fit(): return A", "int", "str"),
    "TypedDict": ("from typing import TypedDict\nclass A(TypedDict):\n x: int\ndef fit(): return A", "int", "str"),
    "singledispatch": (
        "from functools import singledispatch\n@singledispatch\ndef fit(x): return 0\n"
        "@fit.register\ndef _(x: int): return 1",
        "x: int",
        "x: str",
    ),
    "parameter under a decorator": (
        "from pydantic import validate_call\n@validate_call\ndef fit(x: int): return x",
        "x: int",
        "x: str",
    ),
    "annotations read": ("import typing\ndef fit(x: int): return typing.get_type_hints(fit)", "x: int", "x: str"),
    "signature read": ("import inspect\ndef g(x: int): pass\ndef fit(): return inspect.signature(g)", "int", "str"),
    "order of fields": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n x: int\n y: int\ndef fit(): return A(1, 2)",
        " x: int\n y: int",
        " y: int\n x: int",
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
    # Texts that count
    "text that is returned": ("def fit(): return 'text'", "text", "other"),
    "text compared": (
        "def g(): raise ValueError('bad')\ndef fit():\n try: g()\n except ValueError as e: return 'bad' in str(e)",
        "ValueError('bad')",
        "ValueError('good')",
    ),
    "text compared in another module": (
        "from lskd.a import g\ndef fit():\n try: g()\n except ValueError as e: return 'bad' in e.args\n"
        "== a.py\ndef g(): raise ValueError('bad')\n",
        "ValueError('bad')",
        "ValueError('good')",
    ),
    "text compared after an assignment": (
        "def fit():\n try: raise ValueError('bad')\n except ValueError as e:\n  x = str(e)\n  return x",
        "bad",
        "good",
    ),
    "text collected": (
        "def fit(all):\n try: raise ValueError('bad')\n except ValueError as e: all.append(str(e))",
        "bad",
        "good",
    ),
    "text handed on": (
        "def fit(f):\n try: raise ValueError('bad')\n except ValueError as e: f(e)",
        "bad",
        "good",
    ),
    "text read from the traceback": (
        "import traceback as t\ndef fit():\n try: raise ValueError('bad')\n except ValueError: return t.format_exc()",
        "'bad'",
        "'good'",
    ),
    "text read by __exit__": (
        "class C:\n def __enter__(self): pass\n def __exit__(self, kind, value, trace): return 'bad' in str(value)\n"
        "def fit():\n with C(): raise ValueError('bad')",
        "ValueError('bad')",
        "ValueError('good')",
    ),
    "text of an exception with a method": (
        "class E(Exception):\n def __init__(self, kind): self.is_bad = kind == 'bad'\n"
        "def fit():\n try: raise E('bad')\n except E as e: return e.is_bad",
        "raise E('bad')",
        "raise E('good')",
    ),
    "value of StopIteration": (
        "def fit(g):\n try: raise StopIteration('a')\n except StopIteration as e: return e.value",
        "'a'",
        "'b'",
    ),
    "second argument of OSError": (
        "def fit():\n try: raise OSError(1, 'a')\n except OSError as e: return e.strerror",
        "'a'",
        "'b'",
    ),
    "exception's class": ("def fit(): raise ValueError('a')", "ValueError", "KeyError"),
    "exception's name rebound": (
        "class ValueError(Exception):\n def __init__(self, x): open(x)\ndef fit(): raise ValueError('a')",
        "'a'",
        "'b'",
    ),
    "call in a message": ("def fit(x): raise ValueError(f'a {x.pop()}')", "x.pop()", "x"),
    "text given to a call in a message": ("def fit(x): raise ValueError(x.save('a'))", "'a'", "'b'"),
    "walrus in a print": ("def fit(x):\n print(f'{(y := x)}')\n return y", "y := x", "y := -x"),
    "print to a file": ("def fit(f): print('a', file=f)", "'a'", "'b'"),
    "print captured": (
        "from contextlib import redirect_stdout\ndef fit(f):\n with redirect_stdout(f): g()\ndef g(): print('a')",
        "'a'",
        "'b'",
    ),
    "print rebound": ("def print(x): return x\ndef fit():\n print('a')\n return 1", "'a'", "'b'"),
    "print that is a parameter": ("def fit(print): print('a')", "'a'", "'b'"),
    "print's value": ("def fit(): return print('a') or 'b'", "'b'", "'c'"),
    "exit's status": ("import sys\ndef fit(): sys.exit(1)", "1", "2"),
    "exit's text becomes a status": ("import sys\ndef fit(): sys.exit('a')", "'a'", "0"),
    "assert's test": ("def fit(x): assert x > 1, 'a'", "> 1", "> 2"),
    "length of what stderr.write returns": ("import sys\ndef fit(): return sys.stderr.write('a')", "'a'", "'bb'"),
    "docs read": ("def g():\n 'a'\ndef fit(): return g.__doc__", "'a'", "'b'"),
    "module's docs read": ("'a'\ndef fit(): return __doc__", "'a'", "'b'"),
    # Statements on objects of modules that are not followed
    "call with an effect": (
        "from lskd.progress import Report\ndef fit(tell: Report, x):\n tell.epoch(x.pop())\n return x",
        " tell.epoch(x.pop())\n",
        "",
    ),
    "value of a message used": (
        "from lskd.progress import Report\ndef fit(tell: Report): return tell.epoch(1)",
        "epoch(1)",
        "step(1)",
    ),
    "object of another kind": ("def fit(tell): tell.epoch(1)", "epoch(1)", "epoch(2)"),
    "object bound twice": (
        "from lskd.progress import report\ndef fit(x):\n t = report()\n t = x\n t.append(1)\n return x",
        "append(1)",
        "append(2)",
    ),
    "parameter bound again": (
        "from lskd.progress import Report\ndef fit(t: Report, x):\n t = x\n t.append(1)\n return x",
        "append(1)",
        "append(2)",
    ),
    # Names of locals
    "shadowed builtin": ("def fit(x):\n length = 1\n return len(x)", "length = 1", "len = 1"),
    "shadowed global": ("g = 1\ndef fit(x):\n h = 2\n return g", "h = 2", "g = 2"),
    "uses of two locals swapped": ("def fit(x):\n a, b = x\n return a - b", "a - b", "b - a"),
    "targets swapped": ("def fit(x):\n a, b = x\n return a - b", "a, b", "b, a"),
    "comprehension's variable and a local": (
        "def fit(x):\n i = 1\n return [i for j in x]",
        "i for j in x",
        "i for i in x",
    ),
    "comprehension's variable after it": ("i = 0\ndef fit(x):\n y = [j for j in x]\n return i", "return i", "return x"),
    "comprehension's variable or a parameter": ("def fit(x, i):\n y = [i for j in x]\n return y", "i for j", "j for j"),
    "class in a function": ("def fit():\n x = 1\n class A:\n  y = x\n return A.y", "y = x", "y = 2"),
    "class's own name": (
        "x = 0\ndef fit():\n x = 1\n class A:\n  y = x\n return A.y",
        "  y = x",
        "  x = x\n  y = x",
    ),
    "parameter renamed": ("def fit(a): return a", "a): return a", "b): return b"),
    "lambda's parameter": ("def fit(): return lambda a: a", "a: a", "b: b"),
    "nested function's variable": (
        "def fit():\n x = 1\n def g():\n  y = 2\n  return x\n return g()",
        "y = 2",
        "x = 2",
    ),
    "names that are read": ("def fit():\n a = 1\n return locals()", "a = 1", "b = 1"),
    "names that are evaluated": ("def fit():\n a = b = 1\n return eval('a')", "a = b", "c = b"),
    "names in a query": ("def fit(df):\n a = 1\n return df.query('x > @a')", "a = 1", "b = 1"),
    "local by its annotation alone": ("x = 1\ndef fit():\n x: int\n return x", " x: int\n", ""),
    "except's name": (
        "e = 1\ndef fit():\n try: pass\n except ValueError as f: pass\n return e",
        "as f",
        "as e",
    ),
    "walrus in a comprehension": (
        "def fit(x):\n y = 0\n _ = [(y := i) for i in x]\n return y",
        "y := i",
        "z := i",
    ),
    "star and order of a call": ("def fit(f, a, b): return f(*a, *b)", "*a, *b", "*b, *a"),
    "import inside": ("def fit():\n from math import sin as f\n return f(1)", "sin", "cos"),
    "default evaluated outside": ("x = 1\ndef fit():\n def g(y=x): return y\n return g()", "y=x", "y=0"),
    "global in a nested function": (
        "x = 0\ndef fit():\n x = 1\n def g():\n  global x\n  return x\n return g()",
        "  global x\n",
        "",
    ),
    "cast's value": ("from typing import cast\ndef fit(x): return cast(int, x)", "cast(int, x)", "cast(int, -x)"),
    "cast of our own": ("def cast(a, b): return a\ndef fit(x): return cast(int, x)", "cast(int, x)", "cast(str, x)"),
    "f-string's format": ("def fit(x): return f'{x:.2f}'", ".2f", ".3f"),
    "bytes": ("def fit(): return 'a'", "'a'", "b'a'"),
    # Second round
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
    "import tried within a function": (
        "def fit():\n try: from lskd.a import f\n except ImportError: from lskd.b import f\n return f()\n"
        "== a.py\ndef f(): return 1\n\n== b.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    "default of a lambda": ("def fit(x): return [lambda i=i: i for i in x]", "i=i", "i=0"),
    "name of a nested function": (
        "def fit():\n def g(): pass\n return g",
        "g(): pass\n return g",
        "h(): pass\n return h",
    ),
    "name of a nested class": ("def fit():\n class A: pass\n return A", "A: pass\n return A", "B: pass\n return B"),
    "comprehension in a class": ("class A:\n x = [1]\n y = [x for x in x]\nfit = A", "x for x", "0 for x"),
    "f-string that names its local": (
        "def fit():\n a = 1\n return f'{a=}'",
        "a = 1\n return f'{a=}'",
        "b = 1\n return f'{b=}'",
    ),
    "local by its annotation alone, read by locals": ("def fit():\n x: int\n return len(locals()), x", " x: int\n", ""),
    "nested function's local by its annotation": (
        "def fit():\n x = 1\n def g():\n  x: int\n  return x\n return g()",
        "  x: int\n",
        "",
    ),
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
    "module run as a process": (
        "import subprocess, sys\ndef fit(): return subprocess.run([sys.executable, '-m', 'lskd.a'])\n"
        "== a.py\ndef f(): return 22\n",
        "22",
        "33",
    ),
    "text read from sys": (
        "import sys\ndef fit():\n try: raise ValueError('bad')\n except ValueError: return str(sys.exc_info()[1])",
        "'bad'",
        "'good'",
    ),
    "text read from a future": (
        "def g(): raise ValueError('bad')\ndef fit(pool): return str(pool.submit(g).exception())",
        "'bad'",
        "'good'",
    ),
    "text put in a list within an assignment": (
        "def fit(all):\n try: raise ValueError('bad')\n except ValueError as e:\n  x = all.append(str(e))",
        "'bad'",
        "'good'",
    ),
    "text read by a helper": (
        "def is_bad(e): return 'bad' in str(e)\ndef fit():\n try: raise ValueError('bad')\n"
        " except ValueError as e: return is_bad(e)",
        "ValueError('bad')",
        "ValueError('good')",
    ),
    "text decides on what is raised": (
        "def kind(e): return KeyError if 'bad' in str(e) else OSError\ndef fit():\n try: raise ValueError('bad')\n"
        " except ValueError as e: raise kind(e)('x')",
        "ValueError('bad')",
        "ValueError('good')",
    ),
    "text of a note": (
        "def fit():\n try: raise ValueError('bad')\n except ValueError as e: return e.__notes__ or e",
        "'bad'",
        "'good'",
    ),
    "text of a group": (
        "def fit():\n try: raise ValueError('bad')\n except* ValueError as e: fit.x = e.exceptions",
        "'bad'",
        "'good'",
    ),
    "exit's message caught": (
        "import sys\ndef fit():\n try: sys.exit('a')\n except SystemExit as e: return e.code",
        "'a'",
        "'b'",
    ),
    "warning recorded": (
        "import warnings\ndef g(): warnings.warn('a')\n"
        "def fit():\n with warnings.catch_warnings(record=True) as w: g()\n return w",
        "'a'",
        "'b'",
    ),
    "print with a computed file": ("def fit(k): print('a', **k)", "'a'", "'b'"),
    "index in a message": ("def fit(x): raise ValueError(x['a'])", "'a'", "'b'"),
    "local exception class": (
        "def fit(f):\n ValueError = f\n raise ValueError('a')",
        "'a'",
        "'b'",
    ),
    "log that is no logger": ("from lskd.a import log\ndef fit(): log.info('a')\n== a.py\nlog = []\n", "'a'", "'b'"),
    "swapped except clauses": (
        "def fit(f):\n try: f()\n except OSError as a: return 1\n except ValueError as b: return 2",
        "return 1",
        "return 3",
    ),
    "import in a function of two": (
        "def fit():\n import numpy as a, math as b\n return a.sin(b.pi)",
        "numpy as a, math as b",
        "math as a, numpy as b",
    ),
    "order of two locals' definitions": ("def fit(f):\n a = f(1)\n b = f(2)\n return a, b", "a, b", "b, a"),
    "class's keyword": (
        "class B:\n def __init_subclass__(cls, n): cls.n = n\nclass A(B, n=22): pass\nfit = A",
        "22",
        "33",
    ),
    "inherited class elsewhere": (
        "from lskd import a\nclass A(a.B): pass\ndef fit(): return A().f()\n"
        "== a.py\nclass B:\n def f(self): return 22\n",
        "22",
        "33",
    ),
    "True and 1": ("def fit(): return 1", "1", "True"),
    "1 and 1.0": ("def fit(): return 1", "1", "1.0"),
    "negative zero": ("def fit(): return 0.0", "0.0", "-0.0"),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_packages_that_differ(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before != after


TELL = "from lskd.progress import Report, report\n"
EQUAL: dict[str, Pair] = {
    "comment": ("def fit(): return 1", "return 1", "return 1  # one"),
    "layout": ("def fit(): return f(1, 2)", "f(1, 2)", "f(\n  1,\n  2,\n )"),
    "quotes": ("def fit(): return 'a'", "'a'", '"a"'),
    "parentheses": ("def fit(): return 1 + 2", "1 + 2", "((1) + (2))"),
    "u": ("def fit(): return 'a'", "'a'", "u'a'"),
    "f-string without a field": ("def fit(): return 'a'", "'a'", "f'a'"),
    "docstring of a method": ("class A:\n def f(self): return 1\nfit = A", "return 1", "\n  'doc'\n  return 1"),
    "docstring of a module": ("def fit(): return 1", "def fit", "'doc'\ndef fit"),
    "order of definitions": (
        "A = 1\nB = 2\ndef f(): return A\ndef g(): return B\ndef fit(): return f() + g()",
        "A = 1\nB = 2\ndef f(): return A\ndef g(): return B",
        "def g(): return B\ndef f(): return A\nB = 2\nA = 1",
    ),
    "order of methods": (
        "class A:\n def f(self): return 1\n def g(self): return 2\nfit = A",
        " def f(self): return 1\n def g(self): return 2",
        " def g(self): return 2\n def f(self): return 1",
    ),
    "order of imports": ("import os\nimport sys\ndef fit(): return os, sys", "os\nimport sys", "sys\nimport os"),
    "order of our imports": (
        "from lskd.a import f\nfrom lskd.b import g\ndef fit(): return f, g\n"
        "== a.py\ndef f(): pass\n\n== b.py\ndef g(): pass\n",
        "from lskd.a import f\nfrom lskd.b import g",
        "from lskd.b import g\nfrom lskd.a import f",
    ),
    # Text
    "raise": ("def fit(x): raise ValueError('a')", "'a'", "'b'"),
    "raise with an f-string": ("def fit(x): raise ValueError(f'a {x} b')", "a {x} b", "b {x}: c"),
    "raise of two lines": ("def fit(x): raise ValueError(f'a {x} b')", "f'a {x} b'", "f'a {x} ' 'and more'"),
    "raise with a sum": ("def fit(x): raise ValueError('a' + str(x) + 'b')", "'a'", "'b'"),
    "raise with %": ("def fit(x): raise ValueError('a %s' % x)", "'a %s'", "'b: %s'"),
    "raise with format": ("def fit(x): raise ValueError('a {}'.format(x))", "'a {}'", "'b: {}'"),
    "raise with a condition": ("def fit(x): raise ValueError('a' if x else 'b')", "'b'", "'c'"),
    "raise of an unfollowed module": (
        "from lskd.errors import UserError\ndef fit(x): raise UserError('a')",
        "'a'",
        "'b'",
    ),
    "raise of a plain class": ("class E(ValueError): pass\ndef fit(x): raise E('a')", "E('a')", "E('b')"),
    "raise beside a caught exception's message": (
        "from lskd.errors import UserError\ndef fit(x):\n try: x()\n"
        " except OSError as e: raise UserError(f'a: {e.strerror or e}') from e",
        "a: ",
        "b: ",
    ),
    "raise of an assigned message": (
        "from lskd.errors import UserError\ndef fit(x):\n try: x()\n except OSError as e:\n"
        "  why = ' '.join(str(e).split())\n  raise UserError(f'a: {why}') from e",
        "a: ",
        "b: ",
    ),
    "caught exception compared with None": (
        "def fit(x):\n try: raise ValueError('a')\n except ValueError as e: print(e, type(e).__name__)",
        "'a'",
        "'b'",
    ),
    "caught exception's type": (
        "def fit(x):\n try: raise ValueError('a')\n except Exception as e:\n  return isinstance(e, ValueError)",
        "'a'",
        "'b'",
    ),
    "assert": ("def fit(x): assert x, 'a'", "'a'", "'b'"),
    "print": ("def fit(x): print(f'a {x}', 'b')", "'b'", "'c'"),
    "print to stderr": ("import sys\ndef fit(x): print(f'a {x}', file=sys.stderr)", "a ", "b "),
    "log": ("import logging\nlog = logging.getLogger('x')\ndef fit(x): log.info('a %s', x)", "a %s", "b %s"),
    "logging": ("import logging\ndef fit(x): logging.warning(f'a {x}')", "a ", "b "),
    "warning": ("import warnings\ndef fit(x): warnings.warn(f'a {x}')", "a ", "b "),
    "stderr": ("import sys\ndef fit(x): sys.stderr.write(f'a {x}')", "a ", "b "),
    "exit": ("import sys\ndef fit(x): sys.exit(f'a {x}')", "a ", "b "),
    # Unfollowed modules
    "statement on a parameter": (f"{TELL}def fit(tell: Report): tell.epoch(1, 2)", "1, 2", "1, len(x) + 2"),
    "statement removed": (
        f"{TELL}def fit(tell: Report, x):\n tell.epoch(x.a[0])\n return x",
        " tell.epoch(x.a[0])\n",
        "",
    ),
    "statement on a quoted type": (f"{TELL}def fit(tell: 'Report'): tell.epoch(1)", "epoch(1)", "step(2)"),
    "statement on an optional type": (f"{TELL}def fit(tell: Report | None): tell.epoch(1)", "epoch(1)", "step(2)"),
    "statement within with": (f"{TELL}def fit():\n with report(1) as tell: tell.epoch(1)", "epoch(1)", "step(2)"),
    "statement on a local": (f"{TELL}def fit():\n tell = report(1)\n tell.epoch(1)", "epoch(1)", "step(2)"),
    "statement of a function": (f"{TELL}def fit(x): report(x)\n", "report(x)", "report(x, 1)"),
    "statement on a type for checks only": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n from lskd.progress import Report\n"
        "def fit(tell: 'Report'): tell.epoch(1)",
        "epoch(1)",
        "epoch(2)",
    ),
    "import of an unfollowed module": ("def fit(): return 1", "def fit", f"{TELL}def fit"),
    "unfollowed module edited": (f"{TELL}def fit(): return report()\n== progress.py\nX = 22\n", "22", "33"),
    # Annotations
    "annotation of a parameter": ("def fit(x: int): return x", "int", "list[str]"),
    "annotation of a return": ("def fit(x) -> int: return x", "int", "str"),
    "annotation of a local": ("def fit(x):\n y: int = x\n return y", "y: int", "y"),
    "annotation of a local without a value": ("def fit(x):\n y = x\n return y", "y = x", "y: int\n y = x"),
    "annotation of an attribute": ("class A:\n def f(self):\n  self.x: int = 1\nfit = A", "x: int", "x"),
    "annotation of a constant": ("X = 3\ndef fit(): return X", "X = 3", "X: int = 3"),
    "annotation under a harmless decorator": (
        "from contextlib import contextmanager\n@contextmanager\ndef fit(x: int): yield x",
        "int",
        "str",
    ),
    "annotation under lru_cache": (
        "from functools import lru_cache\n@lru_cache(maxsize=2)\ndef fit(x: int): return x",
        "int",
        "str",
    ),
    "annotation under no_grad": ("import torch\n@torch.no_grad()\ndef fit(x: int): return x", "int", "str"),
    "annotation of a property": ("class A:\n @property\n def x(self) -> int: return 1\nfit = A", "int", "str"),
    "from __future__": ("def fit(x: int): return x", "def fit", "from __future__ import annotations\ndef fit"),
    "type alias": ("Numbers = list[int]\ndef fit(x: Numbers): return x", "list[int]", "list[float]"),
    "type checking": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n from lskd.a import A\ndef fit(x: 'A'): return x\n"
        "== a.py\nA = 22\n",
        "22",
        "33",
    ),
    "cast": ("from typing import cast\ndef fit(x): return cast('int', x)", "'int'", "str"),
    # Names of locals
    "local": ("def fit(x):\n a = x\n return a", "a = x\n return a", "b = x\n return b"),
    "local of a nested function": (
        "def fit(x):\n def g():\n  a = x\n  return a\n return g",
        "a = x\n  return a",
        "b = x\n  return b",
    ),
    "local used in a nested function": (
        "def fit(x):\n a = x\n return lambda: a",
        "a = x\n return lambda: a",
        "b = x\n return lambda: b",
    ),
    "nonlocal": (
        "def fit():\n a = 1\n def g():\n  nonlocal a\n  a = 2\n g()\n return a",
        "a = 1\n def g():\n  nonlocal a\n  a = 2\n g()\n return a",
        "b = 1\n def g():\n  nonlocal b\n  b = 2\n g()\n return b",
    ),
    "comprehension": ("def fit(x): return [i for i in x]", "i for i", "j for j"),
    "comprehension at the top": ("X = [i for i in 'ab']\ndef fit(): return X", "i for i", "j for j"),
    "comprehension over a local of the same name": (
        "def fit(x):\n i = x\n return [i for i in i]",
        "[i for i in i]",
        "[j for j in i]",
    ),
    "except": (
        "def fit(x):\n try: x()\n except OSError as a: print(a)",
        "a: print(a)",
        "b: print(b)",
    ),
    "with": ("def fit(x):\n with x as a: return a", "a: return a", "b: return b"),
    "for": ("def fit(x):\n for a in x: x(a)", "a in x: x(a)", "b in x: x(b)"),
    "walrus": ("def fit(x): return (a := x) + a", "(a := x) + a", "(b := x) + b"),
    "match": ("def fit(x):\n match x:\n  case [a, *b]: return a, b", "[a, *b]: return a, b", "[c, *d]: return c, d"),
    "alias within a function": (
        "def fit(x):\n import numpy as np\n return np.sin(x)",
        "np\n return np.",
        "numpy\n return numpy.",
    ),
    "alias of ours within a function": (
        "def fit(x):\n from lskd.a import f as g\n return g(x)\n== a.py\ndef f(x): return x\n",
        "f as g\n return g",
        "f\n return f",
    ),
    "local in a method": (
        "class A:\n def f(self):\n  a = 1\n  return a\nfit = A",
        "a = 1\n  return a",
        "b = 1\n  return b",
    ),
    "local named as a global": ("b = 1\ndef fit(x):\n a = x\n return a", "a = x\n return a", "b = x\n return b"),
    "local named as a builtin": ("def fit(x):\n a = x\n return a", "a = x\n return a", "len = x\n return len"),
    "local beside model.eval": (
        "def fit(model):\n a = model.eval()\n return a",
        "a = model.eval()\n return a",
        "b = model.eval()\n return b",
    ),
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
    "else after its messages": (
        f"{TELL}def fit(tell: Report, x):\n if x: x()\n return 1",
        "if x: x()",
        "if x: x()\n else: tell.epoch(1)",
    ),
    # Second round
    "two locals": ("def fit(x):\n a, b = x\n return a - b", "a, b = x\n return a - b", "b, a = x\n return b - a"),
    "local and comprehension": (
        "def fit(x):\n a = x\n return [b for b in a]",
        "a = x\n return [b for b in a]",
        "b = x\n return [a for a in b]",
    ),
    "nested comprehension": (
        "def fit(x): return [b for a in x for b in a]",
        "b for a in x for b in a",
        "a for b in x for a in b",
    ),
    "dict comprehension": ("def fit(x): return {k: v for k, v in x}", "k: v for k, v", "a: b for a, b"),
    "lambda over a local": (
        "def fit(x):\n k = x\n return sorted(x, key=lambda v: k[v])",
        "k = x\n return sorted(x, key=lambda v: k",
        "m = x\n return sorted(x, key=lambda v: m",
    ),
    "local in a nested class's method": (
        "def fit(x):\n a = x\n class A:\n  def f(self): return a\n return A",
        "a = x\n class A:\n  def f(self): return a",
        "b = x\n class A:\n  def f(self): return b",
    ),
    "augmented local": (
        "def fit(x):\n a = 0\n a += x\n return a",
        "a = 0\n a += x\n return a",
        "b = 0\n b += x\n return b",
    ),
    "deleted local": ("def fit(x):\n a = 0\n del a", "a = 0\n del a", "b = 0\n del b"),
    "starred local": ("def fit(x):\n a, *b = x\n return b", "*b = x\n return b", "*c = x\n return c"),
    "with two names": ("def fit(x):\n with x as a, a as b: return b", "a, a as b: return b", "c, c as d: return d"),
    "async for": ("async def fit(x):\n async for a in x: x(a)", "a in x: x(a)", "b in x: x(b)"),
    "text of a message over two lines": ("def fit(x): raise ValueError('a' 'b')", "'a' 'b'", "('a'\n  'c')"),
    "text with a field's conversion": ("def fit(x): raise ValueError(f'a {x!r}')", "a {", "b: {"),
    "text in assert with an f-string": ("def fit(x): assert x, f'a {x}'", "a {", "b: {"),
    "text by a helper of this module": (
        "def line(e): return ' '.join(str(e).split())\ndef fit(x):\n try: raise ValueError('a')\n"
        " except ValueError as e: raise OSError(f'{line(e)}') from e",
        "ValueError('a')",
        "ValueError('b')",
    ),
    "text in two assignments": (
        "def fit(x):\n try: raise ValueError('a')\n except ValueError as e:\n  n, why = 1, str(e)\n"
        "  print(n, why)\n  raise",
        "ValueError('a')",
        "ValueError('b')",
    ),
    "text beside SystemExit": ("def fit(): raise SystemExit('a')", "'a'", "'b'"),
    "doc of a nested function": ("def fit():\n def g():\n  return 1\n return g", "  return 1", "  'doc'\n  return 1"),
    "comment in a class": ("class A:\n x = 1\nfit = A", "x = 1", "x = 1  # one"),
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
    "help of a command": (
        "import argparse\n'a'\ndef fit(): argparse.ArgumentParser(description=__doc__)",
        "'a'",
        "'b'",
    ),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_packages_that_do_the_same(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before == after


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
