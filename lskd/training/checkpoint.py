"""A training's side file: everything that a resumed training needs to end with the very weights of an unbroken one."""

import io
import signal
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from lskd.io.atomic import atomic

NAME = "checkpoint.pt"


def save(folder: Path, key: dict[str, str], state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) beside the run's files, atomically, under `key`: spec, code, inputs."""
    whole = io.BytesIO()  # torch's own writing to a full disk ends in an error that names no cause
    torch.save({"key": key, "state": _own(state)}, whole)
    with atomic(folder / NAME) as tmp:
        tmp.write_bytes(whole.getbuffer())


def _own(value: Any) -> Any:
    """A state whose tensors are no parts of larger ones, which would be written whole."""
    if isinstance(value, dict):
        return {name: _own(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_own(each) for each in value]
    is_part = isinstance(value, torch.Tensor) and value.untyped_storage().nbytes() > value.nbytes
    return value.clone() if is_part else value


def load(folder: Path, key: dict[str, str]) -> dict[str, Any] | None:
    """The state saved under `key`, its tensors on the CPU, or None where there is none.

    A checkpoint of another key, or one that cannot be read, is renamed to checkpoint.pt.aside with a warning.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as file:  # torch itself does not check the sums
            if damaged := file.testzip():
                raise ValueError(damaged)
        content = torch.load(path, map_location="cpu", weights_only=True)
        saved_key, state = content["key"], content["state"]
    except Exception as error:  # torch names no class for what a damaged file may raise
        _set_aside(path, f"it cannot be read ({type(error).__name__})")
        return None
    if saved_key != key:
        other = ", ".join(name for name in key if saved_key.get(name) != key[name])
        _set_aside(path, f"it was made with another {other or 'key'}")
        return None
    return dict(state)


def remove(folder: Path) -> None:
    """Remove the checkpoint of a finished run, and what killed writers left of theirs."""
    (folder / NAME).unlink(missing_ok=True)
    for rest in folder.glob(f".{NAME}.*.tmp"):
        rest.unlink(missing_ok=True)


def _set_aside(path: Path, why: str) -> None:
    aside = path.with_name(f"{NAME}.aside")
    path.replace(aside)
    print(f"warning: {path}: {why}; moved to {aside.name}, the run starts afresh", file=sys.stderr, flush=True)


class Stop:
    """Whether a signal asked this process to stop, and which."""

    number = 0

    @property
    def asked(self) -> bool:
        """Whether to stop after this step."""
        return self.number != 0

    @property
    def words(self) -> str:
        """What happened, in the words of a log."""
        if self.number == signal.SIGINT:
            return "interrupted (Ctrl-C)"
        return "stopped by SIGTERM (a scheduler's, or kill's)"

    @property
    def exit_status(self) -> int:
        """What a shell says of a process that a signal ended."""
        return 128 + self.number


@contextmanager
def stop_on_sigterm() -> Iterator[Stop]:
    """Note a SIGTERM (a cluster's) or SIGINT (Ctrl-C) instead of dying of it; use in the main thread."""
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        stop.number = number

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
