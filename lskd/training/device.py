"""Which device a job may use: the CPU, or one GPU leased from the other jobs of this machine."""

import fcntl
import os
import platform
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from lskd.errors import UserError
from lskd.jobs.work import Work
from lskd.study.runtime import Runtime

_POLL_SECONDS = 0.2
_SAY_SECONDS = 60.0


@contextmanager
def device_of(work: Work, precision: str = "") -> Iterator[torch.device]:
    """Yield the device of a job, and note in its environment all that moves its numbers by rounding."""
    runtime = work.runtime
    with lease(runtime) as device:
        on_gpu = device.type == "cuda"
        work.environment |= {
            "device": torch.cuda.get_device_name(device) if on_gpu else f"CPU ({platform.machine()})",
            "threads": "any" if on_gpu else str(runtime.threads),
            "memory format": "channels_last" if runtime.channels_last else "contiguous",
            "compile": str(runtime.compile and on_gpu).lower(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        }
        if precision:  # of a training; predictions are float32, always
            work.environment["precision"] = precision
        yield device


@contextmanager
def lease(runtime: Runtime) -> Iterator[torch.device]:
    """Yield the device of this job, with torch set to `runtime.threads`; wait for a GPU while all are taken.

    A GPU is held by a file lock under results/.gpu/<host>/ that names its UUID, so that jobs of other workflows, other
    users of the folder and jobs with another CUDA_VISIBLE_DEVICES are seen too. Raises UserError where `runtime.device`
    is cuda and there is none.
    """
    torch.set_num_threads(runtime.threads)
    if runtime.device == "cpu" or (runtime.device == "auto" and not torch.cuda.is_available()):
        yield torch.device("cpu")
        return
    if not torch.cuda.is_available():
        raise UserError("runtime.device: found cuda, but torch sees no CUDA device here; set it to auto or cpu")
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())
    names = [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]
    with lease_slot(Path("results/.gpu") / host, names, runtime.runs_per_gpu) as index:
        torch.cuda.set_device(index)
        yield torch.device("cuda", index)


@contextmanager
def lease_slot(folder: Path, names: list[str], slots: int) -> Iterator[int]:
    """Hold one of `slots` places at one of `names`, free devices first; yield its index among `names`.

    The kernel frees a place when its holder dies, however it dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = [(index, folder / f"{name}.{slot}.lock") for slot in range(slots) for index, name in enumerate(names)]
    index, handle = _wait(places, folder)
    try:
        yield index
    finally:
        os.close(handle)


def _wait(places: list[tuple[int, Path]], folder: Path) -> tuple[int, int]:
    said = time.monotonic()
    while True:
        for index, path in places:
            handle = _try_lock(path)
            if handle is not None:
                return index, handle
        if time.monotonic() - said >= _SAY_SECONDS:
            said = time.monotonic()
            print(f"waiting for a free GPU ({len(places)} places in {folder}, all taken)", file=sys.stderr, flush=True)
        time.sleep(_POLL_SECONDS)


def _try_lock(path: Path) -> int | None:
    """The open file that holds the lock, or None where another holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
