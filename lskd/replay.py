"""Whether today's code makes a result of other code to the same bits: what `lskd adopt --check` asks of each.

A training of images is compared by its trace (lskd/training/trace.py), which takes a few of its epochs; every other job
is made again beside the result, and its files are compared.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from lskd.errors import UserError
from lskd.io.layout import ROOMS, TRACE
from lskd.io.seal import Record, file_digest
from lskd.jobs.execute import resolve
from lskd.jobs.job import Job
from lskd.jobs.progress import duration
from lskd.jobs.work import Work
from lskd.study.config import canonical
from lskd.study.runtime import Runtime

_LINE_SECONDS = 10.0
_MADE_AGAIN = "lskd.training.start:run"  # of the stage `train`: a user's own weights, which nothing trains


class Checks:
    """Asks of one job after the other, and tells how far it is where that takes long."""

    def __init__(self, settings: Runtime, jobs: int) -> None:
        self.settings, self.jobs = settings, jobs
        self.done = self.differ = 0
        self.started = self.last_line = time.monotonic()

    def __call__(self, job: Job, record: Record) -> str:
        """What today's code would make of a job other than a result; "" where nothing."""
        answer = difference(job, record, self.settings)
        self.done, self.differ = self.done + 1, self.differ + bool(answer)
        now = time.monotonic()
        if now - self.last_line >= _LINE_SECONDS:
            self.last_line = now
            left = duration((self.jobs - self.done) * (now - self.started) / self.done)
            print(f"{self.done} of {self.jobs} jobs compared, {self.differ} differ, ETA {left}", file=sys.stderr)
        return answer


def difference(job: Job, record: Record, runtime: Runtime) -> str:
    """What today's code would make of a job other than a result of its title and spec, in words; "" where nothing."""
    stands = job.results.root / ROOMS[job.stage] / f"{job.title}-{record['address']}"
    kept = stands / TRACE if job.stage == "train" and job.functions["run"] != _MADE_AGAIN else None
    if kept and not (kept.exists() and file_digest(kept) == record["notes"].get("trace")):
        return f"it keeps no whole {TRACE} to compare with"
    with tempfile.TemporaryDirectory(prefix="lskd-") as temporary:
        work = Work(
            title=job.title,
            address=record["address"],  # which its files name
            spec=json.loads(canonical(job.spec)),  # as the job's process gets it
            folder=Path(temporary) / stands.name,
            inputs={role: above.folder for role, above in job.inputs.items()},
            functions={role: resolve(entry) for role, entry in job.functions.items()},
            runtime=runtime,
            place=Path(job.place),
            kept=kept,
        )
        work.folder.mkdir()
        os.environ["LSKD_RUNNING"] = f"{temporary}/running"
        try:
            work.functions["run"](work)
        except UserError as error:
            return str(error) + _elsewhere(work, record)
        except Exception as error:  # of any kind: it is today's code that fails
            return f"today's code fails: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        for name, digest in record["files"].items():
            path = work.folder / name
            if not path.exists() or file_digest(path) != digest:
                return f"{name} has other bytes" + _elsewhere(work, record)
    return ""


def _elsewhere(work: Work, record: Record) -> str:
    """What else may be why: rounding, where it was made on another kind of machine."""
    then = record["made_on"]
    others = [f"{name} {value}" for name, value in work.environment.items() if value not in then.get(name, [value])]
    return f" (it was not made with {', '.join(others)})" if others else ""
