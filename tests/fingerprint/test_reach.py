"""What a fingerprint follows: every way in which code of ours uses other code of ours, and nothing beside it."""

from pathlib import Path

import pytest

from lskd.fingerprint.definitions import reachable
from tests.fingerprint.packages import ENTRY, digest, write

WAYS = {
    "from import": {"train.py": "from lskd.deep.losses import kd\ndef fit(): return kd()"},
    "renamed": {"train.py": "from lskd.deep.losses import kd as f\ndef fit(): return f()"},
    "module": {"train.py": "import lskd.deep.losses\ndef fit(): return lskd.deep.losses.kd()"},
    "module renamed": {"train.py": "import lskd.deep.losses as z\ndef fit(): return z.kd()"},
    "from package": {"train.py": "from lskd.deep import losses\ndef fit(): return losses.kd.__wrapped__()"},
    "package's submodule": {"train.py": "from lskd import deep\ndef fit(): return deep.losses.kd()"},
    "inside the function": {"train.py": "def fit():\n from lskd.deep.losses import kd as f\n return f()"},
    "module inside the function": {"train.py": "def fit():\n import lskd.deep.losses\n return lskd.deep.losses.kd()"},
    "relative": {"train.py": "from .deep.losses import kd\ndef fit(): return kd()"},
    "relative module": {"train.py": "from .deep import losses as z\ndef fit(): return z.kd()"},
    "relative from below": {
        "train.py": "from lskd.other.use import f\ndef fit(): return f()",
        "other/use.py": "from ..deep.losses import kd\ndef f(): return kd()",
    },
    "relative in a package": {
        "train.py": "from lskd.deep import kd\ndef fit(): return kd()",
        "deep/__init__.py": "from .losses import kd",
    },
    "re-export": {
        "train.py": "from lskd.api import g\ndef fit(): return g()",
        "api.py": "from lskd.deep.losses import kd as g",
    },
    "re-exported module": {
        "train.py": "from lskd.api import z\ndef fit(): return z.kd()",
        "api.py": "import lskd.deep.losses as z",
    },
    "star": {"train.py": "from lskd.deep.losses import *\ndef fit(): return kd()"},
    "star elsewhere": {
        "train.py": "from lskd.api import kd\ndef fit(): return kd()",
        "api.py": "from lskd.deep.losses import *",
    },
    "star of a star": {
        "train.py": "from lskd import api\ndef fit(): return api.kd()",
        "api.py": "from lskd.more import *",
        "more.py": "from lskd.deep.losses import *",
    },
    "getattr": {"train.py": "from lskd.deep import losses\ndef fit(name): return getattr(losses, name)()"},
    "module passed": {"train.py": "import lskd.deep.losses as z\ndef fit(use): return use(z)"},
    "module in a table": {"train.py": "import lskd.deep.losses as z\nT = {'z': z}\ndef fit(): return T['z'].kd()"},
    "getattr over a re-export": {
        "train.py": "from lskd import api\ndef fit(name): return getattr(api, name)()",
        "api.py": "from lskd.deep.losses import kd",
    },
    "globals": {"train.py": "from lskd.deep.losses import kd\ndef fit(name): return globals()[name]()"},
    "try": {"train.py": "try:\n from lskd.deep.losses import kd\nexcept ImportError: pass\ndef fit(): return kd()"},
    "definition in an if": {
        "train.py": "from lskd.api import g\ndef fit(): return g()",
        "api.py": "from lskd.deep.losses import kd\nif kd:\n def g(): return kd()",
    },
    "decorator": {"train.py": "from lskd.deep.losses import kd\n@kd\ndef fit(): pass"},
    "decorator called": {"train.py": "from lskd.deep import losses\n@losses.kd(1)\ndef fit(): pass"},
    "registered by a decorator": {
        "train.py": "from lskd.api import T, add\ndef fit(): return T\n@add\ndef g(): return 1",
        "api.py": "from lskd.deep.losses import kd\nT = []\ndef add(f): T.append(kd(f))",
    },
    "base class": {"train.py": "from lskd.deep.losses import kd\nclass A(kd): pass\ndef fit(): return A()"},
    "keyword of a class": {"train.py": "from lskd.deep.losses import kd\nclass fit(metaclass=kd): pass"},
    "class attribute": {"train.py": "from lskd.deep.losses import kd\nclass A:\n f = kd\ndef fit(): return A.f()"},
    "default": {"train.py": "from lskd.deep.losses import kd\ndef fit(f=kd): return f()"},
    "constant": {"train.py": "from lskd.deep.losses import kd\nF = [kd]\ndef fit(): return F[0]()"},
    "lambda": {"train.py": "from lskd.deep.losses import kd\nF: object = lambda: kd()\ndef fit(): return F()"},
    "assigned by a walrus": {"train.py": "from lskd.deep.losses import kd\nA = (B := kd)\ndef fit(): return A()"},
    "pattern": {"train.py": "from lskd.deep.losses import kd\ndef fit(x):\n match x:\n  case kd(): return 1"},
    "statement": {"train.py": "from lskd.deep.losses import kd\nkd()\ndef fit(): return 1"},
    "statement of an imported module": {
        "train.py": "import lskd.api\ndef fit(): return 1",
        "api.py": "from lskd.deep.losses import kd\nkd()",
    },
    "statement of a re-exporting module": {
        "train.py": "from lskd.api import g\ndef fit(): return g()",
        "api.py": "from lskd.late import g\nfrom lskd.deep.losses import kd\nkd()",
        "late.py": "def g(): return 1",
    },
    "statement of the package above": {
        "train.py": "from lskd.other.use import f\ndef fit(): return f()",
        "other/__init__.py": "from lskd.deep.losses import kd\nkd()",
        "other/use.py": "def f(): return 1",
    },
    "cycle": {
        "train.py": "from lskd.api import g\ndef fit(n=0): return g(n)",
        "api.py": "from lskd.train import fit\nfrom lskd.deep.losses import kd\ndef g(n): return fit(n) or kd()",
    },
    "folder without __init__": {"train.py": "from lskd.bare import m\ndef fit(): return m.f()"},
}
DEEP = "X = 2\ndef kd(*args): return X"


@pytest.mark.parametrize("files", WAYS.values(), ids=WAYS)
def test_every_way_to_use_a_definition_is_followed(tmp_path: Path, files: dict[str, str]) -> None:
    root = write(tmp_path, files | {"deep/losses.py": DEEP, "bare/m.py": "from lskd.deep.losses import kd\nf = kd"})
    (root / "lskd/bare/__init__.py").unlink()
    before = digest(ENTRY, root)
    assert {"lskd/deep/losses.py:kd", "lskd/deep/losses.py:X"} <= set(reachable(ENTRY, root))
    write(root, {"deep/losses.py": DEEP.replace("2", "33")})
    assert digest(ENTRY, root) != before


# What must not lead from fit to lskd/deep/losses.py:kd
APART = {
    "unused": {"train.py": "from lskd.deep.losses import kd\ndef fit(): return 1"},
    "another definition": {"train.py": "from lskd.deep.losses import other\ndef fit(): return other()"},
    "annotation": {"train.py": "from lskd.deep.losses import kd\ndef fit(x: kd) -> kd: return x"},
    "string": {"train.py": "T = {'kd': 'lskd.deep.losses:kd'}\ndef fit(): return T"},
    "unfollowed": {
        "train.py": "from lskd.training.tracking import T\nfrom lskd.jobs import progress as p\n"
        "def fit(): return p.run(T)",
        "training/tracking.py": "from lskd.deep.losses import kd\nT = kd",
        "jobs/progress.py": "from lskd.deep.losses import kd\ndef run(): return kd()",
    },
    "re-export of another": {
        "train.py": "from lskd.api import g\ndef fit(): return g()",
        "api.py": "from lskd.deep.losses import kd, other as g",
    },
    "cyclic re-export": {
        "train.py": "from lskd.api import g\ndef fit(): return g()",
        "api.py": "from lskd.back import g",
        "back.py": "from lskd.api import g",
    },
    "method of that name": {"train.py": "from lskd.deep.losses import kd\ndef fit(x): return x.kd(kd=1)"},
    "missing module": {"train.py": "from lskd.none import kd\ndef fit(): return kd()"},
}


@pytest.mark.parametrize("files", APART.values(), ids=APART)
def test_what_is_not_used_is_not_followed(tmp_path: Path, files: dict[str, str]) -> None:
    root = write(tmp_path, files | {"deep/losses.py": DEEP + "\ndef other(): return 1"})
    before = digest(ENTRY, root)
    assert "lskd/deep/losses.py:kd" not in reachable(ENTRY, root)
    write(root, {"deep/losses.py": DEEP.replace("2", "33") + "\ndef other(): return 1"})
    assert digest(ENTRY, root) == before
