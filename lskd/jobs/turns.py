"""The jobs of one submission of a cluster, so many at a time, each in a process of its own: a fork of one server.

`python -m lskd.jobs.turns N LOG...`: each LOG as for `lskd.jobs.run`. SIGTERM, which comes ahead of a time
limit, is passed on to the jobs that run, and no more are begun. The exit status is 0 if all of them are made.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import FrameType

from lskd.io.layout import JOBS
from lskd.io.seal import RECORD
from lskd.jobs.forkserver import serving

SHOWN_SECONDS = 60.0  # within which a network drive shows what another node wrote


class Turns:
    """Jobs that wait, and those that run."""

    def __init__(self, most: int, logs: list[Path]) -> None:
        self.most, self.waiting = most, logs
        self.running: list[subprocess.Popen[bytes]] = []
        self.stop_asked = False

    def run(self) -> int:
        """Run all; 0, or the exit status of one that failed."""
        signal.signal(signal.SIGTERM, self._pass_on)
        status = 0
        while self.running or (self.waiting and not self.stop_asked):
            while self.waiting and len(self.running) < self.most and not self.stop_asked:
                self._begin(self.waiting.pop(0))
            if not self.running:  # asked to stop just now
                break
            pid, wait_status = os.wait()
            ended = [process for process in self.running if process.pid == pid]  # none: it was the server
            self.running = [process for process in self.running if process.pid != pid]
            status = (os.waitstatus_to_exitcode(wait_status) if ended else 0) or status
        return 128 + signal.SIGTERM if self.stop_asked and self.waiting and not status else status

    def _begin(self, log: Path) -> None:
        await_inputs(log)
        self.running.append(subprocess.Popen([sys.executable, "-m", "lskd.jobs.run", str(log)]))

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked = True
        for process in self.running:
            process.send_signal(number)


def await_inputs(log: Path, seconds: float = SHOWN_SECONDS) -> None:
    """Wait until a job's own file and the records of what it reads are to be seen here; no longer than `seconds`."""
    end = time.monotonic() + seconds
    while not _are_seen(log) and time.monotonic() < end:
        time.sleep(0.5)


def _are_seen(log: Path) -> bool:
    results = next((above for above in log.parents if (above / JOBS).is_dir()), None)
    if results is None:
        return False
    if (log.parent / RECORD).exists():  # made already
        return True
    try:
        described = json.loads((results / JOBS / f"{log.parent.name[-10:]}.json").read_text())
        return all((results / below / RECORD).exists() for below in described["inputs"].values())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True  # what is wrong with it the job tells


def main() -> None:
    """Run the jobs of the command line."""
    logs = [Path(name) for name in sys.argv[2:]]
    with serving() if len(logs) > 1 else nullcontext():  # one alone imports what it needs no sooner by a fork
        status = Turns(int(sys.argv[1]), logs).run()
    sys.exit(status)


if __name__ == "__main__":
    main()
