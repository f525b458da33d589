"""Packs of the tiny study, and packs that were tampered with."""

import atexit
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from lskd.io.seal import sealed
from lskd.jobs import archive
from lskd.jobs.pack import pack
from tests.jobs import finished as tiny

STUDY: dict[str, Any] = tiny.study(figures={"curves": tiny.TINY["figures"]["curves"]})  # one figure: a small pack
Entries = list[tuple[zipfile.ZipInfo, bytes]]


@cache
def packed(*more: str) -> Path:
    """The pack of a study of one figure, `more` of whose stages are whole; for reading only."""
    folder = Path(tempfile.mkdtemp(prefix="lskd-packed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    plan = tiny.make(results(), STUDY)
    pack(plan, "tiny", folder / "pack.zip", frozenset(more))
    return folder / "pack.zip"


@cache
def results() -> Path:
    """The results of the tiny study, beside those of the study of one figure."""
    folder = Path(tempfile.mkdtemp(prefix="lskd-packed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return tiny.copied(folder)


def tampered(path: Path, change: Callable[[Entries], Any], listed: bool = True) -> Path:
    """A pack with other entries, its container sealed again, and its list told of them if `listed`."""
    with zipfile.ZipFile(packed()) as file:
        entries = [(info, file.read(info)) for info in file.infolist()]
    entries = change(entries) or entries
    if listed:
        entries = relisted(entries)
    with zipfile.ZipFile(path, "w") as file:
        for info, content in entries:
            file.writestr(info, content)
        file.comment = archive.COMMENT + b"0" * archive.DIGITS
    archive.seal(path)
    return path


def relisted(entries: Entries, **changes: Any) -> Entries:
    """The entries with a list that names them as they are."""
    (old,) = [json.loads(content) for info, content in entries if info.filename == archive.LIST]
    others = [(info, content) for info, content in entries if info.filename != archive.LIST]
    files = {info.filename: item(content) for info, content in others}
    content = sealed({key: old[key] for key in old if key != "seal"} | {"files": files} | changes)
    return [*others, (zipfile.ZipInfo(archive.LIST), json.dumps(content).encode())]


def item(content: bytes) -> dict[str, Any]:
    from hashlib import sha256

    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}
