"""The processes of one training, on one machine: this one leads, the others follow, and none outlives it.

Each has a GPU of its own (NCCL), or threads of the CPU (gloo). A follower that dies ends the job with one line.
"""

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from lskd.errors import UserError
from lskd.jobs.work import Work
from lskd.training.device import devices_of
from lskd.training.team import ALONE, Team

GRACE_SECONDS = 20.0  # for the leader to notice by itself that a follower is gone

Train = Callable[[Work, torch.device, Team], None]
"""A training on a device, as one of a team: a function of a module, as each process looks it up by its name."""


def in_processes(work: Work, precision: str, train: Train) -> None:
    """Train in as many processes as the recipe says, each on a device of its own.

    Raises UserError where one of them failed.
    """
    processes = work.spec["recipe"].get("processes", 1)
    with devices_of(work, precision, processes) as devices:
        if processes == 1:
            train(work, devices[0], ALONE)
            return
        with _followed(work, train, devices) as team:
            train(work, devices[0], team)


@dataclass
class _Follower:
    """Another process, which says an empty word when it is ready."""

    process: BaseProcess
    pipe: Connection

    def failure(self, seconds: float = 0.0) -> str:
        """Why it is gone, or is about to; "" while it is well after so many seconds."""
        seen = wait([self.pipe, self.process.sentinel], seconds)
        try:
            if self.pipe in seen:
                return str(self.pipe.recv())
        except (EOFError, OSError):
            pass  # its files are closed, as the sentinel is, a moment before it has a status
        if seen:
            self.process.join(GRACE_SECONDS)
        code = self.process.exitcode
        if code is None:
            return ""
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


@contextmanager
def _followed(work: Work, train: Train, devices: list[torch.device]) -> Iterator[Team]:
    """Start the followers, and yield the team that this process leads; at the end they are ended."""
    over = threading.Event()
    with tempfile.TemporaryDirectory(prefix="lskd-") as folder:
        followers = [_start(work, train, devices, rank, folder) for rank in range(1, len(devices))]
        try:
            for follower in followers:  # each says an empty word when it is ready to join
                if why := follower.failure(seconds=1e6):
                    raise _lost(work, followers, follower, why)
            threading.Thread(target=_watch, args=(work, followers, over), daemon=True).start()
            _join(0, devices, folder)
            yield Team(0, len(devices))
        except RuntimeError:  # of a collective whose other end is gone, or one of our own
            for follower in followers:
                if why := follower.failure(seconds=GRACE_SECONDS):  # its end is seen after its connection's
                    raise _lost(work, followers, follower, why) from None
            raise
        finally:
            over.set()
            for follower in followers:
                follower.process.kill()
                follower.process.join()
            if dist.is_initialized():
                dist.destroy_process_group()


def _start(work: Work, train: Train, devices: list[torch.device], rank: int, folder: str) -> _Follower:
    context = multiprocessing.get_context("spawn")  # a fork would share the threads and the GPU of this process
    own, others = context.Pipe()
    process = context.Process(target=_follow, args=(work, train, devices, rank, folder, others), daemon=True)
    process.start()
    others.close()
    return _Follower(process, own)


def _follow(work: Work, train: Train, devices: list[torch.device], rank: int, folder: str, pipe: Connection) -> None:
    """A follower's life. The leader alone minds signals, saves and writes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    leader = multiprocessing.parent_process()
    assert leader is not None
    threading.Thread(target=_leave_with, args=(leader.sentinel,), daemon=True).start()
    torch.set_num_threads(work.runtime.threads)
    try:
        pipe.send("")
        _join(rank, devices, folder)
        train(work, devices[rank], Team(rank, len(devices)))
        pipe.recv()  # never comes: the leader ends this process
    except Exception as error:  # told here: sent to the leader, every error's text would be part of a training's code
        print(
            f"error: process {rank + 1}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", file=sys.stderr
        )
        sys.exit(1)


def _leave_with(leader: int) -> None:
    """End this process when its leader is gone, however it went."""
    wait([leader])
    os._exit(1)


def _watch(work: Work, followers: list[_Follower], over: threading.Event) -> None:
    """End this process where a follower is gone and the leader hangs, waiting for it within a collective."""
    wait([follower.process.sentinel for follower in followers])
    if not over.wait(GRACE_SECONDS):
        gone = next(follower for follower in followers if follower.process.exitcode is not None)
        print(f"error: {_lost(work, followers, gone, gone.failure())}", file=sys.stderr, flush=True)
        os._exit(1)


def _lost(work: Work, followers: list[_Follower], follower: _Follower, why: str) -> UserError:
    rank = followers.index(follower) + 1
    return UserError(
        f"{work.title}: process {rank + 1} of {len(followers) + 1} failed ({why}); run again to go on from the last "
        "checkpoint"
    )


def _join(rank: int, devices: list[torch.device], folder: str) -> None:
    """Join the group of all processes, who meet in a file of this machine: no port is open."""
    names = [name for _, name in socket.if_nameindex()]
    if loopback := [name for name in ("lo", "lo0") if name in names]:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    options: dict[str, Any] = {"backend": "gloo"}
    if devices[rank].type == "cuda":
        torch.cuda.set_device(devices[rank])
        options = {"backend": "nccl", "device_id": devices[rank]}
    store = dist.FileStore(str(Path(folder) / "meeting"), len(devices))
    dist.init_process_group(rank=rank, world_size=len(devices), store=store, **options)
