"""One process that has imported what jobs need, and is forked for each: a small job's time goes to its work.

To start Python and import torch takes seconds of a processor, more than many a metric or small training. Snakemake
starts this beside its jobs (`serving`), and so do the jobs that share a cluster's submission; `lskd.jobs.run` asks it
for a fork, and does without where there is none.
A fork is a process of its own with the job's environment, folder and files, as if it had been started: a job that
is killed takes no other with it, and no result differs in a bit.

A request is one line of JSON over a socket in a folder of this user's alone, with the files that are stdin, stdout and
stderr; the answers are the fork's number, and how it ended. The server ends when whoever started it does.
"""

import gc
import importlib
import json
import logging
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from lskd.jobs import execute
from lskd.jobs.run import SERVER, THREADS, threads

LATE = (  # what functions of jobs import when they are called
    *("pandas", "pyarrow.parquet", "matplotlib.figure", "matplotlib.font_manager"),
    *(f"matplotlib.backends.backend_{kind}" for kind in ("agg", "pdf", "svg")),
)
SECONDS = 10.0  # within which a request is read; a process that was stopped in it shall stop no other


@contextmanager
def serving(number: int | None = None) -> Iterator[None]:
    """Have a server for the jobs that are started meanwhile, of so many threads if told; none where it cannot be."""
    with ExitStack() as stack:
        if sys.platform == "linux":  # macOS' own libraries do not stand a fork
            with suppress(OSError):
                stack.enter_context(_server(number))
        yield


@contextmanager
def _server(number: int | None) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="lskd-", ignore_cleanup_errors=True) as folder:  # nobody else may enter
        path = f"{folder}/socket"
        with socket.socket(socket.AF_UNIX) as listener:  # from now on who asks waits for the server
            listener.bind(path)
            listener.listen(64)
            environment = os.environ | (dict.fromkeys(THREADS, str(number)) if number else {})  # as Snakemake sets them
            command = [sys.executable, "-m", "lskd.jobs.forkserver", str(listener.fileno()), folder]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, pass_fds=[listener.fileno()])
        os.environ[SERVER] = path
        try:
            yield
        finally:
            os.environ.pop(SERVER, None)
            process.communicate()  # its stdin ends, so it does, after its last fork; what they took is told of it


class Server:
    """Who asks and waits, and the forks that work for them."""

    def __init__(self, listener: int) -> None:
        self.listener = socket.socket(fileno=listener)
        self.ended_r, ended_w = os.pipe()
        os.set_blocking(ended_w, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(ended_w, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):  # meant for the jobs, who are told too
            signal.signal(number, signal.SIG_IGN)
        self.own = [self.listener.fileno(), self.ended_r, ended_w]
        self.stamps: dict[str, tuple[int, int]] = {}  # of each module's file, when it was imported
        self.is_stale = False
        self.forks: dict[int, tuple[socket.socket, Path, dict[str, Any] | None, float]] = {}

    def run(self) -> None:
        """Serve until stdin ends and the last fork has."""
        with selectors.DefaultSelector() as selector:
            self.own.append(selector.fileno())
            for file in (sys.stdin.fileno(), self.listener.fileno(), self.ended_r):
                selector.register(file, selectors.EVENT_READ)
            is_wanted = True
            while is_wanted or self.forks:
                for key, _ in selector.select():
                    if key.fd == self.ended_r:
                        os.read(self.ended_r, 4096)
                        self._reap()
                    elif key.fd == self.listener.fileno():
                        self._answer(self.listener.accept()[0])
                    else:  # nobody writes to it, so it has ended
                        selector.unregister(key.fd)
                        is_wanted = False

    def _answer(self, client: socket.socket) -> None:
        """Fork for who asks; close where it is not for this process, or nothing that is understood."""
        client.settimeout(SECONDS)
        try:
            content, files, _, _ = socket.recv_fds(client, 1 << 16, 3)
            while not content.endswith(b"\n"):
                more = client.recv(1 << 16)
                if not more:
                    raise ValueError("a request without an end")
                content += more
            request = json.loads(content)
            folder = Path(request["folder"], request["log"]).parent
        except (OSError, ValueError, LookupError, TypeError):
            client.close()
            return
        described = execute.known(folder)
        if described:
            _import(described)
        if request["python"] == sys.executable and request["threads"] == threads(os.environ) and self._is_as_loaded():
            self._fork(client, request, files, described)
        else:
            client.close()
        for file in files:
            os.close(file)

    def _is_as_loaded(self) -> bool:
        """Whether no file of this package was touched since it was imported here; never again once one was."""
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "lskd" and module.__file__:
                with suppress(FileNotFoundError):
                    stamp = Path(module.__file__).stat()
                    now = stamp.st_mtime_ns, stamp.st_size
                    self.is_stale |= self.stamps.setdefault(name, now) != now
        return not self.is_stale

    def _fork(
        self, client: socket.socket, request: dict[str, Any], files: list[int], described: dict[str, Any] | None
    ) -> None:
        folder, started = Path(request["folder"], request["log"]).parent, time.monotonic()
        gc.freeze()  # what is imported is no garbage; to look for some in a fork would copy all of these pages
        pid = os.fork()
        if not pid:
            for file in (*self.own, client.fileno(), *(each.fileno() for each, *_ in self.forks.values())):
                os.close(file)
            _become(request, files)
        self.forks[pid] = client, folder, described, started
        _say(client, {"pid": pid})

    def _reap(self) -> None:
        """Tell who waits for it how a fork ended, and keep what it took."""
        while self.forks:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            client, folder, described, started = self.forks.pop(pid)
            if described and not status:
                execute.keep_usage(folder, described, usage, time.monotonic() - started)
            _say(client, {"status": status})
            client.close()


def _import(described: dict[str, Any]) -> None:
    """Have what a job needs, for it and those after it; what cannot be imported the job tells itself."""
    with suppress(Exception):
        with _as_quiet_as_before():
            for entry in described["functions"].values():
                execute.resolve(entry)
        for name in LATE:
            importlib.import_module(name)
        execute.check_code(described)  # so that its forks need not read all the code


@contextmanager
def _as_quiet_as_before() -> Iterator[None]:
    """Undo what imports do to logging: fairseq's have every library tell all that it does."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers.copy()
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def _become(request: dict[str, Any], files: list[int]) -> None:
    """Be the job's process, with its files, folder and environment, to the end."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for place, file in enumerate(files):
            os.dup2(file, place)
            os.close(file)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        execute.end_with(request["log"])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)  # whatever happens, no fork goes on as a second server


def _say(client: socket.socket, answer: dict[str, int]) -> None:
    with suppress(OSError):  # who asked is dead; its job goes on, and is found made
        client.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    try:
        Server(int(sys.argv[1])).run()
    finally:
        shutil.rmtree(sys.argv[2], ignore_errors=True)
