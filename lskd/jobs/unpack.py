"""A pack's results put beside those that are there: unpacked apart, verified to the last byte, then moved. No torch."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lskd.errors import UserError
from lskd.figures.study_page import PAGE, is_whole
from lskd.io.atomic import HOST, atomic, is_running, write_text
from lskd.io.hold import held
from lskd.io.seal import RECORD, Record, checked, file_digest, read_record
from lskd.io.seal import opened as sealed_in
from lskd.jobs import archive
from lskd.jobs.archive import CRATE, LARGEST_TEXT, Archive
from lskd.jobs.execute import alone
from lskd.jobs.file_progress import FileProgress
from lskd.jobs.listing import PUBLISHED, STAGE_OF
from lskd.jobs.looks import read_look
from lskd.jobs.results import read_adopted_file
from lskd.jobs.verify import ALONE
from lskd.study import yaml_file

_ASIDE = ".unpack."
_Text = Annotated[str, Field(max_length=100_000)]
_Address = Annotated[str, Field(pattern="^[0-9a-f]{10}$")]
_Title = Annotated[str, Field(pattern=f"^{archive.TITLE}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True)


class _Above(_Shape):
    folder: Annotated[str, Field(pattern=f"^{archive.BELOW}$")]
    address: _Address
    seal: dict[str, str]


class _RecordShape(_Shape):
    """The record of a result: what `lineage` and planning read of it."""

    stage: str
    title: _Title
    address: _Address
    plain: str
    spec: dict[str, Any]
    functions: dict[str, _Text]
    definitions: dict[str, str]
    inputs: dict[str, _Above]
    files: dict[Annotated[str, Field(pattern=f"^{archive.PART}$")], str]
    made_on: dict[str, list[str]]
    upstream: dict[str, list[str]]
    seeds: list[int]
    versions: dict[str, str]
    commit: _Text
    seconds: float | int
    made: _Text
    notes: dict[str, Any]


class _LookShape(_Shape):
    seeds: int
    students: int
    planned: list[int]
    runs: list[str]


class _AdoptedShape(_Shape):
    address: _Address
    stands: _Address
    stage: str
    title: _Title
    code: dict[str, dict[str, str]]
    differences: list[str]
    adopted: _Text
    by: _Text
    commit: _Text


class _RegisteredShape(_Shape):
    class Figure(_Shape):
        seeds: list[int]
        looks: list[int]
        code: dict[str, str]

    date: _Text
    figures: dict[str, Figure]


def unpack(path: Path, folder: Path) -> list[str]:
    """Unpack a pack into a checkout, or any folder; what to say of it.

    A result that is there already, and whole, stays as it is. Raises UserError, with nothing put in place, where the
    pack is damaged or hostile, or where another file stands in the place of a published one, say.
    """
    with archive.opened(path) as pack:
        names = list(pack.contents.files)
        others = _others(pack, folder)
        with _aside(folder) as aside:
            archive.check_space(path, pack.contents, aside)
            _extract(pack, aside)
            results = _results(names)
            with _as_of(path, aside):
                _check(aside, names, results)
            kept = sum(not _place_result(aside, folder, below, files) for below, files in results.items())
            for name in names:
                if not archive.IN_RESULT.fullmatch(name) and name not in others:
                    _move(aside / name, folder / name)
    return _lines(pack, folder, len(results), kept, others)


def _others(pack: Archive, folder: Path) -> list[str]:
    """The files in whose place another stands that stays; UserError where none may stay."""
    others = []
    for name in pack.contents.files:
        target = folder / name
        if archive.IN_RESULT.fullmatch(name) or not os.path.lexists(target):
            continue
        if not target.is_file():
            raise UserError(f"{target}: is no file, the pack has one of that name; nothing was unpacked, move it aside")
        if archive.sha256(target) == pack.contents.files[name].sha256:
            continue
        if name != CRATE:
            raise UserError(
                f"{target}: another file stands there; nothing was unpacked: move it aside (mv {target} {target}.old),"
                " or unpack into another DIR"
            )
        others.append(name)
    return others


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder on the disk of the results, held against who removes results, that is gone at the end."""
    root = folder / "results"
    new = [each for each in (root, *root.parents) if not each.exists()]
    aside = None
    try:
        with held(root) as is_held:
            if not is_held:
                raise UserError(f"{root}: unused results are just being removed (lskd gc); wait for its end")
            _sweep(root)
            aside = Path(tempfile.mkdtemp(dir=root, prefix=_ASIDE, suffix=f".{HOST}.{os.getpid()}.tmp"))
            yield aside
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror or error}); free or unlock that folder"
        ) from None
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        for each in new:
            with suppress(OSError):
                each.rmdir()  # of a pack that was refused; one with something in it stays


def _sweep(root: Path) -> None:
    """Remove what a killed process of this host had unpacked."""
    for path in root.glob(f"{_ASIDE}*.tmp"):
        *_, host, pid, _ = path.name.split(".")
        if host == HOST and pid.isdigit() and not is_running(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _extract(pack: Archive, aside: Path) -> None:
    files = pack.contents.files
    with FileProgress("unpacked", [item.bytes for item in files.values()]) as progress:
        for name, item in files.items():
            pack.extract(name, aside / name)
            progress.add(item.bytes)


def _results(names: list[str]) -> dict[str, set[str]]:
    """The names of the files of each result, by its folder."""
    results: dict[str, set[str]] = {}
    for name in names:
        if archive.IN_RESULT.fullmatch(name):
            folder, _, file = name.rpartition("/")
            results.setdefault(folder, set()).add(file)
    return results


@contextmanager
def _as_of(path: Path, aside: Path) -> Iterator[None]:
    """Have an error name the pack and what lies in it."""
    try:
        yield
    except UserError as error:
        text = str(error).replace(f"{aside}/", "").partition("; ")[0]
    except ValidationError as error:
        first = error.errors()[0]
        text = f"a record is not as lskd writes it ({'.'.join(map(str, first['loc']))[:100]}: {first['msg'][:100]})"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        text = f"something is not as lskd writes it ({' '.join(str(error).split())[:100]})"
    else:
        return
    raise UserError(f"{path}: in it, {text}; nothing was unpacked")


def _check(aside: Path, names: list[str], results: dict[str, set[str]]) -> None:
    """UserError for what is not as lskd writes it: a result in part, a record of another, a look that was changed."""
    for folder, files in results.items():
        _check_result(aside / folder, folder.removeprefix("results/"), files)
    for name in names:
        path = aside / name
        if archive.IN_RESULT.fullmatch(name):
            continue
        if archive.PUBLISHED.fullmatch(name):
            _check_published(aside, name, results)
        elif archive.LOOK.fullmatch(name):
            _LookShape.model_validate(read_look(_short(path)))
        elif archive.ADOPTED.fullmatch(name):
            _AdoptedShape.model_validate(read_adopted_file(_short(path)))
        elif archive.REGISTRATION.fullmatch(name):
            registration = sealed_in(_short(path).read_bytes())
            if registration is None:
                raise UserError(f"{path}: edited or damaged, it is not what was registered")
            _RegisteredShape.model_validate(registration)
        elif archive.STUDY.fullmatch(name):
            yaml_file.read(path)


def _check_result(folder: Path, below: str, files: set[str]) -> None:
    """A result is there whole, or by its record alone."""
    if RECORD not in files:
        raise UserError(f"{folder}: has no {RECORD}")
    record = archive.exact_record(_short(folder / RECORD).parent)
    shape = _RecordShape.model_validate(record)
    room, _, rest = below.partition("/")
    if (STAGE_OF.get(room), rest) != (shape.stage, f"{shape.title}-{shape.address}"):
        raise UserError(f"{folder}: its record is of {shape.stage} {shape.title}")
    if files not in ({RECORD}, {*record["files"], RECORD}):
        raise UserError(f"{folder}: holds a part of a result")
    for name in files - {RECORD}:
        checked(folder / name, folder)


def _check_published(aside: Path, name: str, results: dict[str, set[str]]) -> None:
    """A published file is one of the figures' in the pack, a page what was written."""
    path = aside / name
    if path.name == PAGE:
        if not is_whole(_short(path).read_bytes()):
            raise UserError(f"{path}: damaged, it is not what was written")
        return
    scale, study = path.relative_to(aside / "results" / PUBLISHED).parts[:2]
    drawn = [folder for folder in results if folder.startswith(f"results/drawn/{scale}/{study}/{path.stem}-")]
    records = [read_record(aside / folder) for folder in drawn]
    if file_digest(path) not in [record["files"].get(f"figure{path.suffix}") for record in records]:
        raise UserError(f"{path}: equals no figure in it")


def _short(path: Path) -> Path:
    """A file that is read whole."""
    if path.stat().st_size > LARGEST_TEXT:
        raise UserError(f"{path}: longer than {LARGEST_TEXT:,} bytes")
    return path


def _place_result(aside: Path, folder: Path, below: str, files: set[str]) -> bool:
    """Move a result into its place, its record last; False where what is there stays."""
    target = folder / below
    target.mkdir(parents=True, exist_ok=True)
    with alone(target):
        if files == {RECORD} and any(target.iterdir()) or _is_whole(target, files):
            return False
        (target / RECORD).unlink(missing_ok=True)  # a new set begins, as where a job makes it
        for name in sorted(files, key=lambda name: name == RECORD):
            _move(aside / below / name, target / name)
        if files == {RECORD}:
            write_text(target / ALONE, file_digest(target / RECORD))
    return True


def _is_whole(folder: Path, files: set[str]) -> bool:
    """Whether a result with at least these files is there, each as its record says."""
    try:
        record: Record = read_record(folder)
        for name in record["files"]:
            checked(folder / name, folder)
    except UserError:
        return False
    return files <= {*record["files"], RECORD}


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # a room may be a link to another disk
            raise
        with atomic(target) as tmp:
            shutil.copyfile(source, tmp)


def _lines(pack: Archive, folder: Path, results: int, kept: int, others: list[str]) -> list[str]:
    """What was unpacked, and how it is drawn."""
    contents = pack.contents
    were_there = f", {kept} of them were there" if kept else ""
    lines = [f"{pack.path}: {len(contents.files)} files of {results} results in {folder}{were_there}"]
    lines += [f"note: {folder / name} is of another pack and stays; for a crate, unpack elsewhere" for name in others]
    trust = " --config trust=code" if contents.trust else ""
    commits = ", ".join(commit[:12] for commit in contents.commits)
    lines.append(f"draw it, there, in a checkout of commit {commits}: snakemake --configfile {contents.config}{trust}")
    if not trust:
        lines.append("in a later checkout: the same with --config trust=code")
    return lines
