"""An archive is read without trust: whatever is in it, all is well or there is one line, and nothing is written."""

import io
import os
import random
import stat
import tarfile
import time
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.jobs import archive
from lskd.jobs.unpack import unpack
from tests.jobs import packed

FLIPS, CUTS = 400, 60


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(path, folder):
    """The line of a pack that is refused, after which nothing is in its folder, nor beside it."""
    beside = names(folder.parent)
    with pytest.raises(UserError) as error:
        unpack(path, folder)
    assert names(folder.parent) == beside
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    return str(error.value).removeprefix(f"{path}: ")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "elsewhere"


def entry(name, **fields):
    info = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


@pytest.mark.parametrize(
    "name",
    [
        *("/etc/passwd", "../../evil", "results/metrics/../../../../evil", "results/./x", "C:\\evil", "..\\evil"),
        *("lskd/cli.py", "config.yaml", "Snakefile", "workflow/studies/x.yaml", "results/.jobs/0123456789.json"),
        *("results/metrics/.hidden/x-0123456789/record.json", "results/runs/x-0123456789/model.pt"),
        *("results/runs/x-0123456789/checkpoint.pt", "results/metrics/x/metrics.parquet", "results/metrics/"),
        *("results/figures/demo/tiny/grid.sh", "results/figures/demo/.ssh/index.html", "studies/demo/../x.yaml"),
        *("results/runs/a\nb-0123456789/record.json", "results/runs/" + "a" * 1000 + "-0123456789/record.json"),
        *("registrations/demo/a/b.json", "results/looks/x.json", "results//metrics/x-0123456789/record.json", "", "."),
    ],
)
def test_a_name_outside_its_place(folder, tmp_path, name):
    pack = packed.tampered(tmp_path / "p.zip", lambda entries: [*entries, (entry(name), b"evil")])
    assert "lies outside the places of results" in refused(pack, folder)
    assert not archive.is_allowed(name)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_what_is_no_file(folder, tmp_path, kind):
    info = entry("results/looks/0123456789.json", create_system=3, external_attr=(kind | 0o777) << 16)
    pack = packed.tampered(tmp_path / "p.zip", lambda entries: [*entries, (info, b"/etc/passwd")])
    assert "is a link, a device or a folder" in refused(pack, folder)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(folder, tmp_path):
    pack = packed.tampered(tmp_path / "p.zip", lambda entries: [*entries, entries[0]])
    assert "comes twice" in refused(pack, folder)


def test_a_file_that_is_a_folder_too(folder, tmp_path):
    inner = "results/metrics/a-0123456789/record.json/b-0123456789/record.json"
    more = [(entry(name), b"{}") for name in ("results/metrics/a-0123456789/record.json", inner)]
    pack = packed.tampered(tmp_path / "p.zip", lambda entries: [*entries, *more])
    assert "is a file and a folder" in refused(pack, folder)


def test_a_bomb(folder, tmp_path):
    zeros = entry("results/looks/0123456789.json", compress_type=zipfile.ZIP_DEFLATED)
    pack = packed.tampered(tmp_path / "p.zip", lambda entries: [*entries, (zeros, bytes(1 << 28))])
    began = time.monotonic()
    assert "more than 100 times as much" in refused(pack, folder)
    assert time.monotonic() - began < 5


def test_more_than_the_disk_has(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("lskd.jobs.archive.shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    assert "has 1,000 free; free some" in refused(packed.packed(), folder)


@pytest.mark.parametrize("listed", [True, False])
def test_sizes_that_are_declared_otherwise(folder, tmp_path, listed):
    """More in the archive than its list says, and a list that is of other bytes."""

    def longer(entries):
        return [
            (info, content + b" ") if info.filename.endswith(".csv") else (info, content) for info, content in entries
        ]

    pack = packed.tampered(tmp_path / "p.zip", longer, listed)
    assert ("damaged" if listed else "is not as its lskd-pack.json lists it") in refused(pack, folder)


def test_other_bytes_of_the_same_length(folder, tmp_path):
    def other(entries):
        return [(info, content[::-1] if info.filename.endswith(".csv") else content) for info, content in entries]

    line = refused(packed.tampered(tmp_path / "p.zip", other, listed=False), folder)
    assert line.endswith(".csv in it is damaged; fetch the pack again")


def test_a_list_that_is_none(folder, tmp_path):
    def with_list(content):
        return lambda entries: (
            [each for each in entries if each[0].filename != archive.LIST] + [(entry(archive.LIST), content)]
        )

    for content in (
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": NaN}',
        b"\xff",
        b"9" * 5000,
    ):
        pack = packed.tampered(tmp_path / "p.zip", with_list(content), listed=False)
        assert "lskd-pack.json" in refused(pack, folder) or "format" in refused(pack, folder)
    pack = packed.tampered(tmp_path / "p.zip", lambda entries: packed.relisted(entries, format=2), listed=False)
    assert "a pack of format 2, this lskd reads 1" in refused(pack, folder)
    pack = packed.tampered(tmp_path / "p.zip", lambda entries: packed.relisted(entries, study="../x"), listed=False)
    assert "is not what `lskd pack` writes (study)" in refused(pack, folder)


def test_an_archive_of_something_else(folder, tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    assert "no pack of results" in refused(path, folder)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
        file.comment = archive.COMMENT + b"0" * archive.DIGITS
    archive.seal(path)
    assert "so `lskd pack` did not write it" in refused(path, folder)
    with tarfile.open(path, "w:gz") as file:
        file.addfile(tarfile.TarInfo("../evil"), io.BytesIO())
    assert "no pack of results" in refused(path, folder)
    for content in (b"", b"PK", b"PK\x05\x06" + bytes(18), os.urandom(1000)):
        path.write_bytes(content)
        assert "no pack of results" in refused(path, folder)
    path.unlink()
    assert "no such file" in refused(path, folder)
    path.mkdir()
    assert "no such file" in refused(path, folder)


def test_an_encrypted_or_strangely_compressed_file(folder, tmp_path):
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        info = entry("results/looks/0123456789.json", compress_type=method)
        pack = packed.tampered(tmp_path / "p.zip", lambda entries, info=info: [*entries, (info, b"{}")])
        assert "is encrypted, or compressed in another way" in refused(pack, folder)


def test_a_flipped_byte_anywhere(folder, tmp_path):
    content, draw = bytearray(packed.packed().read_bytes()), random.Random(0)
    for place in [0, len(content) - 1, *(draw.randrange(len(content)) for _ in range(FLIPS - 2))]:
        content[place] ^= 1 << (place % 8)
        (tmp_path / "p.zip").write_bytes(content)
        content[place] ^= 1 << (place % 8)
        line = refused(tmp_path / "p.zip", folder)
        assert "damaged, its bytes are not those" in line or "no pack of results" in line


def test_a_part_of_a_pack(folder, tmp_path):
    content, draw = packed.packed().read_bytes(), random.Random(1)
    for length in [0, 1, len(content) - 1, *(draw.randrange(len(content)) for _ in range(CUTS))]:
        (tmp_path / "p.zip").write_bytes(content[:length])
        assert "or a part of one" in refused(tmp_path / "p.zip", folder)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_bytes_that_were_changed_by_who_can_seal(tmp_path, data):
    """Any bytes of the archive are changed, and its container is sealed again: one line, or all is as it was packed."""
    content = bytearray(packed.packed().read_bytes())
    for place in data.draw(st.lists(st.integers(-2000, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path, folder = tmp_path / "p.zip", tmp_path / "elsewhere"
    content[-len(archive.COMMENT) - archive.DIGITS :] = archive.COMMENT + b"0" * archive.DIGITS
    path.write_bytes(content)
    archive.seal(path)
    try:
        with archive.opened(path) as pack:
            for name in pack.contents.files:
                pack.extract(name, folder / str(len(list(folder.glob("*")))))
    except UserError as error:
        assert "\n" not in str(error)
    finally:
        for each in folder.glob("*"):
            each.unlink()
    assert names(tmp_path) in (["elsewhere", "p.zip"], ["p.zip"])
