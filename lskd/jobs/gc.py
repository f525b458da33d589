"""What lies in a folder of results that no study of the tree names at any scale. No torch."""

import fcntl
import json
import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from lskd.data import layouts
from lskd.errors import UserError
from lskd.figures.study_page import PAGE
from lskd.io.hold import held
from lskd.io.layout import FILES, JOBS, ROOMS
from lskd.io.seal import RECORD
from lskd.jobs import live
from lskd.jobs.catalogue import Catalogue, ancestors
from lskd.jobs.job import Job
from lskd.jobs.listing import PUBLISHED, Entry, aligned, bytes_of, entries, total_size
from lskd.jobs.results import ADOPTED, Results
from lskd.jobs.verify import left_behind
from lskd.study import reading as studyfile
from lskd.study import runs, studies
from lskd.study.config import Data, Study

SCALES = ("demo", "small", "paper")
Source = tuple[str, dict[str, Any], dict[str, Any]]  # what a config is called, what it holds, the command line over it


@dataclass
class Named:
    """What studies name: jobs, published figures, roots of data; all results of some titles where planning failed."""

    jobs: dict[str, Job] = field(default_factory=dict)  # by folder below the results
    addresses: set[str] = field(default_factory=set)  # of the jobs themselves, whatever stands for them
    figures: set[tuple[str, str, str]] = field(default_factory=set)  # scale, study, figure
    titles: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)  # titles of data sets, under which those of runs begin
    roots: set[str] = field(default_factory=set)
    studies: dict[str, list[str]] = field(default_factory=dict)  # name -> scales
    notes: list[str] = field(default_factory=list)

    def names(self, entry: Entry) -> bool:
        """Whether a study names a result, by its folder or by its title."""
        return entry.below in self.jobs or self.has_title(entry.stage, entry.title)

    def has_title(self, stage: str, title: str) -> bool:
        """Whether all results of a title are named."""
        if stage in ("data", "corpus"):
            return title in self.data
        return any(title == each or title.startswith(f"{each}/") for each in self.titles)


def named(sources: Iterable[Source], results: Results) -> Named:
    """What the studies of these configs and of the tree name, at each of their scales.

    A scale that cannot be planned, such as for missing data, names all results of its runs' and figures' titles.
    """
    papers = sorted(studies.TREE.glob("workflow/studies/*.yaml"))
    sources = [*sources, *((path.name, studyfile.read(path), {}) for path in papers)]
    all_named = Named()
    for source, raw, overrides in sources:
        for scale in raw.get("scales") or SCALES:
            _add(studyfile.parse(raw, scale, source, overrides), results, all_named)
    return all_named


def _add(study: Study, results: Results, all_named: Named) -> None:
    catalogue = Catalogue({study.study: study}, results)
    members = catalogue.members(study.study)
    scales = all_named.studies.setdefault(study.study, [])
    scales += [study.scale] * (study.scale not in scales)
    all_named.roots |= {str(root) for member in members for root in _roots(member.run.data)}
    all_named.figures |= {(study.scale, study.study, figure) for figure in study.figures}
    problem = ""
    for figure in study.figures:
        try:
            for job in ancestors(catalogue.figure(study.study, figure)):
                all_named.jobs[job.below] = job
                all_named.addresses |= {job.address, job.standing}
                problem = problem or job.lacks
        except UserError as error:
            problem = problem or str(error)
    if problem:
        behind = [run for member in members for run in _behind(member.run)]
        all_named.titles |= {f"{study.scale}/{study.study}", *(run.title for run in behind)}
        all_named.data |= {run.data.folder for run in behind}
        all_named.notes.append(f"note: {study.study} at scale {study.scale}: kept by name, not planned ({problem})")


def _roots(data: Data) -> list[Path]:
    """The files and folders below which the digests of a data set's files are cached."""
    root = Path(data.root)
    return [root, *layouts.parts(data.dataset, root)]


def _behind(run: runs.Run) -> Iterator[runs.Run]:
    """A run, its teacher, its start, and so on."""
    yield run
    for above in (run.teacher, run.start):
        if above is not None:
            yield from _behind(above)


@dataclass(frozen=True)
class Garbage:
    """What may go, and why."""

    path: Path
    reason: str
    size: int


def garbage(root: Path, all_named: Named) -> list[Garbage]:
    """All that no study needs. What a kept result was made of is kept; what lies behind links is not seen."""
    listed = entries(root, through_links=False)
    kept = _kept(listed, all_named)
    titles = {(job.stage, job.title) for job in all_named.jobs.values()}
    pairs: list[tuple[Path, str]] = []
    for entry in listed:
        if entry.below not in kept:
            is_namesake = (entry.stage, entry.title) in titles
            pairs.append((entry.folder, "other spec or code" if is_namesake else "no study names it"))
    gone = {path for path, _ in pairs}
    pairs += [(path, "published of no study") for path in _unnamed_figures(root, all_named)]
    for path in _plain_files(root / ADOPTED):
        if path.stem not in all_named.addresses and not all_named.has_title(*_title_in(path)):
            pairs.append((path, "adopted for no job"))
    pairs += [(path, "no pending job") for path in _idle_job_files(root, all_named)]
    pairs += [(path, "digests of images that are gone") for path in _old_caches(root, all_named)]
    pairs += [(path, "lock of no process") for path in _free_locks(root)]
    pairs += [(path, "left by a killed process") for path in left_behind(root) if not gone.intersection(path.parents)]
    return [Garbage(path, reason, total_size(path)) for path, reason in pairs]


def _kept(listed: list[Entry], all_named: Named) -> set[str]:
    """The folders that are named, and all that their records name above them."""
    known = {entry.below: entry for entry in listed}
    queue = [entry.below for entry in listed if all_named.names(entry)]
    kept: set[str] = set()
    while queue:
        below = queue.pop()
        if below not in kept:
            kept.add(below)
            record = known[below].record if below in known else None
            queue += [above["folder"] for above in record["inputs"].values()] if record else []
    return kept


def _unnamed_figures(root: Path, all_named: Named) -> Iterator[Path]:
    for path in _plain_files(root / PUBLISHED, "*/*/*"):
        scale, study, name = path.relative_to(root / PUBLISHED).parts
        if name == PAGE:
            is_named = any((scale, study) == figure[:2] for figure in all_named.figures)
        else:
            is_named = (scale, study, name.removesuffix(path.suffix)) in all_named.figures
        if f"figure{path.suffix}" in FILES["figure"] and not is_named:
            yield path


def _plain_files(folder: Path, pattern: str = "*") -> list[Path]:
    """The files in a folder of the results that is no link."""
    if folder.is_symlink():
        return []
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.endswith(".tmp"))


def _idle_job_files(root: Path, all_named: Named) -> Iterator[Path]:
    """Files that tell a process its job, where the job has its result or no study names it."""
    pending = {job.address for job in all_named.jobs.values() if not job.results.is_complete(job)}
    for path in _plain_files(root / JOBS):
        if path.stem not in pending and not all_named.has_title(*_title_in(path)):
            yield path


def _title_in(path: Path) -> tuple[str, str]:
    """The stage and title that a job file or an adopted record holds; "" where it is damaged."""
    try:
        content = json.loads(path.read_text())
        return str(content["stage"]), str(content["title"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def _old_caches(root: Path, all_named: Named) -> Iterator[Path]:
    """Files of digests of images; a file is called by a digest of its root, so one of no known root may go."""
    roots = {Path(each).resolve() for each in all_named.roots if Path(each).exists()}
    known = {xxhash.xxh3_128_hexdigest(os.fsencode(each)) for each in roots}
    yield from (path for path in _plain_files(root / ".cache" / "content") if path.name not in known)


def _free_locks(root: Path) -> Iterator[Path]:
    """Locks of this host's GPUs that no process holds."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())  # as lskd.training.device names the folder
    for path in _plain_files(root / ".gpu" / host):
        with path.open() as file, suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path


def lines(listed: list[Garbage], all_named: Named) -> list[str]:
    """What may go, with sizes and a total, after what was taken as needed."""
    rows: list[tuple[str, ...]] = [(str(each.path), bytes_of(each.size), each.reason) for each in listed]
    needed = ", ".join(f"{name} ({', '.join(scales)})" for name, scales in all_named.studies.items())
    total = bytes_of(sum(each.size for each in listed))
    return [
        *all_named.notes,
        *aligned(rows, right={1}),
        f"kept: what these studies name: {needed}; results of another config or of --config count as unused unless"
        " these are given here",
        f"of no use: {len(listed)}, {total}",
    ]


def delete(root: Path, listed: list[Garbage]) -> None:
    """Remove them, and the folders that are empty then. UserError while a snakemake or one of its jobs works there."""
    with held(root, exclusively=True) as is_alone:
        if not is_alone:
            raise UserError(f"{root}: a snakemake works on these results and may need what is listed; wait for its end")
        _delete(root, listed)


def _delete(root: Path, listed: list[Garbage]) -> None:
    running = live.jobs(root / ".running")
    if running:
        raise UserError(
            f"{running[0].title}: runs on {running[0].host} and may need what is listed; wait for it, or rm -f "
            f"{root / '.running' / running[0].address}.json if it is dead"
        )
    for each in listed:
        try:
            if each.path.is_symlink() or not each.path.is_dir():
                each.path.unlink()
            else:
                (each.path / RECORD).unlink(missing_ok=True)  # first, so that a killed gc leaves no half of a result
                shutil.rmtree(each.path)
        except OSError as error:
            raise UserError(f"{error.filename or each.path}: cannot be removed ({error.strerror})") from None
        for above in each.path.parents:
            if above == root or above.name in ROOMS.values() and above.parent == root:
                break
            with suppress(OSError):
                above.rmdir()
