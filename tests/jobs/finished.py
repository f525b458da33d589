"""A tiny study's results, made once, for the tests of what the command line says of results."""

import atexit
import copy
import shutil
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from lskd.fingerprint import definitions as fingerprint
from lskd.jobs import execute, job
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study import reading

OF_TRANSLATION = {"corpus", "translate"}  # stages; tests/workflow/test_translation.py has them
TINY: dict[str, Any] = {
    "study": "tiny",
    "seeds": [0],
    "data": "digits",
    "recipes": {"one": {"epochs": 1, "crop_padding": 1, "snapshot_epochs": [0, 1]}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 8}, "recipe": "one", "label_smoothing": [0.0, 0.1]}},
    "students": {"s": {"teacher": "t", "model": {"name": "mlp", "width": 4}, "recipe": "one", "temperature": [1, 3]}},
    "figures": {
        "grid": {"kind": "grid"},
        "curves": {"kind": "curves", "groups": ["s"]},
        "information": {"kind": "information", "groups": ["t"], "classes": ["3", "8"]},
        "projection": {"kind": "projection", "groups": ["t"], "classes": ["3", "9", "6"]},
        "diffusion": {"kind": "diffusion", "groups": ["s"]},
    },
    "runtime": {"device": "cpu"},
}


def study(**changes: Any) -> dict[str, Any]:
    """The tiny study with other values of some keys."""
    return copy.deepcopy(TINY) | changes


def planned(root: Path, raw: dict[str, Any] = TINY, *targets: str, trust: bool = False) -> Plan:
    """A plan of a study alone."""
    parsed = reading.parse(raw)
    plan = Plan(parsed, Catalogue({parsed.study: parsed}, Results(root, trust)), {})
    plan.ask(targets)
    return plan


def make(root: Path, raw: dict[str, Any] = TINY, *targets: str) -> Plan:
    """Make and publish all that a study asks for; the plan after that, with nothing to do."""
    plan = planned(root, raw, *targets)
    plan.write_jobs()
    with _environment(root):
        for each in plan.pending or []:
            execute.execute(each.described(), root)
    plan = planned(root, raw, *targets)
    assert plan.pending == []
    plan.publish()
    return plan


def make_one(root: Path, one: job.Job) -> None:
    with _environment(root):
        execute.execute(one.described(), root)


@contextmanager
def _environment(root: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSKD_RUNTIME", '{"device": "cpu"}')
        patch.setenv("LSKD_RUNNING", str(root / ".running"))
        yield


@cache
def finished() -> Path:
    """The tiny study's results, for reading only."""
    folder = Path(tempfile.mkdtemp(prefix="lskd-finished-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make(folder / "results")
    return folder / "results"


def copied(folder: Path) -> Path:
    """A checkout's folder with config.yaml and a copy of the results; the results."""
    shutil.copytree(finished(), folder / "results")
    (folder / "config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    return folder / "results"


def edit(patch: pytest.MonkeyPatch, *names: str, to: str = "edited") -> None:
    """Have the code of some definitions be another, as the fingerprint sees it."""
    real = fingerprint.definitions

    def definitions(*arguments: Any, **options: Any) -> dict[str, str]:
        digests = real(*arguments, **options)
        return digests | {name: f"{to}-{digests[name]}"[:10] for name in names if name in digests}

    patch.setattr(fingerprint, "definitions", definitions)
    patch.setattr(job, "_DEFINITIONS", {})
    patch.setattr(job, "_CODE", {})


def files(root: Path) -> dict[str, bytes]:
    """Every file below the results, by its relative path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
