"""The folder of results: what is there, and which results of other code were accepted for today's."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.io.layout import FILES, ROOMS
from lskd.io.seal import RECORD, Record, opened, read_record
from lskd.jobs.job import Job

ADOPTED = "adopted"


class Results:
    """Results under `root`. With `trust_code` a result of other code and the same spec stands where none is there.

    `proposed`: adopted records that are not written yet, by address.
    """

    def __init__(
        self, root: Path | str = "results", trust_code: bool = False, proposed: dict[str, Record] | None = None
    ) -> None:
        self.root, self.trust_code = Path(root), trust_code
        self.trusted: dict[str, tuple[Job, dict[str, Any]]] = {}  # address -> the job, the record that stands for it
        self._adopted = read_adopted(self.root) | (proposed or {})
        self._missing: dict[Job, str | None] = {}

    def is_complete(self, job: Job) -> bool:
        """Whether every file of the job's result is there."""
        return self.missing(job) is None

    def missing(self, job: Job) -> str | None:
        """The path of the first file of the job's result that is not there; as it was when this was first asked."""
        if job not in self._missing:
            folder = f"{self.root}/{job.below}"
            paths = (f"{folder}/{name}" for name in job.names)
            self._missing[job] = next((path for path in paths if not os.path.exists(path)), None)  # noqa: PTH110  # fast
        return self._missing[job]

    def accepted(self, job: Job) -> str | None:
        """The address of the result that was adopted for this job, or for now is trusted; None for its own."""
        if not self.trust_code and not self._adopted:
            return None
        own = self.root / ROOMS[job.stage] / f"{job.title}-{job.address}" / RECORD
        if own.exists():
            return None
        adopted = self._adopted.get(job.address)
        if adopted and self._is_whole(job, str(adopted["stands"])):  # else it is gone: the job is made
            return str(adopted["stands"])
        if not self.trust_code or job.stage == "figure":  # a figure is drawn anew in seconds
            return None
        record = max(self.of_other_code(job), key=lambda record: record["made"], default=None)
        if record is None:
            return None
        self.trusted[job.address] = job, record
        return str(record["address"])

    def of_other_code(self, job: Job) -> Iterator[dict[str, Any]]:
        """The records of whole results with this job's title and plain spec."""
        for record in self.namesakes(job):
            if record["plain"] == job.plain and self._is_whole(job, record["address"]):
                yield record

    def _is_whole(self, job: Job, address: str) -> bool:
        """Whether the result of an address has every file that this job's has."""
        folder = self.root / ROOMS[job.stage] / f"{job.title}-{address}"
        return all((folder / name).exists() for name in (*FILES[job.stage], RECORD))

    def namesakes(self, job: Job) -> Iterator[dict[str, Any]]:
        """The records of all results with this job's title, but its own."""
        return (record for record in self._of_title(job.stage, job.title) if record["address"] != job.address)

    def latest(self, stage: str, title: str) -> list[dict[str, Any]]:
        """The records of all results with a title, the last made first."""
        return sorted(self._of_title(stage, title), key=lambda record: record["made"], reverse=True)

    def _of_title(self, stage: str, title: str) -> Iterator[dict[str, Any]]:
        stem = self.root / ROOMS[stage] / title
        for name in _listed(stem.parent):
            if name.startswith(f"{stem.name}-") and len(name) == len(stem.name) + 11:
                try:
                    yield read_record(stem.parent / name)
                except UserError:
                    continue  # unfinished or damaged: it cannot stand for anything


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def read_adopted(root: Path) -> dict[str, Record]:
    """The records of what was adopted, by the address of the job that another result stands for."""
    adopted = {}
    for name in _listed(root / ADOPTED):
        if name.endswith(".json"):
            record = read_adopted_file(root / ADOPTED / name)
            adopted[str(record["address"])] = record
    return adopted


def read_adopted_file(path: Path) -> Record:
    """One such record. UserError where it is not what was written."""
    with suppress(OSError):
        record = opened(path.read_bytes())
        if record and record.get("address") == path.stem and re.fullmatch("[0-9a-f]{10}", str(record.get("stands"))):
            return record
    raise UserError(f"{path}: damaged; delete it and adopt again: rm -f {path} && python -m lskd adopt --yes")
