"""Which device a job may use: the CPU, or one GPU leased from the other jobs of this machine."""

import ctypes
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
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


@contextmanager
def device_of(work: Work, precision: str = "") -> Iterator[torch.device]:
    """Yield the device of a job, and note in its environment all that moves its numbers by rounding."""
    with devices_of(work, precision) as devices:
        yield devices[0]


@contextmanager
def devices_of(work: Work, precision: str = "", count: int = 1) -> Iterator[list[torch.device]]:
    """The same of a job of so many processes, a device each."""
    runtime = work.runtime
    with lease(runtime, count) as devices:
        on_gpu = devices[0].type == "cuda"
        work.environment |= {
            "device": torch.cuda.get_device_name(devices[0]) if on_gpu else f"CPU ({platform.machine()})",
            "threads": "any" if on_gpu else str(runtime.threads),
            "memory format": "channels_last" if runtime.channels_last else "contiguous",
            "compile": str(runtime.compile and on_gpu and count == 1).lower(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        }
        if precision:  # of a training; predictions are float32, always
            work.environment["precision"] = precision
        yield devices


@contextmanager
def lease(runtime: Runtime, count: int = 1) -> Iterator[list[torch.device]]:
    """Yield `count` devices for this job, with torch set to `runtime.threads`; wait for GPUs while too many are taken.

    A GPU is held by a file lock under results/.gpu/<host>/ that names its UUID, so that jobs of other workflows, other
    users of the folder and jobs with another CUDA_VISIBLE_DEVICES are seen too. Raises UserError where `runtime.device`
    is cuda and there is none, and where there are too few.
    """
    torch.set_num_threads(runtime.threads)
    if runtime.device == "cpu" or (runtime.device == "auto" and not torch.cuda.is_available()):
        _keep_freed_memory()
        yield [torch.device("cpu")] * count
        return
    if not torch.cuda.is_available():
        raise UserError("runtime.device: found cuda, but torch sees no CUDA device here; set it to auto or cpu")
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())
    names = [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]
    with lease_slots(Path("results/.gpu") / host, names, runtime.runs_per_gpu, count) as indices:
        torch.cuda.set_device(indices[0])
        yield [torch.device("cuda", index) for index in indices]


def _keep_freed_memory() -> None:
    """Have glibc keep what a step frees for the next one: given back, each page would be cleared and mapped anew."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt:
        mallopt(_TRIM_THRESHOLD, 1 << 30)
        mallopt(_MMAP_THRESHOLD, 1 << 25)  # the most that it takes


@contextmanager
def lease_slots(folder: Path, names: list[str], slots: int, count: int = 1) -> Iterator[list[int]]:
    """Hold one of `slots` places at each of `count` of `names`, free devices first; yield their indices among `names`.

    All are taken at once or none, so that two who want several do not wait for each other. The kernel frees a place
    when its holder dies, however it dies. Raises UserError where there are fewer names.
    """
    if count > len(names):
        raise UserError(f"recipes: found processes {count}, but this machine shows {len(names)} GPUs; lower processes")
    folder.mkdir(parents=True, exist_ok=True)
    held = _wait(folder, names, slots, count)
    try:
        yield list(held)
    finally:
        for handle in held.values():
            os.close(handle)


def _wait(folder: Path, names: list[str], slots: int, count: int) -> dict[int, int]:
    """The open files that hold the locks, by index of the device."""
    said = time.monotonic()
    while True:
        held = _try_all(folder, names, slots, count)
        if len(held) == count:
            return held
        for handle in held.values():
            os.close(handle)
        if time.monotonic() - said >= _SAY_SECONDS:
            said = time.monotonic()
            what = "a free GPU" if count == 1 else f"{count} free GPUs"
            places = f"{len(names) * slots} places in {folder}"
            print(f"waiting for {what} ({places}, too many taken)", file=sys.stderr, flush=True)
        time.sleep(_POLL_SECONDS)


def _try_all(folder: Path, names: list[str], slots: int, count: int) -> dict[int, int]:
    """Up to `count` locks, each of another device."""
    held: dict[int, int] = {}
    for slot in range(slots):
        for index, name in enumerate(names):
            if len(held) < count and index not in held:
                handle = _try_lock(folder / f"{name}.{slot}.lock")
                held |= {} if handle is None else {index: handle}
    return held


def _try_lock(path: Path) -> int | None:
    """The open file that holds the lock, or None where another holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
