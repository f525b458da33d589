"""`lskd unpack` on hostile packs: all of it in the rooms of results, or one line and nothing."""

import json
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.jobs import archive
from lskd.jobs.unpack import unpack
from lskd.jobs.verify import ALONE
from tests.fuzz.hostile import EXAMPLES, RENDERED, as_sealed, fuzzing, mutations, places, put, refused, trees
from tests.jobs import packed

rarely = fuzzing(EXAMPLES // 5)  # each makes and unpacks a whole pack; there are five such tests


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory, where there is such a place: thousands of folders come and go."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def guarded(memory) -> Path:
    """A folder in which nothing may change, with a stranger's file beside where a pack is unpacked."""
    folder = memory / "guarded"
    folder.mkdir()
    (folder / "results").mkdir()
    (folder / "evil").write_text("here before")
    return folder


@pytest.fixture(autouse=True)
def without_sync(monkeypatch) -> None:
    monkeypatch.setattr("os.sync", lambda: None)  # of all disks, each time


def unpacked(pack: Path, guarded: Path, content: bytes) -> None:
    """Unpack a hostile pack into a new folder: what is in it then are files of results, whole, or nothing."""
    folder = pack.parent / "elsewhere" / "checkout"
    folder.parent.mkdir()
    pack.write_bytes(content)
    try:
        error = refused(lambda: unpack(pack, folder), guarded)
        assert {path.name for path in folder.parent.iterdir()} <= {"checkout"}
        assert {path.name for path in pack.parent.iterdir()} <= {"elsewhere", pack.name}
        files = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
        assert not (error and files)
        for path in files:
            assert path.is_file() and not path.is_symlink()
            assert path.name == ALONE or archive.is_allowed(path.relative_to(folder).as_posix())
    finally:
        shutil.rmtree(folder.parent)


def resealed(content: bytes, path: Path) -> bytes:
    """A pack whose container is sealed again, whatever is in it."""
    ending = archive.COMMENT + b"0" * archive.DIGITS
    path.write_bytes(content[: -len(ending)] + ending if len(content) > len(ending) else content)
    try:
        archive.seal(path)
    except (ValueError, OSError):
        return content
    return path.read_bytes()


@pytest.fixture(scope="module")
def pack(memory) -> Path:
    (memory / "pack").mkdir()
    return memory / "pack" / "pack.zip"


@rarely
@given(data=st.data())
def test_changed_bytes(guarded, pack, data):
    unpacked(pack, guarded, data.draw(mutations([packed.packed().read_bytes()])))


@rarely
@given(data=st.data())
def test_a_changed_table_in_a_container_that_is_sealed_again(guarded, pack, data):
    whole = packed.packed().read_bytes()
    at = data.draw(st.sampled_from([0, len(whole) - 6_000, len(whole) - 2_000]))
    changed = data.draw(mutations([whole[at : at + 6_000]]))
    unpacked(pack, guarded, resealed(whole[:at] + changed + whole[at + 6_000 :], pack))


NAMES = [
    *(
        "../evil",
        "../../evil",
        "/etc/passwd",
        "results/../../evil",
        "results/runs/../../../evil-0123456789/record.json",
    ),
    *("results/.jobs/0123456789.json", "results/runs/x-0123456789/record.json", "config.yaml", "lskd/cli.py", "evil/"),
    *(
        "results/figures/demo/x/../../../../evil.svg",
        "C:\\evil",
        "results/looks/0123456789.json",
        "studies/demo/x.yaml",
    ),
]


@rarely
@given(
    place=st.integers(0, 2**31),
    name=st.sampled_from(NAMES + [name for name in RENDERED if name.isascii()]) | st.text(max_size=20),
    kind=st.sampled_from([0, 0, 0, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFREG | 0o4777, stat.S_IFIFO, stat.S_IFCHR]),
    is_added=st.booleans(),
)
def test_names_and_kinds(guarded, pack, place, name, kind, is_added):
    def change(entries: packed.Entries) -> packed.Entries:
        info, content = entries[place % len(entries)]
        new = zipfile.ZipInfo(name.encode("utf-8", "replace").decode())
        new.external_attr = kind << 16
        others = [each for each in entries if is_added or each[0] is not info]
        return [*others, (new, content if kind != stat.S_IFLNK else b"/etc/passwd")]

    try:
        content = packed.tampered(pack, change).read_bytes()
    except (ValueError, RuntimeError, zipfile.BadZipFile):  # such an archive cannot be made
        return
    unpacked(pack, guarded, content)


def changed(content: bytes, place: int, new: Any, how: str) -> bytes:
    """A record, a look or any other JSON in a pack, with one value changed and sealed again."""
    value = json.loads(content)
    paths = places(value)
    value = put(value, paths[place % len(paths)], new, how)
    text = as_sealed(value)
    return (json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n").encode()


@rarely
@given(
    of=st.integers(0, 2**31),
    place=st.integers(0, 2**31),
    new=st.sampled_from(RENDERED) | st.sampled_from([None, [], {}, 10**12, -1, 0.5, float("nan"), ["x"], {"..": {}}]),
    how=st.sampled_from(["set", "set", "delete", "rename", "deeper"]),
)
def test_records_that_lie_under_a_seal_that_fits(guarded, pack, of, place, new, how):
    def change(entries: packed.Entries) -> packed.Entries:
        names = [info.filename for info, _ in entries]
        texts = [number for number, name in enumerate(names) if name.endswith(".json") and name != archive.LIST]
        number = texts[of % len(texts)]
        info, content = entries[number]
        return [*entries[:number], (info, changed(content, place, new, how)), *entries[number + 1 :]]

    unpacked(pack, guarded, packed.tampered(pack, change).read_bytes())


@rarely
@given(data=st.data())
def test_a_list_that_lies(guarded, pack, data):
    def change(entries: packed.Entries) -> packed.Entries:
        (old,) = [json.loads(content) for info, content in entries if info.filename == archive.LIST]
        new = as_sealed(data.draw(trees([old])))
        return [(info, new if info.filename == archive.LIST else content) for info, content in entries]

    unpacked(pack, guarded, packed.tampered(pack, change, listed=False).read_bytes())


def test_what_is_not_changed_is_unpacked(guarded, pack, monkeypatch):
    kept: list[int] = []
    monkeypatch.setattr("shutil.rmtree", lambda path, **_: kept.append(len(list(path.rglob("record.json")))))
    unpacked(pack, guarded, packed.packed().read_bytes())
    assert max(kept) > 0
