"""Names of locals: which name is which variable."""

from pathlib import Path

import pytest

from tests.fingerprint.packages import Pair, packages

DIFFERENT: dict[str, Pair] = {
    # Names that mean something
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
    # Names of what is nested
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
    # Two names
    "import in a function of two": (
        "def fit():\n import numpy as a, math as b\n return a.sin(b.pi)",
        "numpy as a, math as b",
        "math as a, numpy as b",
    ),
    "order of two locals' definitions": ("def fit(f):\n a = f(1)\n b = f(2)\n return a, b", "a, b", "b, a"),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_packages_that_differ(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before != after


EQUAL: dict[str, Pair] = {
    # Other names
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
    # Other names of more
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
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_packages_that_do_the_same(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before == after
