"""What every rule runs: `python -m lskd.jobs.run results/ROOM/TITLE-ADDRESS/STAGE.log`. It starts a job's process.

That is a fork of the server beside Snakemake (`lskd.jobs.forkserver`), which has imported what jobs need, or of this
process where there is none; a thread of Snakemake's asks that server without this process (`lskd.jobs.in_thread`). This
one waits for it, ends it where it hangs, and says what killed it where it could not: the kernel, short of memory, say.
The exit status is the job's, or 128 and the number of the signal.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

# Every job starts this, so it imports nothing large: only where no server is there are the others imported.

SERVER = "LSKD_FORKSERVER"  # the environment's name of its socket
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # which libraries read when they are loaded
HasEnded = Callable[[bool], bool]  # whether a job's process has; one that is told to wait says so when it has
Ended = tuple[int, bool]  # how it ended, as os.wait says it, and whether it hung


def main(log: str) -> int:
    """Do the job of a log in a process of its own; its exit status."""
    kills = oom_kills()
    on_interrupt = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: FrameType | None) -> None:
        _tell(log, killed(number, by_kernel=False))
        os._exit(128 + number)  # an exception would be lost in what is imported just then

    if on_interrupt is signal.default_int_handler:  # else a shell's script has started all this behind itself
        signal.signal(signal.SIGINT, interrupted)
    ended = served(log, os.environ, _pass_signals_on) or _forked(log, on_interrupt)
    return told(log, ended, oom_kills() > kills)


def told(log: str, ended: Ended, by_kernel: bool) -> int:
    """The exit status of a job's process, after a line where it could not say why it ended."""
    status, hung = ended
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    why = killed(os.WTERMSIG(status), by_kernel)
    if hung:
        why = f"made no step in {hang_minutes()} min (runtime.hang_minutes), so it was ended; run again to go on"
    _tell(log, why)
    return 128 + os.WTERMSIG(status)


def _tell(log: str, why: str) -> None:
    """Say why a job ended that could not say it: on stderr, and in its log, which a cluster does not take away."""
    line = f"error: {Path(log).parent}: {why}\n"
    with suppress(OSError), Path(log).open("a", encoding="utf-8") as file:
        file.write(line)
    sys.stderr.write(line)
    sys.stderr.flush()


def threads(environment: Mapping[str, str]) -> list[str | None]:
    """With how many threads libraries are loaded, which a fork cannot change."""
    return [environment.get(name) for name in THREADS]


def served(log: str, environment: Mapping[str, str], begun: Callable[[int], None]) -> Ended | None:
    """How a fork of the server ended, the number of which is told to `begun`; None where no server is, or it died."""
    path = environment.get(SERVER)
    if not path:
        return None
    request: dict[str, Any] = {"log": log, "folder": str(Path.cwd()), "python": sys.executable}
    request |= {"environment": dict(environment)}
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(path)
            content = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(server, [content], [0, 1, 2])
            server.sendall(content[sent:])
            pid = _answer(server)["pid"]
            begun(pid)
            hung = _wait(pid, log, lambda wait: bool(select.select([server], [], [], None if wait else 0)[0]))
            return _answer(server)["status"], hung
    except (OSError, ValueError):
        return None


def _answer(server: socket.socket) -> dict[str, int]:
    """A line of the server's, and no byte more, as `select` would not know of it. ValueError where it ends before."""
    line = b""
    while not line.endswith(b"\n"):
        line += server.recv(1) or b"the end\n"
    answer: dict[str, int] = json.loads(line)
    return answer


def _forked(log: str, on_interrupt: Any) -> Ended:
    """The same of a fork of this process, which minds SIGINT as told."""
    from lskd.jobs import execute

    started, folder, ends = time.monotonic(), Path(log).parent, []
    described = execute.known(folder)
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGINT, on_interrupt)
        execute.end_with(log)

    def has_ended(wait: bool) -> bool:
        end = os.wait4(pid, 0 if wait else os.WNOHANG)
        if end[0]:
            ends.append(end)
        return bool(end[0])

    _pass_signals_on(pid)
    hung = _wait(pid, log, has_ended)
    ((_, status, usage),) = ends
    if described and not status:
        execute.keep_usage(folder, described, usage.ru_maxrss / 1024, time.monotonic() - started)
    return status, hung


def _pass_signals_on(pid: int) -> None:
    """Have a job's process told what this one is."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    signal.signal(signal.SIGTERM, pass_on)  # a scheduler may tell this process alone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on a terminal tells both


def _wait(pid: int, log: str, has_ended: HasEnded) -> bool:
    """Wait for the end of a job's process; True if it was ended for a training that made no step."""
    if not hang_minutes():
        return not has_ended(True)
    from lskd.jobs.progress import step_of

    last = None
    moved = time.monotonic()
    while not has_ended(False):
        step = step_of(Path(log).parent.name[-10:])
        if step is None or step != last:
            last, moved = step, time.monotonic()
        if time.monotonic() - moved > 60 * hang_minutes():
            os.kill(pid, signal.SIGKILL)  # it does not go on, so it saves nothing more
            return has_ended(True)
        time.sleep(0.1)
    return False


def hang_minutes() -> float:
    """After how many minutes without a step a training is ended; 0 never."""
    minutes: float = json.loads(os.environ.get("LSKD_RUNTIME", "{}")).get("hang_minutes", 0)
    return minutes


def killed(number: int, by_kernel: bool) -> str:
    """How a job's process died that could not say it."""
    if number == signal.SIGTERM:
        return "stopped by SIGTERM (a scheduler's, or kill's); run again to go on"
    if number == signal.SIGINT:
        return "interrupted (Ctrl-C); run again to go on"
    if number != signal.SIGKILL:
        name = signal.Signals(number).name
        return f"killed by {name}, within a library or for the machine; its log stands in that folder; run again"
    from lskd.jobs.execute import MORE_MEMORY

    if by_kernel:
        return f"killed by the kernel, as the memory was full; {MORE_MEMORY}"
    return f"killed by SIGKILL (kill -9, or a limit of memory or time); if it was memory, {MORE_MEMORY}; run again"


def oom_kills() -> int:
    """How many processes the kernel has killed for memory since it started; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
