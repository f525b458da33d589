"""Jobs that a thread of Snakemake's waits for, in place of a shell and a Python, which would only wait too.

Snakemake starts every job's command by `subprocess.Popen`; for those of the rules here `popen` asks the server of forks
(`lskd.jobs.forkserver`) itself. What else is started, and jobs that the server does not do, are started as ever.
"""

import shlex
import subprocess
from typing import Any

from lskd.jobs.run import oom_kills, served, told

START = shlex.split("set -euo pipefail; python -m lskd.jobs.run")  # what comes before the log: Snakemake's, a rule's


def popen(command: Any, **options: Any) -> "subprocess.Popen[Any] | Waited":
    """As `subprocess.Popen`, which it is for all but a job's command."""
    words = shlex.split(command) if isinstance(command, str) and "lskd.jobs.run" in command else []
    if words[:-1] == START:
        return Waited(words[-1], command, options)
    return subprocess.Popen(command, **options)


class Waited:
    """A job that is to do, with what Snakemake uses of a `subprocess.Popen`."""

    def __init__(self, log: str, command: str, options: dict[str, Any]) -> None:
        self.log, self.command, self.options = log, command, options
        self.pid = 0

    def wait(self) -> int:
        """Have the job done; its exit status."""
        kills = oom_kills()
        ended = served(self.log, self.options["env"], self._begun)
        if ended is None:
            return subprocess.Popen(self.command, **self.options).wait()
        return told(self.log, ended, oom_kills() > kills)

    def _begun(self, pid: int) -> None:
        self.pid = pid
