"""A job's folder is sealed by its record: what it holds, with the digest of every file, compared at each reading.

`record.json` is written last, so a folder with a record is whole. It carries its own digest.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import xxhash

from lskd.errors import UserError, mend
from lskd.io.atomic import write_json

RECORD = "record.json"
Record = dict[str, Any]


def file_digest(path: Path | str) -> str:
    """xxh3-128 of a file's bytes, as hex."""
    digest = xxhash.xxh3_128()
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def seal(folder: Path, files: Iterable[str], record: Record) -> None:
    """Write the folder's record with the digest of each of its `files`, which must all be there."""
    record = record | {"files": {name: file_digest(folder / name) for name in files}}
    write_json(folder / RECORD, record | {"seal": _own_digest(record)})


def read_record(folder: Path) -> Record:
    """A folder's record. UserError where it is missing, changed, or that of another folder's address."""
    path = folder / RECORD
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {mend(folder)}") from None
    return _parsed(path, content)


def sealed(record: Record) -> Record:
    """A record with its own digest, for one that stands alone."""
    return record | {"seal": _own_digest(record)}


def is_sealed(record: Record) -> bool:
    """Whether a record's own digest is that of the rest of it."""
    return record.get("seal") == _own_digest({key: value for key, value in record.items() if key != "seal"})


def opened(text: bytes | str) -> Record | None:
    """The record in a JSON text, if it is sealed by its own digest; None for anything else, however it is made."""
    try:
        record = json.loads(text)
        return record if isinstance(record, dict) and is_sealed(record) else None
    except (ValueError, RecursionError):  # some thousand brackets left open
        return None


def holds(record: Record, **kinds: type) -> bool:
    """Whether a record has these keys, each with a value of its type: a seal proves no more than that nothing broke."""
    return all(type(record.get(key)) is kind for key, kind in kinds.items())


def checked(path: Path, folder: Path) -> Path:
    """`path`, after its bytes were compared with the record of the job's `folder` that it lies in.

    Raises UserError with the command that makes it anew where it is missing, changed or not of that job.
    """
    expected = read_record(folder)["files"].get(str(path.relative_to(folder)))
    if expected is None:
        raise UserError(f"{path}: is not among the files that {folder / RECORD} names; {mend(folder)}")
    try:
        actual = file_digest(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {mend(path)}") from None
    if actual != expected:
        raise UserError(f"{path}: damaged, its bytes are not those that were written; {mend(path)}")
    return path


@lru_cache(maxsize=1 << 14)
def _parsed(path: Path, content: bytes) -> Record:
    record = opened(content)
    if record is None or not holds(record, address=str, files=dict):
        raise UserError(f"{path}: damaged, it is not what was written; {mend(path)}")
    if not path.parent.name.endswith(f"-{record['address']}"):
        another = record["address"][:20]
        raise UserError(f"{path}: is the record of {another}, which is another job; {mend(path.parent)}")
    return record


def _own_digest(record: Record) -> str:
    return xxhash.xxh3_128(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
