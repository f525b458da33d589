"""Files appear whole or not at all."""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lskd.errors import UserError, of_disk

HOST = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it to `path`, on failure remove it.

    Raises UserError where the folder cannot be written or the disk is full.
    """
    path = Path(path)
    tmp = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=f".{HOST}.{os.getpid()}.tmp")
        os.close(handle)
        tmp = Path(name)
        yield tmp
        _sync(tmp)
        tmp.chmod(0o644)  # mkstemp's 0600 would hide results from a group
        tmp.replace(path)
        _sync(path.parent)
    except Exception as error:
        why = of_disk(error)
        if why is None:
            raise
        raise UserError(f"{path}: cannot be written ({why}); free or unlock that folder") from error
    finally:
        if tmp is not None:
            tmp.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def sweep(folder: Path, alone: bool = False) -> None:
    """Remove the temporary files that killed processes of this host left in `folder` and below.

    `alone`: no other process of this host writes there, so that all of this host's are removed.
    """
    for tmp in folder.rglob(".*.tmp"):
        *_, host, pid, _ = tmp.name.split(".")
        if host == HOST and pid.isdigit() and (alone or not is_running(int(pid))):
            with suppress(OSError):
                tmp.unlink()


def is_running(pid: int) -> bool:
    """Whether a process of this host lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
