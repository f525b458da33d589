"""How every stage runs from a shell: one argument for each file, one clear line for a mistake."""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lskd import fingerprint, runs
from lskd.config import Runtime
from lskd.errors import UserError


def parser(stage: str, *files: str) -> argparse.ArgumentParser:
    """A parser with --spec and --code, and one required option for each of `files`."""
    made = argparse.ArgumentParser(prog=f"python -m lskd.{stage}")
    made.add_argument("--spec", required=True, type=json.loads, help="canonical JSON: what to make")
    made.add_argument("--code", default="", help="the code's fingerprint when this job was planned")
    for file in files:
        made.add_argument(f"--{file}", required=True, type=Path)
    return made


def call(stage: str, main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> None:
    """Run `main`; a UserError or an operating system's refusal ends it with one line and exit status 1."""
    try:
        arguments.code = check_code(stage, arguments.spec, arguments.code)
        main(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or stage}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(f"error: {stage}: interrupted; run again to go on")


def check_code(stage: str, spec: dict[str, Any], planned: str) -> str:
    """The fingerprint of the code that this job uses; UserError if it is no longer the code it was planned with."""
    now = fingerprint.code_digest(runs.entry_points(stage, spec))
    if planned and now != planned:
        raise UserError(f"{stage}: the code changed from {planned} to {now} since this job was planned; run again")
    return now


def runtime() -> Runtime:
    """How fast and where, from the environment variable LSKD_RUNTIME (JSON); no part of any spec."""
    return Runtime.model_validate(json.loads(os.environ.get("LSKD_RUNTIME", "{}")))


def resolve(entry: str) -> Callable[..., Any]:
    """The function behind "module:function", as the tables name them."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


def export(settings: Runtime, root: Path | str) -> None:
    """Hand the stages, through the environment, what changes only speed, and the place of this package."""
    os.environ["LSKD_RUNTIME"] = settings.model_dump_json()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def wants_gpu(settings: Runtime) -> bool:
    """Whether jobs should ask Snakemake for a GPU: told to, or left to choose on a machine that has one."""
    return settings.device == "cuda" or (settings.device == "auto" and any(Path("/dev").glob("nvidia[0-9]*")))
