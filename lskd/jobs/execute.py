"""What a job's process does (`lskd.jobs.run` starts it): make the result of a folder, and seal it.

The log's folder is the job's. What to make stands in `results/.jobs/ADDRESS.json`, as planning wrote it.
"""

import argparse
import fcntl
import importlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from lskd.errors import UserError, is_of_memory
from lskd.fingerprint import definitions as fingerprint
from lskd.io.atomic import sweep
from lskd.io.layout import JOBS, PROCESS
from lskd.io.seal import RECORD, holds, opened, read_record, seal
from lskd.jobs.environment import gathered
from lskd.jobs.progress import running
from lskd.jobs.provenance import Clock, record
from lskd.jobs.work import Work
from lskd.study.runtime import runtime

MORE_MEMORY = (
    "lower its recipe's batch_size or data.image_size, or run fewer jobs at a time (snakemake --cores 1, runtime.fuse)"
)
TAUGHT_BY = (
    "loss",
    "end_epoch",
    "transform",
    "fit",
    "soften",
)  # the roles of what trainings that advance as one may differ in
_OWN = re.compile(r"lskd(\.\w+)+:\w+$")
Described = dict[str, Any]  # a job as `Job.described` tells it
Made = Callable[[], None]  # seals a result


def main(arguments: list[str] | None = None) -> None:
    """Make what lies beside a log, unless it is there; exit status 1 and one line for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m lskd.jobs.execute")
    parser.add_argument("log", type=Path)  # where all that the job says goes; errors are said on stderr too
    log = parser.parse_args(arguments).log
    with _logged(log):
        sys.exit(_guarded(log.parent))


def _guarded(folder: Path) -> int:
    """Execute the job of a folder; 0, or 1 after one line that says why not."""
    name = str(folder)
    try:
        results = results_of(folder)
        path = results / JOBS / f"{folder.name[-10:]}.json"
        if not path.exists() and is_whole(folder, ()):  # another process made it, and took its job file away
            return 0
        described = read_job(path)
        name = described["title"]
        execute(described, results)
        path.unlink(missing_ok=True)
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"error: {name}: interrupted (Ctrl-C); run again to go on", file=sys.stderr)
        return 128 + signal.SIGINT
    except MemoryError:
        print(f"error: {name}: out of memory; {MORE_MEMORY}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename or name}: {error.strerror or error}", file=sys.stderr)
    except Exception as error:
        what = " ".join(str(error).split())
        if is_of_memory(error):
            print(f"error: {name}: out of memory ({what[:80]}); {MORE_MEMORY}", file=sys.stderr)
            return 1
        traceback.print_exc()
        print(f"error: {name}: {type(error).__name__}: {what}; a mistake of lskd: please report it", file=sys.stderr)
    return 1


def results_of(folder: Path) -> Path:
    """The folder of results that a job's folder lies in: the nearest with job files."""
    for above in folder.parents:
        if (above / JOBS).is_dir():
            return above
    raise UserError(f"{folder}: no {JOBS} above it, so nothing is planned; run snakemake again")


def read_job(path: Path) -> Described:
    """The job in a file. UserError where there is none, which a new plan mends."""
    try:
        described = opened(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: no job to read ({error}); run snakemake again") from None
    if described is None or not _is_job(described):
        raise UserError(f"{path}: no job to read (it is not what was written); run snakemake again")
    return described


def _is_job(described: Described) -> bool:
    """Whether a sealed file has what is executed, of lskd's own functions, in a folder of results."""
    texts = dict.fromkeys(("stage", "title", "address", "plain", "folder", "place"), str)
    others = {"spec": dict, "functions": dict, "definitions": dict, "inputs": dict, "files": list}
    if not holds(described, **texts, **others):
        return False
    folders = [described["folder"], *described["inputs"].values()]
    entries = [described["functions"].get("run"), *described["functions"].values()]
    return all(map(_is_below, folders)) and all(isinstance(entry, str) and _OWN.match(entry) for entry in entries)


def _is_below(folder: Any) -> bool:
    """Whether a folder is told as one below a room of the results; any name is a room's here, as all of `main`'s code
    is part of every address, and a new room shall leave old results alone.
    """
    if not isinstance(folder, str) or "\0" in folder:
        return False
    room, *below = folder.split("/")
    return re.fullmatch("[a-z_]+", room) is not None and len(below) > 0 and not {"", ".", ".."} & set(below)


def execute(described: Described, results: Path) -> None:
    """Make a job's result and seal it; where another process makes it, wait, and find it made."""
    folder = results / described["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder) as is_alone, ExitStack() as stack:
        if is_whole(folder, described["files"]):
            print(f"{described['title']}: is there", file=sys.stderr)
            return
        check_code(described)
        work, made = _begun(described, results, is_alone)
        with running(work.title, work.address):
            if "fused" in work.functions and work.runtime.fuse > 1 and is_alone:
                work.functions["fused"](work, partial(_along, described, results, stack))
            else:
                work.functions["run"](work)
        made()


def _begun(described: Described, results: Path, is_alone: bool) -> tuple[Work, Made]:
    """A job to do, in its cleared folder, and what seals its result."""
    folder = results / described["folder"]
    sweep(folder, alone=is_alone)
    (folder / RECORD).unlink(missing_ok=True)  # a new set begins; a folder with a record is whole
    inputs = {role: results / above for role, above in described["inputs"].items()}
    work = Work(
        title=described["title"],
        address=described["address"],
        spec=described["spec"],
        folder=folder,
        inputs=inputs,
        functions={role: resolve(entry) for role, entry in described["functions"].items()},
        runtime=runtime(),
        place=Path(described["place"]),
    )
    clock = Clock()

    def made() -> None:
        made_on = gathered(work, map(read_record, inputs.values()))
        seal(folder, described["files"], record(described, work, clock, made_on))
        _job_file(described, results).unlink(missing_ok=True)

    return work, made


def _job_file(described: Described, results: Path) -> Path:
    return results / JOBS / f"{described['address']}.json"


def _along(described: Described, results: Path, stack: ExitStack, joins: Callable[[Work], bool]) -> list[Made]:
    """Have the jobs of this plan that wait and may advance as one with a training join it; what seals each.

    Those that join are held until the stack ends.
    """
    made: list[Made] = []
    planned = _planned(_job_file(described, results))
    for path in sorted((results / JOBS).glob("*.json")):
        if len(made) + 1 == runtime().fuse:
            break
        with suppress(Exception), ExitStack() as own:  # what is wrong with it its own job tells
            if _planned(path) != planned or not _is_alike(path.read_bytes(), described):
                continue
            other = read_job(path)
            folder = results / other["folder"]
            if other["address"] == described["address"] or _shared(other) != _shared(described):
                continue
            if all(is_whole(results / above, ()) for above in other["inputs"].values()):
                folder.mkdir(parents=True, exist_ok=True)
                if own.enter_context(alone(folder, wait=False)) and not is_whole(folder, other["files"]):
                    check_code(other)
                    work, seal_it = _begun(other, results, is_alone=True)
                    if joins(work):
                        made.append(seal_it)
                        stack.push(own.pop_all())
    return made


def _planned(path: Path) -> int:
    """When a job was last planned: the same of all jobs of a plan. -1 of one whose file is gone."""
    return path.stat().st_mtime_ns if path.exists() else -1


def _is_alike(content: bytes, described: Described) -> bool:
    """Whether a job file names the network and the training of a job; most do not, and need not be parsed."""
    return all(described["functions"][role].encode() in content for role in ("model", "member"))


def _shared(described: Described) -> list[Any]:
    """What is the same of trainings that may advance as one: all but how they are taught, by whom, and the seed."""
    own = ("supervision", "transform", "seed", "pixels")
    spec = {name: value for name, value in described["spec"].items() if name not in own}
    functions = {role: entry for role, entry in described["functions"].items() if role not in TAUGHT_BY}
    inputs = {role: above for role, above in described["inputs"].items() if not role.startswith("teacher")}
    return [described["stage"], spec, described["spec"].get("supervision", {}).get("draws"), functions, inputs]


def is_whole(folder: Path, files: Iterable[str]) -> bool:
    """Whether a folder holds a whole result with at least these files; one with a damaged record counts as none."""
    try:
        names = read_record(folder)["files"]
    except UserError:
        return False
    return names.keys() >= set(files) and all((folder / name).exists() for name in names)


def check_code(described: Described) -> None:
    """UserError where the code is no longer that of the plan: on a cluster files get edited while jobs wait."""
    planned, now = described["definitions"], fingerprint.definitions([PROCESS, *described["functions"].values()])
    if now != planned:
        changed = sorted(name for name in planned.keys() | now.keys() if planned.get(name) != now.get(name))
        raise UserError(f"{described['title']}: the code changed since this job was planned ({changed[0]}); run again")


def resolve(entry: str) -> Callable[..., Any]:
    """The function behind "module:function"."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


@contextmanager
def alone(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a folder against other processes that make it; False where the file system knows no such lock, or, without
    waiting, where one of them has it.

    The kernel frees the lock when its holder dies, however it dies.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # some network file systems; then a job may be made twice, with the same bytes
            yield False
        else:
            yield True
    finally:
        os.close(handle)


class _Tee:
    """stderr as a file, with errors and warnings said on the terminal too."""

    def __init__(self, file: Any, terminal: Any) -> None:
        self.file, self.terminal = file, terminal
        self.encoding, self.errors = "utf-8", "backslashreplace"

    def write(self, text: str) -> int:
        if text.startswith(("error:", "warning:")):
            self.terminal.write(text.rstrip("\n") + "\n")
            self.terminal.flush()
        with suppress(OSError):  # a full disk, of which the line above may tell
            self.file.write(text.encode(self.encoding, self.errors))
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        return False


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what the process says to a file; a job that goes on appends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)
    except OSError as error:
        sys.exit(f"error: {path}: cannot be written ({error.strerror}); free or unlock that folder")
    before = sys.stderr
    with file:
        sys.stderr = _Tee(file, before)
        try:
            yield
        finally:
            sys.stderr = before


def known(folder: Path) -> Described | None:
    """The job of a folder, where it is told and not made yet."""
    try:
        return read_job(results_of(folder) / JOBS / f"{folder.name[-10:]}.json")
    except UserError:
        return None


def keep_usage(folder: Path, described: Described, megabytes: float, seconds: float) -> None:
    """Keep what a job took, for what jobs like it ask a cluster for."""
    from lskd.jobs.demand import write_usage  # here, as at the head every result would depend on it

    with suppress(UserError):
        write_usage(results_of(folder), described, megabytes, seconds)


def end_with(log: str) -> NoReturn:
    """Do the job of a log, and end this process, a fork, with its status."""
    try:
        main([log])
    except SystemExit as end:
        end_as(end)
    except KeyboardInterrupt:  # before the job itself minds it; who waits for this process tells it
        end_interrupted()
    os._exit(0)  # `main` exits itself, with a number


def end_as(end: SystemExit) -> NoReturn:
    """End this process as a job's `sys.exit` says."""
    if isinstance(end.code, str):  # what sys.exit would say
        print(end.code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(end.code if isinstance(end.code, int) else 1)


def end_interrupted() -> NoReturn:
    """End this process as one that minds no Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    os._exit(128 + signal.SIGINT)
