"""A pack of results as a file: what may lie in it and where, and its reading, which trusts none of it. No torch.

A pack is a ZIP: people look into it and deposits show it without unpacking, it is an RO-Crate as it is, and its table
of names and sizes can be judged before a byte is unpacked. `lskd-pack.json` in it lists every other file with its size
and sha256, and carries its own digest. The ZIP's comment ends in the xxh3-128 of all before, so that no byte is without
one.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lskd.errors import UserError, mend
from lskd.io.layout import FILES, ROOMS
from lskd.io.seal import RECORD, Record, read_record
from lskd.io.seal import opened as sealed_in

LIST = "lskd-pack.json"
CRATE = "ro-crate-metadata.json"
STUDIES, REGISTRATIONS = "studies", "registrations"  # beside results/
FORMAT = 1
CHUNK = 1 << 20
LARGEST_TEXT = 1 << 26  # bytes of a file that is read whole
MOST_FILES, LONGEST_NAME = 200_000, 1_000
MOST_TIMES, ALWAYS = 100, 1 << 27  # unpacked, a pack may take so many times its own bytes, and always so many
TEXTS = (".json", ".svg", ".csv", ".html", ".md", ".tex", ".yaml")  # these are deflated; the others hardly shrink

PART = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"  # of a path: never `..`, nor a hidden file
_SCALE = "(?:demo|small|paper)"
_ENDINGS = "|".join(re.escape(name.removeprefix("figure.")) for name in FILES["figure"])
TITLE = rf"{PART}(?:/{PART})*"
BELOW = rf"(?:{'|'.join(ROOMS.values())})/{TITLE}-[0-9a-f]{{10}}"
IN_RESULT = re.compile(
    "|".join(
        rf"results/{room}/{TITLE}-[0-9a-f]{{10}}/(?:{'|'.join(map(re.escape, (*FILES[stage], RECORD)))})"
        for stage, room in ROOMS.items()
    )
)
PUBLISHED = re.compile(rf"results/figures/({_SCALE})/({PART})/(?:({PART})\.({_ENDINGS})|index\.html)")
LOOK = re.compile(r"results/looks/[0-9a-f]{10}\.json")
ADOPTED = re.compile(r"results/adopted/[0-9a-f]{10}\.json")
REGISTRATION = re.compile(rf"{REGISTRATIONS}/{_SCALE}/{PART}\.json")
STUDY = re.compile(rf"{STUDIES}/{_SCALE}/{PART}\.yaml")
ALLOWED = (IN_RESULT, PUBLISHED, LOOK, ADOPTED, REGISTRATION, STUDY, re.compile(re.escape(CRATE)))

COMMENT = b"a pack of lskd, xxh3-128 of all before: "
DIGITS = 32
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError, OSError)


class Item(BaseModel):
    """A file of a pack: how long it is, and its digest."""

    model_config = ConfigDict(extra="forbid", strict=True)

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Contents(BaseModel):
    """What a pack says of itself. `whole`: the stages whose results are in it whole, not by their record alone;
    `trust`: some of its results stand by adoption or by trust=code.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    study: Annotated[str, Field(pattern=rf"^{PART}$")]
    scale: Literal["demo", "small", "paper"]
    whole: list[str]
    trust: bool
    commits: list[Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40}\+?|unknown)$")]]
    files: dict[str, Item]
    seal: str

    @property
    def config(self) -> str:
        """The file that declares the study."""
        return f"{STUDIES}/{self.scale}/{self.study}.yaml"


class Archive:
    """An open pack whose list and table were compared; what is taken out is verified."""

    def __init__(self, path: Path, file: zipfile.ZipFile, contents: Contents) -> None:
        self.path, self.contents, self._file = path, contents, file

    def extract(self, name: str, target: Path) -> None:
        """Write one file of the pack. UserError where its bytes are not those that were packed."""
        target.parent.mkdir(parents=True, exist_ok=True)
        item, digest, size = self.contents.files[name], hashlib.sha256(), 0
        with target.open("xb") as out:
            for chunk in self._chunks(name):
                size += len(chunk)
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())  # what is moved to its place is then whole after a power cut too
        if size != item.bytes or digest.hexdigest() != item.sha256:
            raise UserError(f"{self.path}: {name} in it is damaged; {_AGAIN}")

    def _chunks(self, name: str) -> Iterator[bytes]:
        """A file's bytes, never more than its entry declares."""
        with _in_a_line(self.path, f"{name} in it cannot be read"), self._file.open(name) as source:
            while chunk := source.read(CHUNK):
                yield chunk


_AGAIN = "fetch the pack again"


def seal(path: Path) -> None:
    """Put the digest of a pack that is written, with COMMENT and as many zeros at its end, in the zeros' place."""
    with path.open("r+b") as file:
        digest = _digest(file, path)
        file.seek(-DIGITS, os.SEEK_END)
        file.write(digest)


def _digest(file: BinaryIO, path: Path) -> bytes:
    """The digest of all but a file's last 32 bytes."""
    digest, left = xxhash.xxh3_128(), path.stat().st_size - DIGITS
    while left > 0 and (chunk := file.read(min(CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest().encode()


def _check_seal(path: Path) -> None:
    """UserError where a file is no pack, or not to the last byte what was written."""
    with path.open("rb") as file:
        digest = _digest(file, path)
        size = path.stat().st_size
        file.seek(max(0, size - DIGITS - len(COMMENT)))
        end = file.read()
    if end[: len(COMMENT)] != COMMENT or len(end) != len(COMMENT) + DIGITS:
        raise UserError(f"{path}: no pack of results, or a part of one; name one that `lskd pack` wrote, or {_AGAIN}")
    if end[len(COMMENT) :] != digest:
        raise UserError(f"{path}: damaged, its bytes are not those that were written; {_AGAIN}")


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """A pack, for reading. UserError in a line for a file that is none, is damaged, or would write elsewhere."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a pack that `lskd pack` wrote")
    with _in_a_line(path, "cannot be read"):
        _check_seal(path)
        file = zipfile.ZipFile(path)
    with file:
        infos = file.infolist()
        if len(infos) > MOST_FILES:
            raise UserError(f"{path}: {len(infos):,} files in it, at most {MOST_FILES:,} are of a pack; {_AGAIN}")
        _check_names(path, infos)
        contents = _contents(path, file)
        _check_sizes(path, infos, contents)
        yield Archive(path, file, contents)


@contextmanager
def _in_a_line(path: Path, what: str) -> Iterator[None]:
    """Whatever a hostile file makes zipfile and json raise, as one line."""
    try:
        yield
    except UserError:
        raise
    except _BROKEN as error:
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(f"{path}: {what} ({why}); {_AGAIN}") from None


def _check_names(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Refuse what no pack holds: names that leave their rooms or come twice, links, devices, secrets."""
    names: set[str] = set()
    for info in infos:
        if problem := _problem(info, names):
            name = repr(info.orig_filename)[:100]
            raise UserError(f"{path}: {name} in it {problem}, so `lskd pack` did not write it; nothing was unpacked")
        names.add(info.filename)
    folders = {str(folder) for name in names for folder in Path(name).parents}
    if twice := sorted(folders & names):
        raise UserError(f"{path}: {twice[0]!r} in it is a file and a folder; nothing was unpacked")


def _problem(info: zipfile.ZipInfo, names: set[str]) -> str:
    """What is wrong with a file's entry in the table; "" for nothing."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link, a device or a folder"
    if info.filename != info.orig_filename or not is_allowed(info.filename):
        return "lies outside the places of results"
    if info.filename in names:
        return "comes twice"
    if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted, or compressed in another way"
    return ""


def is_allowed(name: str) -> bool:
    """Whether a pack may hold a file of this name."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        return False
    return name == LIST or any(pattern.fullmatch(name) for pattern in ALLOWED)


def _contents(path: Path, file: zipfile.ZipFile) -> Contents:
    """What the pack lists."""
    with _in_a_line(path, f"its {LIST} cannot be read"):
        if LIST not in file.namelist():
            raise UserError(f"{path}: no {LIST} in it, so it is no pack of results; name one that `lskd pack` wrote")
        if file.getinfo(LIST).file_size > LARGEST_TEXT:
            raise UserError(f"{path}: its {LIST} is too long; {_AGAIN}")
        raw = sealed_in(file.read(LIST))
        if raw is None:
            raise UserError(f"{path}: its {LIST} is damaged; {_AGAIN}")
        if raw.get("format") != FORMAT:
            other = repr(raw.get("format"))[:20]
            raise UserError(f"{path}: a pack of format {other}, this lskd reads {FORMAT}; use the lskd that wrote it")
        try:
            return Contents.model_validate(raw)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))[:100]
            raise UserError(f"{path}: its {LIST} is not what `lskd pack` writes ({where}); {_AGAIN}") from None


def _check_sizes(path: Path, infos: list[zipfile.ZipInfo], contents: Contents) -> None:
    """Refuse a table that is not the list's, and more bytes than the pack can honestly hold."""
    declared = {info.filename: info.file_size for info in infos if info.filename != LIST}
    listed = {name: item.bytes for name, item in contents.files.items()}
    if declared != listed:
        name = sorted(set(declared.items()) ^ set(listed.items()))[0][0]
        raise UserError(f"{path}: {name[:100]!r} in it is not as its {LIST} lists it; {_AGAIN}")
    total, own = sum(listed.values()), path.stat().st_size
    if total > max(ALWAYS, MOST_TIMES * own):
        raise UserError(
            f"{path}: {total:,} bytes out of {own:,}, more than {MOST_TIMES} times as much; a pack does not shrink so"
        )


def sha256(path: Path) -> str:
    """sha256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def exact_record(folder: Path) -> Record:
    """The record in a result's folder. UserError where it is not, to the last blank, what was written."""
    record = read_record(folder)
    if (folder / RECORD).read_bytes() != (json.dumps(record, indent=1, sort_keys=True) + "\n").encode():
        raise UserError(f"{folder / RECORD}: damaged, it is not what was written; {mend(folder)}")
    return record


def check_space(path: Path, contents: Contents, folder: Path) -> None:
    """UserError where the disk under `folder` has no room for what a pack holds."""
    total = sum(item.bytes for item in contents.files.values())
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
        if total > free:
            raise UserError(
                f"{path}: needs {total:,} bytes, {folder} has {free:,} free; free some, or name another DIR"
            )
