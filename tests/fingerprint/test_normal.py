"""The normal form: what changes no result is left out, and counts where something reads it."""

from pathlib import Path

import pytest

from tests.fingerprint.packages import PYDANTIC, TELL, Pair, packages

DIFFERENT: dict[str, Pair] = {
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
    # Texts that are read, and what looks like a message
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
    # Statements on objects of modules that are not followed
    "call with an effect": (
        "from lskd.jobs.progress import Report\ndef fit(tell: Report, x):\n tell.epoch(x.pop())\n return x",
        " tell.epoch(x.pop())\n",
        "",
    ),
    "value of a message used": (
        "from lskd.jobs.progress import Report\ndef fit(tell: Report): return tell.epoch(1)",
        "epoch(1)",
        "step(1)",
    ),
    "object of another kind": ("def fit(tell): tell.epoch(1)", "epoch(1)", "epoch(2)"),
    "object bound twice": (
        "from lskd.jobs.progress import report\ndef fit(x):\n t = report()\n t = x\n t.append(1)\n return x",
        "append(1)",
        "append(2)",
    ),
    "parameter bound again": (
        "from lskd.jobs.progress import Report\ndef fit(t: Report, x):\n t = x\n t.append(1)\n return x",
        "append(1)",
        "append(2)",
    ),
    # Values
    "cast's value": ("from typing import cast\ndef fit(x): return cast(int, x)", "cast(int, x)", "cast(int, -x)"),
    "cast of our own": ("def cast(a, b): return a\ndef fit(x): return cast(int, x)", "cast(int, x)", "cast(str, x)"),
    "f-string's format": ("def fit(x): return f'{x:.2f}'", ".2f", ".3f"),
    "bytes": ("def fit(): return 'a'", "'a'", "b'a'"),
    # Constants
    "True and 1": ("def fit(): return 1", "1", "True"),
    "1 and 1.0": ("def fit(): return 1", "1", "1.0"),
    "negative zero": ("def fit(): return 0.0", "0.0", "-0.0"),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_packages_that_differ(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before != after


EQUAL: dict[str, Pair] = {
    # Layout, docstrings, order
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
    # More text
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
    # The text of a command
    "help of a command": (
        "import argparse\n'a'\ndef fit(): argparse.ArgumentParser(description=__doc__)",
        "'a'",
        "'b'",
    ),
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
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n from lskd.jobs.progress import Report\n"
        "def fit(tell: 'Report'): tell.epoch(1)",
        "epoch(1)",
        "epoch(2)",
    ),
    "import of an unfollowed module": ("def fit(): return 1", "def fit", f"{TELL}def fit"),
    "unfollowed module edited": (f"{TELL}def fit(): return report()\n== jobs/progress.py\nX = 22\n", "22", "33"),
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
    # Statements without effect
    "else after its messages": (
        f"{TELL}def fit(tell: Report, x):\n if x: x()\n return 1",
        "if x: x()",
        "if x: x()\n else: tell.epoch(1)",
    ),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_packages_that_do_the_same(tmp_path: Path, pair: Pair) -> None:
    before, after = packages(tmp_path, *pair)
    assert before == after
