"""Whatever changes in a job's folder is told, with a command that mends it."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from lskd.errors import UserError, mend
from lskd.io.seal import RECORD, checked, file_digest, holds, is_sealed, opened, read_record, seal, sealed
from lskd.jobs.execute import is_whole

NAMES = ("one.bin", "two.bin")


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "job-0123456789")


def write(folder: Path, content: bytes = b"") -> Path:
    """A sealed folder of two small files."""
    folder.mkdir(parents=True)
    for i, name in enumerate(NAMES):
        (folder / name).write_bytes(bytes(range(40 * i, 40 * i + 30)) + content)
    seal(folder, NAMES, {"address": folder.name[-10:], "spec": {"lr": 0.1, "name": "ü"}, "seconds": 1.5, "seeds": [0]})
    return folder


def refused(path: Path, folder: Path, match: str) -> str:
    """The one line that a damaged file gets."""
    with pytest.raises(UserError, match=match) as caught:
        checked(path, folder)
    line = str(caught.value)
    assert "\n" not in line and str(folder) in line
    return line


def test_what_was_sealed_is_read(folder):
    assert [checked(folder / name, folder) for name in NAMES] == [folder / name for name in NAMES]
    record = read_record(folder)
    assert record["files"] == {name: file_digest(folder / name) for name in NAMES}
    assert record["spec"] == {"lr": 0.1, "name": "ü"}


def test_every_changed_byte_of_a_file_is_told(folder):
    path = folder / NAMES[0]
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in (1, 128):
            path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
            refused(path, folder, "damaged, its bytes are not those that were written")
    path.write_bytes(content)
    assert checked(path, folder) == path


def test_every_changed_byte_of_the_record_is_told(folder):
    """Whatever still is JSON of the same values, such as another indent, stands for the same."""
    path = folder / RECORD
    content, record = path.read_bytes(), read_record(folder)
    for place in range(len(content)):
        for bit in (1, 2, 32, 128):
            changed = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
            path.write_bytes(changed)
            try:
                is_same = json.loads(changed) == record
            except ValueError:
                is_same = False
            if is_same:
                assert read_record(folder) == record
            else:
                refused(folder / NAMES[0], folder, rf"{RECORD}: damaged, it is not what was written")


@pytest.mark.parametrize("keep", [0, 1, 20, -2])
def test_a_cut_file_and_a_cut_record_are_told(folder, keep):
    for name in (NAMES[0], RECORD):
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content[:keep])
        refused(folder / NAMES[0], folder, f"{name}: damaged")
        path.write_bytes(content + b"x")
        refused(folder / NAMES[0], folder, f"{name}: damaged")
        path.write_bytes(content)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"', "{}", '{"seal": 3}', '{"files": {}, "address": "x"}'])
def test_a_record_of_another_form_is_told(folder, content):
    (folder / RECORD).write_text(content)
    refused(folder / NAMES[0], folder, "damaged")


def test_swapped_files_are_told(folder):
    one, two = (folder / name for name in NAMES)
    one.rename(folder / "aside")
    two.rename(one)
    (folder / "aside").rename(two)
    for path in (one, two):
        refused(path, folder, "damaged")


def test_swapped_records_are_told(folder):
    other = write(folder.parent / "job-abcdefabcd", b"other")
    for name in (RECORD,):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes((other / name).read_bytes())
        (other / name).write_bytes(content)
    assert "abcdefabcd, which is another job" in refused(folder / NAMES[0], folder, "record of")
    assert "0123456789, which is another job" in refused(other / NAMES[0], other, "record of")


def test_a_file_of_another_folder_is_told(folder):
    other = write(folder.parent / "job-abcdefabcd", b"other")
    (folder / NAMES[0]).write_bytes((other / NAMES[0]).read_bytes())
    refused(folder / NAMES[0], folder, "damaged")


def test_a_copied_and_a_linked_folder_are_read(folder, tmp_path):
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere" / folder.name))
    assert checked(copy / NAMES[0], copy)
    link = tmp_path / f"link-{folder.name}"
    link.symlink_to(folder)
    assert checked(link / NAMES[0], link)


def test_what_is_gone_or_not_among_the_files_is_told(folder):
    (folder / "new.bin").write_bytes(b"new")
    refused(folder / "new.bin", folder, "is not among the files")
    (folder / NAMES[0]).unlink()
    refused(folder / NAMES[0], folder, "cannot be read")
    (folder / NAMES[0]).mkdir()
    refused(folder / NAMES[0], folder, "cannot be read")
    (folder / RECORD).unlink()
    refused(folder / NAMES[1], folder, "record.json: cannot be read")


def test_a_file_that_is_not_there_is_not_sealed(folder):
    with pytest.raises(OSError):
        seal(folder, [*NAMES, "missing.bin"], {"address": "0123456789"})
    assert checked(folder / NAMES[0], folder)  # by the record before


@pytest.mark.parametrize("damage", [NAMES[0], NAMES[1], RECORD, "missing", "swapped"])
def test_the_command_of_the_error_has_it_made_anew(tmp_path, damage):
    folder = write(tmp_path / "a folder's $HOME; ü" / "job-0123456789")
    assert is_whole(folder, ())
    if damage == "missing":
        (folder / NAMES[0]).unlink()
    elif damage == "swapped":
        other = write(tmp_path / "job-abcdefabcd")
        (folder / RECORD).write_bytes((other / RECORD).read_bytes())
    else:
        path = folder / damage
        path.write_bytes(path.read_bytes()[:-3])
    name = NAMES[1] if damage == NAMES[1] else NAMES[0]
    line = refused(folder / name, folder, "; make it anew: ")
    command, _, rest = line.partition("make it anew: ")[2].partition(" && ")
    assert rest == "snakemake"
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert not is_whole(folder, ())
    assert shlex.split(command)[:2] == ["rm", "-rf"]
    (target,) = shlex.split(command)[2:]
    assert Path(target) in (folder, folder / name, folder / RECORD)


def test_a_record_alone_carries_its_own_digest():
    record = sealed({"address": "0123456789", "stands": "abcdefabcd"})
    assert is_sealed(record)
    assert not is_sealed(record | {"stands": "0000000000"})
    assert not is_sealed({"address": "0123456789"})


def test_mend_quotes():
    assert mend(Path("results/it's")) == "make it anew: rm -rf 'results/it'\"'\"'s' && snakemake"


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"seal":' * 100_000, b"\xff", b"[]", b"1", b"", "{}", '{"seal": {}}']
)
def test_a_text_that_is_no_sealed_record(text):
    assert opened(text) is None
    assert opened(json.dumps(sealed({"a": 1}))) == sealed({"a": 1})


def test_a_record_under_a_seal_that_fits_has_what_is_read(folder):
    assert holds({"a": 1, "b": []}, a=int, b=list) and not holds({"a": True}, a=int) and not holds({}, a=int)
    for files in (None, [], "x"):
        (folder / RECORD).write_text(json.dumps(sealed({"address": folder.name[-10:], "files": files})))
        refused(folder / NAMES[0], folder, "damaged")
