"""Every file of every result against its seal. No torch, and no plan."""

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lskd.errors import UserError, mend
from lskd.figures.study_page import PAGE, is_whole
from lskd.io.atomic import HOST, is_running
from lskd.io.layout import FILES, JOBS, ROOMS, TRACE
from lskd.io.seal import RECORD, Record, file_digest, is_sealed, read_record
from lskd.jobs import live
from lskd.jobs.listing import PUBLISHED, Entry, bytes_of, entries, holding
from lskd.jobs.looks import LOOKS, read_look
from lskd.jobs.progress import duration, on_terminal
from lskd.jobs.results import ADOPTED, read_adopted_file
from lskd.study.config import canonical

_THREADS = min(16, (os.cpu_count() or 1) * 2)
_QUIET_SECONDS, _LINE_SECONDS = 2.0, 10.0
ALONE = "packed.txt"  # beside a record that was unpacked without its result's files: that record's digest
_KEPT = re.compile(
    rf".+\.log|checkpoint\.pt.*|trace\.(part|safetensors)|{re.escape(ALONE)}"
)  # what may lie beside a result's files


@dataclass
class Report:
    """What was verified, and a line for each failure."""

    files: int = 0
    results: int = 0
    by_record: int = 0  # results of which a pack held the record alone
    failures: list[str] = field(default_factory=list)

    @property
    def last(self) -> str:
        """The closing line."""
        alone = f", {self.by_record} of them by their record alone, as unpacked" if self.by_record else ""
        return f"{self.files} files in {self.results} results verified{alone}, {len(self.failures)} damaged"


def verify(root: Path, paths: Iterable[Path] = ()) -> Report:
    """Verify all below `root`, or the results of some paths."""
    report = Report()
    paths = list(paths)
    running = {status.address for status in live.jobs(root / ".running")}
    selected = _selected(root, paths)
    expected: list[tuple[Path, str, Entry]] = []
    for entry in selected:
        if entry.address in running and not (entry.folder / RECORD).exists():
            continue  # it is being made
        report.results += 1
        files = _expected(entry, report)
        if files and _is_alone(entry.folder) and not any(path.exists() for path, _, _ in files):
            report.by_record += 1
        else:
            expected += files
    _compare(expected, report)
    stems = _published_stems(root, paths)
    _published(root, stems, report)
    _pages(root, stems, report)
    if not paths:
        report.failures += [line for path in _json_files(root / ADOPTED) for line in _adopted(root, path)]
        report.failures += [line for path in _json_files(root / JOBS) for line in _job_file(path)]
        report.failures += [line for path in _json_files(root / LOOKS) for line in _look(path)]
        report.failures += [
            f"{path}: left by a process that was killed; rm -f {shlex.quote(str(path))}" for path in left_behind(root)
        ]
    return report


def _is_alone(folder: Path) -> bool:
    """Whether this very record came from a pack without its files."""
    try:
        return (folder / ALONE).read_text() == file_digest(folder / RECORD)
    except (OSError, ValueError):
        return False


def damages(folder: Path) -> list[str]:
    """What is wrong with one result."""
    entry, report = Entry("", "", folder.name[-10:], folder), Report()
    _compare(_expected(entry, report), report)
    return report.failures


def _selected(root: Path, paths: list[Path]) -> list[Entry]:
    """The results of some paths; of a folder above results, all below it."""
    if not paths:
        return entries(root)
    selected: dict[Path, Entry] = {}
    for path in paths:
        entry = holding(root, path)
        below = [entry] if entry else [each for each in entries(root) if _is_below(each.folder, path)]
        if not below and not _published_stems(root, [path]):
            raise UserError(f"{path}: no result lies there; name a result's file or folder, or a published figure")
        selected |= {each.folder: each for each in below}
    return list(selected.values())


def _is_below(path: Path, folder: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100, which keeps links


def _expected(entry: Entry, report: Report) -> list[tuple[Path, str, Entry]]:
    """Each file that a result's record names with its digest; told at once: what its names and record show."""
    record = _whole_record(entry, report)
    if record is None:
        return []
    report.files += 1
    for child in sorted(os.listdir(entry.folder)):  # noqa: PTH208
        path = entry.folder / child
        if child not in record["files"] and child != RECORD and not _KEPT.fullmatch(child) and not _is_tmp(child):
            report.failures.append(f"{path}: unknown, no record names it; rm -rf {shlex.quote(str(path))}")
    expected = dict(record["files"])
    if "trace" in record.get("notes", {}) and (entry.folder / TRACE).exists():
        expected[TRACE] = record["notes"]["trace"]
    return [(entry.folder / name, value, entry) for name, value in expected.items()]


def _whole_record(entry: Entry, report: Report) -> Record | None:
    path, again = entry.folder / RECORD, mend(entry.folder)
    if not path.exists():
        if all(_KEPT.fullmatch(name) or _is_tmp(name) for name in os.listdir(entry.folder)):  # noqa: PTH208
            return None  # begun, with nothing made yet
        how = f"go on: snakemake, or remove it: rm -rf {shlex.quote(str(entry.folder))}"
        report.failures.append(f"{entry.folder}: unfinished, it has no {RECORD}; {how}")
        return None
    try:
        record = read_record(entry.folder)
        written = json.dumps(record, indent=1, sort_keys=True) + "\n"  # a flipped blank parses to the same record
        if path.read_bytes() != written.encode():
            raise UserError("")
    except (UserError, OSError):
        report.failures.append(f"{path}: damaged, it is not what was written; {again}")
        return None
    if entry.stage and (record["stage"], record["title"]) != (entry.stage, entry.title):
        report.failures.append(f"{path}: is the record of {record['stage']} {record['title']}; {again}")
        return None
    return record


def _compare(expected: list[tuple[Path, str, Entry]], report: Report) -> None:
    """Compare files with their digests, in threads: hashing holds no lock of Python's."""
    progress = _Progress([_size(path) for path, _, _ in expected])
    failures: dict[Path, str] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        jobs = {pool.submit(_hash, path): (path, value, entry) for path, value, entry in expected}
        try:
            for job in as_completed(jobs):
                path, value, entry = jobs[job]
                report.files += 1
                if problem := _problem(job, value):
                    how = f"remove it: rm -f {shlex.quote(str(path))}" if path.name == TRACE else mend(entry.folder)
                    failures[path] = f"{path}: {problem}; {how}"
                progress.add(_size(path))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    progress.end()
    report.failures += [failures[path] for path, _, _ in expected if path in failures]


def _hash(path: Path) -> str:
    return file_digest(path)


def _problem(job: "Future[str]", expected: str) -> str:
    try:
        return "" if job.result() == expected else "damaged, its bytes are not those that were written"
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Progress:
    """How far the hashing is, where it takes longer than 2 s."""

    def __init__(self, sizes: list[int]) -> None:
        self.files, self.bytes = len(sizes), sum(sizes)
        self.done_files = self.done_bytes = 0
        self.started = time.monotonic()
        self.printed = self.started + _QUIET_SECONDS - _LINE_SECONDS
        self.in_place = on_terminal(sys.stderr)
        self.has_said = False

    def add(self, size: int) -> None:
        """A file is done."""
        self.done_files, self.done_bytes = self.done_files + 1, self.done_bytes + size
        now = time.monotonic()
        wait = 0.5 if self.in_place and self.has_said else _LINE_SECONDS
        if now - self.printed >= wait:
            self.printed, self.has_said = now, True
            text = self.text(now)
            sys.stderr.write(f"\r\x1b[K{text}\r" if self.in_place else f"{text}\n")
            sys.stderr.flush()

    def text(self, now: float) -> str:
        """The line."""
        left = self.files - self.done_files
        seconds = (self.bytes - self.done_bytes) / max(1, self.done_bytes) * (now - self.started)
        sizes = f"{bytes_of(self.done_bytes)} of {bytes_of(self.bytes)}"
        running = f"{min(left, _THREADS)} running, ETA {duration(seconds)}"
        return f"{self.done_files:,} of {self.files:,} files done ({sizes}), {running}"

    def end(self) -> None:
        """Clear the line."""
        if self.has_said and self.in_place:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _published_stems(root: Path, paths: list[Path]) -> dict[tuple[str, str, str], list[Path]]:
    """The published files of each (scale, study, figure), all or those that some paths select; "" for a stray's."""
    stems: dict[tuple[str, str, str], list[Path]] = {}
    for path in sorted((root / PUBLISHED).rglob("*")):
        is_selected = not paths or any(_is_below(path, each) or _is_sibling(path, each) for each in paths)
        if path.is_file() and not _is_tmp(path.name) and is_selected:
            parts = path.relative_to(root / PUBLISHED).parts
            is_figure = len(parts) == 3 and f"figure{path.suffix}" in FILES["figure"]
            if len(parts) == 3 and path.name == PAGE:
                continue  # of its own kind: see _pages
            key = (parts[0], parts[1], path.stem) if is_figure else ("", "", str(path))
            stems.setdefault(key, []).append(path)
    return stems


def _is_sibling(path: Path, other: Path) -> bool:
    """Whether both are files of one published figure."""
    return _is_below(path, other.parent) and (path.parent.name, path.stem) == (other.parent.name, other.stem)


def _published(root: Path, stems: dict[tuple[str, str, str], list[Path]], report: Report) -> None:
    """Each published figure must equal one result of it in all its files."""
    for (scale, study, figure), files in stems.items():
        report.files += len(files)
        if not scale:
            report.failures.append(
                f"{files[0]}: unknown, no figure is published so; rm -f {shlex.quote(str(files[0]))}"
            )
            continue
        digests = {f"figure{path.suffix}": file_digest(path) for path in files}
        drawn = _digests_drawn(root, scale, study, figure)
        nearest = max(drawn, key=lambda each: len(each.items() & digests.items()), default={})
        for name in FILES["figure"]:
            path = root / PUBLISHED / scale / study / (figure + name.removeprefix("figure"))
            if name not in digests:
                report.failures.append(f"{path}: is gone, others of this figure are there; {_publish(scale, study)}")
            elif digests[name] != nearest.get(name):
                is_other = any(digests[name] == each.get(name) for each in drawn)
                what = "is of another result than the rest of it" if is_other else "equals no result"
                report.failures.append(f"{path}: {what}; {_publish(scale, study, None if drawn else path)}")


def _pages(root: Path, stems: dict[tuple[str, str, str], list[Path]], report: Report) -> None:
    """The page of each study that has figures is there and what was written."""
    for scale, study in sorted({key[:2] for key in stems if key[0]}):
        path = root / PUBLISHED / scale / study / PAGE
        if not path.exists():
            report.failures.append(f"{path}: is gone; {_publish(scale, study)}")
            continue
        report.files += 1
        if not is_whole(path.read_bytes()):
            report.failures.append(f"{path}: damaged, it is not what was written; {_publish(scale, study)}")


def _digests_drawn(root: Path, scale: str, study: str, figure: str) -> list[dict[str, str]]:
    """The digests of each result of a figure."""
    drawn = []
    for folder in sorted((root / ROOMS["figure"] / scale / study).glob(f"{_escaped(figure)}-*")):
        if len(folder.name) == len(figure) + 11:
            try:
                drawn.append(read_record(folder)["files"])
            except UserError:
                continue
    return drawn


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _publish(scale: str, study: str, stray: Path | None = None) -> str:
    """The words for having a figure published anew; one of which no result is left may be removed too."""
    words = f"publish it anew: snakemake {study} --config scale={scale}"
    return words if stray is None else f"{words}; or remove it: rm -f {shlex.quote(str(stray))}"


def _json_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if not _is_tmp(path.name))


def _adopted(root: Path, path: Path) -> Iterator[str]:
    """What is wrong with an adopted record."""
    undo = f"rm -f {shlex.quote(str(path))}"
    try:
        record = read_adopted_file(path)
        written = json.dumps(record, indent=1, sort_keys=True) + "\n"
        if path.suffix != ".json" or path.read_bytes() != written.encode():
            raise UserError("")
    except (UserError, OSError):
        yield f"{path}: damaged, it is not what was written; delete it and adopt again: {undo}"
        return
    folder = root / ROOMS[record["stage"]] / f"{record['title']}-{record['stands']}"
    if not all((folder / name).exists() for name in (*FILES[record["stage"]], RECORD)):
        yield f"{path}: stands for nothing, {folder} is gone or not whole; {undo}"


def _job_file(path: Path) -> Iterator[str]:
    """What is wrong with a file that tells a process its job."""
    try:
        content = path.read_bytes()
        described: dict[str, Any] = json.loads(content)
        is_own = is_sealed(described) and content == canonical(described).encode()
        is_own = is_own and path.name == f"{described['address']}.json"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        is_own = False
    if not is_own:
        yield f"{path}: damaged, it is not what planning wrote; rm -f {shlex.quote(str(path))} && snakemake"


def _look(path: Path) -> Iterator[str]:
    """What is wrong with the record of a look."""
    try:
        read_look(path)
    except UserError as error:
        yield str(error)


def left_behind(root: Path) -> Iterator[Path]:
    """Temporary files of killed processes: of this host's dead ones, of another's those older than a day."""
    for path in sorted(root.rglob(".*.tmp")):
        *_, host, pid, _ = ["", "", *path.name.split(".")]
        if path.is_dir():
            continue
        if host == HOST and pid.isdigit():
            if not is_running(int(pid)):
                yield path
        elif time.time() - path.lstat().st_mtime > 24 * 3600:
            yield path


def _is_tmp(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")
