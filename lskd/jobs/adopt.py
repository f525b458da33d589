"""Results of other code with the same spec, accepted for today's code: once, with a record. No torch."""

import getpass
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.io.atomic import write_json
from lskd.io.layout import ROOMS
from lskd.io.seal import Record, sealed
from lskd.jobs import why
from lskd.jobs.job import Job
from lskd.jobs.listing import short
from lskd.jobs.plan import Plan
from lskd.jobs.provenance import commit
from lskd.jobs.results import ADOPTED, Results, read_adopted, read_adopted_file
from lskd.jobs.verify import damages

Planner = Callable[[dict[str, Record]], Plan]  # a new plan, with these adopted records beside the written ones
Check = Callable[[Job, Record], str]  # what today's code would make of a job other than that result; "" where nothing
_SHOWN = 5  # changes that a line names


class Proposal:
    """What may be adopted for some targets, upstream first, and what is left to do after that.

    With a `check` only what passes it, of inputs that are there or were adopted before it.
    """

    def __init__(self, planner: Planner, targets: Iterable[str], check: Check | None = None) -> None:
        self.check = check
        self.different: dict[str, str] = {}  # by today's address: what the check found
        self.records: dict[str, Record] = {}  # by today's address
        self.jobs: dict[str, Job] = {}
        self.damaged: dict[str, None] = {}  # results that would stand but are not whole
        targets = list(targets)
        while True:  # what reads an adopted result has another address then: look again
            plan = planner(self.records)
            plan.want(targets)
            self.left = plan.to_do()
            level = dict(self._level(plan.results))
            if not level:
                break
            self.records |= level

    def _level(self, results: Results) -> Iterable[tuple[str, Record]]:
        """Adopted records for the jobs whose address no other adoption of this level moves."""
        moved: set[Job] = set()
        for job in self.left:
            if moved.intersection(job.inputs.values()) or job.address in self.different:
                moved.add(job)
            elif standing := self._standing(job, results):
                moved.add(job)
                self.jobs[job.address] = job
                if self._passes(job, standing):
                    yield job.address, _record(job, standing, is_checked=self.check is not None)
            elif self.check:  # it is made anew, and so is all that reads it
                moved.add(job)

    def _passes(self, job: Job, standing: Record) -> bool:
        """Whether the check, if there is one, finds no difference."""
        difference = self.check(job, standing) if self.check else ""
        if difference:
            self.different[job.address] = difference
        return not difference

    def _standing(self, job: Job, results: Results) -> Record | None:
        """The whole result of other code that is to stand for a job: of the same inputs if there is one, the newest."""
        read = {role: above.standing for role, above in job.inputs.items()}

        def order(record: Record) -> tuple[bool, str]:
            return {role: above["address"] for role, above in record["inputs"].items()} == read, record["made"]

        for record in sorted(results.of_other_code(job), key=order, reverse=True):
            lines = damages(results.root / ROOMS[job.stage] / f"{job.title}-{record['address']}")
            if not lines:
                return record
            self.damaged |= dict.fromkeys(lines)
        return None

    def lines(self) -> list[str]:
        """What is adopted, and from which code, in a line for each kind of change."""
        kinds: dict[tuple[str, str], Counter[str]] = {}
        for address, record in self.records.items():
            key = _changes(record), short(record["of_commit"])
            kinds.setdefault(key, Counter())[why.kind(self.jobs[address])] += 1
        lines = [f"  {why.counted(several)} of commit {of}: {changes}" for (changes, of), several in kinds.items()]
        count = len(self.records)
        head = f"results of other code that can stand for today's: {count}" if count else "nothing to adopt"
        left = f"; jobs that have none and stay to do: {len(self.left)}" if self.left else ""
        different = [f"{self.jobs[address].title}: {difference}" for address, difference in self.different.items()]
        return [*(f"note: not adopted: {line}" for line in (*self.damaged, *different)), head + left, *lines]

    def write(self, root: Path) -> None:
        """Write the records, upstream first."""
        for address, record in self.records.items():
            write_json(root / ADOPTED / f"{address}.json", record)


def _record(job: Job, standing: Record, is_checked: bool) -> dict[str, Any]:
    return sealed(
        {
            "address": job.address,
            "stands": standing["address"],
            "stage": job.stage,
            "title": job.title,
            "plain": job.plain,
            "code": {"of": standing["definitions"], "for": job.definitions},
            "differences": why.code_changes(standing["definitions"], job.definitions),
            "adopted": datetime.now(UTC).isoformat(timespec="seconds"),
            "by": f"{getpass.getuser()}@{socket.gethostname()}",
            "checked": is_checked,
            "commit": commit(),
            "of_commit": standing["commit"],
        }
    )


def _changes(record: Record) -> str:
    """The first definitions that changed, and how many more did."""
    changes = record["differences"]
    more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return "; ".join(changes[:_SHOWN]) + more or "made of results that other code made"


def listed(root: Path) -> list[str]:
    """Each adopted record in a line."""
    records = sorted(read_adopted(root).values(), key=lambda record: (record["adopted"], record["title"]))
    lines = [
        f"{record['address']}: {record['stands']} stands for it, {record['stage']} {record['title']}; adopted "
        f"{record['adopted'][:16].replace('T', ' ')} by {record['by']}: {_changes(record)}"
        for record in records
    ]
    return [*lines, f"adopted: {len(lines)}"]


def undo(root: Path, address: str) -> int:
    """Remove the adopted records of an address, today's or the one that stands, or all; how many they were."""
    removed = 0
    for path in sorted((root / ADOPTED).glob("*.json")):
        if address in ("all", path.stem) or address == _stands(path):
            path.unlink()
            removed += 1
    if not removed and address != "all":
        raise UserError(f"{address}: nothing was adopted for it; python -m lskd adopt --list shows what was")
    return removed


def _stands(path: Path) -> str:
    try:
        return str(read_adopted_file(path)["stands"])
    except UserError:
        return ""
