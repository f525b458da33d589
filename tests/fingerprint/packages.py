"""Small packages, written, edited and fingerprinted again.

A package may be written as one text: what stands before the first "== FILE" line is lskd/train.py, of which `fit` is
run.
"""

import textwrap
from pathlib import Path

from lskd.fingerprint.definitions import code_digest, definitions

ENTRY = ["lskd.train:fit"]

Pair = tuple[str, str, str]  # package, a part of it, what stands there in the other package

LOSSES = (
    "\n== losses.py\nTABLE = {}\ndef register(f): TABLE[f.__name__] = f; return f\ndef make(n): return lambda f: f\n"
)
KD = "def kd(): return 22\n"
USE = "from lskd.losses import TABLE, register, make\ndef fit(): return TABLE\n"
PYDANTIC = "from pydantic import BaseModel\n"
TELL = "from lskd.jobs.progress import Report, report\n"


def write(root: Path, files: dict[str, str]) -> Path:
    """A package lskd under `root` with these modules; folders get an empty __init__.py where none is given."""
    for name, text in {"__init__.py": "", **files}.items():
        path = root / "lskd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (path.parent / "__init__.py").exists():
            (path.parent / "__init__.py").write_text("")
        path.write_text(textwrap.dedent(text))
    return root


def digest(entries: list[str], root: Path) -> str:
    """The digest of all that some entry points reach."""
    return code_digest(definitions(entries, root))


def digests(tmp_path: Path, before: dict[str, str], after: dict[str, str]) -> tuple[str, str]:
    """The digests of lskd.train:fit in two packages: `before`, and the same with `after` written over it."""
    return (
        digest(ENTRY, write(tmp_path / "before", before)),
        digest(ENTRY, write(tmp_path / "after", before | after)),
    )


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
