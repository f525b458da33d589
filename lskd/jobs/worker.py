"""A fork of the server (`lskd.jobs.forkserver`), which does small jobs one after another.

What a fork first touches of the server's memory is copied, which costs more than many a job's work: so the next job of
the same stage finds the process that did the last one. It is given only jobs that follow on one that was made: whatever
else becomes of a job, its process ends with it.
"""

import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from lskd.jobs import execute
from lskd.jobs.afresh import putting_back

SMALL_SECONDS = 10.0  # of a job after which another may come; a longer one gains nothing, and may leave much memory
MOST = 1 << 16  # bytes that are read at once


def work(channel: socket.socket, on_interrupt: Any = signal.default_int_handler) -> NoReturn:
    """Do the jobs that come over a channel, until it ends; they mind SIGINT as told."""
    try:
        signal.set_wakeup_fd(-1)
        put_back = putting_back()
        while request := _next(channel):
            signal.signal(signal.SIGINT, on_interrupt)
            _do(channel, *request)
            put_back()
    except KeyboardInterrupt:  # while it waited
        os._exit(128 + signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)  # whatever happens, no fork goes on as a second server


def _next(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    try:
        return received(channel)
    except ConnectionError:  # the server was killed
        return None


def received(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """A line of JSON and the three files that came with it; None at the end. ValueError where it is no line."""
    content, files, _, _ = socket.recv_fds(channel, MOST, 3)
    while content and not content.endswith(b"\n"):
        more = channel.recv(MOST)
        if not more:
            raise ValueError("a request without an end")
        content += more
    return (json.loads(content), files) if content else None


def _do(channel: socket.socket, request: dict[str, Any], files: list[int]) -> None:
    """Do one job, with its files, folder and environment; end with it, or say that it is made and what it took."""
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    _forget_peak()
    began, modules = time.monotonic(), set(sys.modules)
    _made(request["log"])
    seconds = time.monotonic() - began
    is_last = seconds > SMALL_SECONDS or _has_gpu()
    loaded = [sys.modules[name].__file__ for name in set(sys.modules) - modules if name.split(".")[0] == "lskd"]
    said = {"megabytes": _peak(), "seconds": seconds, "is_last": is_last, "loaded": loaded}
    try:
        channel.sendall(json.dumps(said).encode() + b"\n")
    except ConnectionError:  # the server was killed; whoever waits for the job finds it made
        is_last = True
    if is_last:
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for place in range(3):  # whoever reads what the job said sees its end
        os.dup2(nothing, place)
    os.close(nothing)
    gc.collect()


def _made(log: str) -> None:
    """Do the job of a log; end this process with its status where that is not 0."""
    try:
        execute.main([log])
    except SystemExit as end:
        sys.stdout.flush()
        if end.code:
            execute.end_as(end)
    except KeyboardInterrupt:  # before the job itself minds it; who waits for this process tells it
        execute.end_interrupted()


def _has_gpu() -> bool:
    """Whether this process holds a part of a GPU, which is for one job."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()


def _forget_peak() -> None:
    with suppress(OSError):  # then the peak is that of all jobs so far
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    """The most memory that this process had, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
