"""One process that has imported what jobs need, and is forked for each: a small job's time goes to its work.

To start Python and import torch takes seconds of a processor, more than many a metric or small training. Snakemake
starts this beside its jobs (`serving`), and so do the jobs that share a cluster's submission; `lskd.jobs.run` asks it
for a fork, and does without where there is none.
A fork has the job's environment, folder and files, as if it had been started, and does one job at a time
(`lskd.jobs.worker`): a job that is killed takes no other with it, and no result differs in a bit.

A request is one line of JSON over a socket in a folder of this user's alone, with the files that are stdin, stdout and
stderr; the answers are the fork's number, and how it ended. The server ends when whoever started it does.
"""

import gc
import importlib
import json
import logging
import os
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lskd.jobs import execute
from lskd.jobs.run import SERVER, THREADS, threads
from lskd.jobs.worker import received, work

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


@dataclass(eq=False)
class Worker:
    """A fork, and the job that it does."""

    pid: int
    channel: socket.socket
    stage: str
    client: socket.socket | None = None  # who waits for its job, and has not closed yet
    folder: Path = Path()
    described: dict[str, Any] | None = None
    is_told: bool = False  # to the client: how the job ended
    is_last: bool = False  # this job; else another may come


class Server:
    """Who asks and waits, and the forks that work for them."""

    def __init__(self, listener: int) -> None:
        self.listener = socket.socket(fileno=listener)
        self.on_interrupt = signal.getsignal(signal.SIGINT)  # ignored where a script has started all this behind itself
        self.ended_r, ended_w = os.pipe()
        os.set_blocking(ended_w, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(ended_w, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):  # meant for the jobs, who are told too
            signal.signal(number, signal.SIG_IGN)
        self.selector = selectors.DefaultSelector()
        self.own = [self.listener.fileno(), self.ended_r, ended_w, self.selector.fileno()]
        self.stamps: dict[str, tuple[int, int]] = {}  # of each module's file, when it was imported
        self.is_stale = False
        self.is_wanted = True
        self.workers: dict[int, Worker] = {}  # by number of the process; those that wait in the order of their last job
        self.most = 1  # jobs at a time so far

    def run(self) -> None:
        """Serve until stdin ends and the last job has."""
        self._watch(sys.stdin.fileno(), self._end)
        self._watch(self.listener, lambda: self._answer(self.listener.accept()[0]))
        self._watch(self.ended_r, self._reap)
        while self.is_wanted or any(worker.client and not worker.is_told for worker in self.workers.values()):
            for key, _ in self.selector.select():
                if self.selector.get_map().get(key.fd) is key:  # else what came before it in this turn ended it
                    key.data()
        for worker in self.workers.values():
            worker.channel.close()
        for worker in self.workers.values():  # so that whoever waits for this process waits for all
            os.waitpid(worker.pid, 0)

    def _watch(self, file: Any, on_change: Callable[[], None]) -> None:
        self.selector.register(file, selectors.EVENT_READ, on_change)

    def _unwatch(self, file: socket.socket) -> None:
        with suppress(KeyError, ValueError):  # it is not watched, or closed
            self.selector.unregister(file)

    def _end(self) -> None:
        """Nobody writes to stdin, so it has ended."""
        self.selector.unregister(sys.stdin.fileno())
        self.is_wanted = False

    def _answer(self, client: socket.socket) -> None:
        """Have a fork do what is asked for; close where it is not for this process, or nothing that is understood."""
        client.settimeout(SECONDS)
        try:
            request, files = received(client) or ({}, [])
            folder = Path(request["folder"], request["log"]).parent
            is_for_this = request["python"] == sys.executable and threads(request["environment"]) == threads(os.environ)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            client.close()
            return
        described = execute.known(folder)
        if described:
            _import(described)
        if is_for_this and self._is_as_loaded():
            self._give(client, request, files, described)
        else:
            client.close()
        for file in files:
            os.close(file)

    def _is_as_loaded(self, others: Iterable[str] = ()) -> bool:
        """Whether no file of this package was touched since it was imported, here or in a fork (`others`).

        Never again once one was.
        """
        own = [module.__file__ for name, module in list(sys.modules.items()) if name.partition(".")[0] == "lskd"]
        for path in {*self.stamps, *filter(None, own), *others}:
            with suppress(FileNotFoundError):
                stamp = os.stat(path)  # noqa: PTH116 - of hundreds of files at each job
                now = stamp.st_mtime_ns, stamp.st_size
                self.is_stale |= self.stamps.setdefault(path, now) != now
        return not self.is_stale

    def _give(
        self, client: socket.socket, request: dict[str, Any], files: list[int], described: dict[str, Any] | None
    ) -> None:
        """Give a job to a worker that waits for one of its stage, or to a new one."""
        stage = described["stage"] if described else ""
        waiting = [worker for worker in self._waiting() if worker.stage == stage]
        worker = waiting[-1] if waiting else self._fork(stage, [client.fileno(), *files])
        content = json.dumps(request).encode() + b"\n"
        try:
            sent = socket.send_fds(worker.channel, [content], files)
            worker.channel.sendall(content[sent:])
        except OSError:  # it died just now
            worker.is_last = True
            client.close()
            return
        worker.client, worker.described, worker.is_told = client, described, False
        worker.folder = Path(request["folder"], request["log"]).parent
        _say(client, {"pid": worker.pid})
        self.most = max(self.most, sum(worker.client is not None for worker in self.workers.values()))

    def _waiting(self) -> list[Worker]:
        """The workers without a job, in the order in which they did the last one."""
        return [worker for worker in self.workers.values() if worker.client is None and not worker.is_last]

    def _fork(self, stage: str, others: list[int]) -> Worker:
        """A new worker; `others` are files that are not for it."""
        gc.freeze()  # what is imported is no garbage; to look for some in a fork would copy all of these pages
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if not pid:
            clients = [worker.client.fileno() for worker in self.workers.values() if worker.client]
            channels = [worker.channel.fileno() for worker in self.workers.values() if worker.channel.fileno() >= 0]
            for file in (*self.own, ours.fileno(), *others, *clients, *channels):
                os.close(file)
            work(theirs, self.on_interrupt)
        theirs.close()
        ours.settimeout(SECONDS)
        worker = self.workers[pid] = Worker(pid, ours, stage)
        self._watch(ours, lambda: self._hear(worker))
        return worker

    def _hear(self, worker: Worker) -> None:
        """Take what a worker says of a job that it made; its end is told by `_reap`."""
        try:
            said, _ = received(worker.channel) or (None, [])
        except (OSError, ValueError):
            said = None
        if said is None:
            self._forget(worker)
            return
        self._is_as_loaded(said["loaded"])
        if worker.described:
            execute.keep_usage(worker.folder, worker.described, said["megabytes"], said["seconds"])
        worker.is_told, worker.is_last = True, said["is_last"]
        if worker.client:
            _say(worker.client, {"status": 0})
            # until it closes it may send a signal, which is not for the next job
            self._watch(worker.client, lambda: self._free(worker))

    def _free(self, worker: Worker) -> None:
        """Let go of a client that knows how its job ended; keep two workers without a job for each that had one."""
        self._forget_client(worker)
        if worker.pid in self.workers:
            self.workers[worker.pid] = self.workers.pop(worker.pid)
        for each in self._waiting()[: -2 * self.most]:
            self._forget(each)

    def _forget_client(self, worker: Worker) -> None:
        if worker.client:
            self._unwatch(worker.client)
            worker.client.close()
            worker.client = None

    def _forget(self, worker: Worker) -> None:
        """End the channel of a worker, with which it ends."""
        worker.is_last = True
        self._unwatch(worker.channel)
        worker.channel.close()

    def _reap(self) -> None:
        """Tell who waits for a worker that ended in its job how it did."""
        os.read(self.ended_r, 4096)
        while self.workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            worker = self.workers.pop(pid)
            if worker.channel.fileno() >= 0 and select.select([worker.channel], [], [], 0)[0]:
                self._hear(worker)  # what it said before
            self._forget(worker)
            if worker.client and not worker.is_told:
                if status:  # else it did not do the job, which its client does then
                    _say(worker.client, {"status": status})
                self._forget_client(worker)


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


def _say(client: socket.socket, answer: dict[str, int]) -> None:
    with suppress(OSError):  # who asked is dead; its job goes on, and is found made
        client.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    try:
        Server(int(sys.argv[1])).run()
    finally:
        shutil.rmtree(sys.argv[2], ignore_errors=True)
