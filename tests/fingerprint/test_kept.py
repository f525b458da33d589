"""Digests that are kept stand for the same code and no other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.fingerprint import definitions, source
from lskd.fingerprint.files import Files
from lskd.fingerprint.kept import Kept
from tests.fingerprint.packages import ENTRY, write

ROOT = Path(__file__).parents[2]
SOURCE = {
    "train.py": "from lskd.losses import kd\n\ndef fit(): return kd()\n",
    "losses.py": "def kd(): return 22\n",
    "other.py": "from lskd.losses import kd\n\ndef twice(): return 2 * kd()\n",
    "data/table.csv": "1\n",
    "data/__init__.py": "",
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A package that stands for the one that runs, as if each call were a process of its own."""
    monkeypatch.setattr(definitions, "_HERE", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return write(tmp_path, SOURCE)


def digests(root, entries=ENTRY):
    """As a process of its own, which ends."""
    definitions._PACKAGES.clear()
    reached = definitions.definitions(entries, root)
    definitions.keep()
    return reached


def files(root):
    return sorted((root / "lskd/__pycache__").glob("*"))


def test_another_process_reads_what_was_kept_and_parses_nothing(root, monkeypatch):
    before = digests(root)
    monkeypatch.setattr(source, "read", None)
    assert digests(root) == before
    assert set(before) == {"lskd/losses.py:kd", "lskd/train.py:fit"}


def test_what_more_is_reached_is_added(root, monkeypatch):
    both = {"lskd/other.py:twice", "lskd/losses.py:kd"}
    digests(root, ["lskd.losses:kd"])
    with_kept = digests(root, ["lskd.other:twice"])
    monkeypatch.setattr(source, "read", None)
    assert digests(root, ["lskd.other:twice"]) == with_kept
    assert digests(root, ["lskd.losses:kd", "lskd.other:twice"]).keys() == with_kept.keys() == both
    monkeypatch.undo()
    shutil.rmtree(root / "lskd/__pycache__")
    assert digests(root, ["lskd.other:twice"]) == with_kept


def test_what_reads_names_of_methods_is_kept_too(root, monkeypatch):
    reader = "class A:\n    def b(self): return 1\n    def a(self): return 2\ndef fit(): return list(vars(A))\n"
    write(root, {"train.py": reader})
    before = digests(root)
    monkeypatch.setattr(source, "read", None)
    assert digests(root) == before
    monkeypatch.undo()
    write(root, {"train.py": reader.replace("def b(self): return 1\n    def a", "def a(self): return 1\n    def b")})
    assert digests(root) != before


@pytest.mark.parametrize("entry", ["lskd.losses:<statements>", "lskd.losses:*", "lskd.train:Loop.run", "lskd.losses"])
def test_what_is_no_entry_point_is_none_although_its_node_is_kept(root, entry):
    loop = "class Loop:\n    def run(self): return lskd.losses\n"
    write(root, {"train.py": f"import lskd.losses\n{loop}def fit(): return Loop().run()\n"})
    digests(root)
    with pytest.raises(UserError):
        digests(root, [entry])


def replaced(name, text):
    return lambda root: (root / "lskd" / name).write_text(text)


EDITS = {
    "a definition that is reached": replaced("losses.py", "def kd(): return 23\n"),
    "one of as many bytes": replaced("losses.py", "def kd(): return 33\n"),
    "a module that is not reached": replaced("other.py", "from lskd.losses import kd\n"),
    "a file of data": replaced("data/table.csv", "2\n"),
    "a new module": replaced("losses2.py", ""),
    "a new file below": replaced("data/second.csv", "1\n"),
    "a package in place of a module": lambda root: write(root, {"losses/__init__.py": "def kd(): return 22\n"}),
    "an empty folder": lambda root: (root / "lskd/empty").mkdir(),
    "a module that is gone": lambda root: (root / "lskd/other.py").unlink(),
    "a module of another name": lambda root: (root / "lskd/other.py").rename(root / "lskd/another.py"),
    "a link to nothing": lambda root: (root / "lskd/.#losses.py").symlink_to("somebody@somewhere"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_of_an_edited_package_nothing_is_found_and_the_new_takes_its_place(root, edit):
    digests(root)
    assert Kept(Files(root)).read()
    edit(root)
    assert not Kept(Files(root)).read()
    after = digests(root)
    assert Kept(Files(root)).read()
    assert len(files(root)) == 1
    shutil.rmtree(root / "lskd/__pycache__")
    assert after == digests(root)


def test_an_edit_in_the_same_process_is_seen(root):
    before = digests(root)
    replaced("losses.py", "def kd(): return 33\n")(root)
    after = definitions.definitions(ENTRY, root)
    assert after != before
    definitions.keep()
    assert digests(root) == after


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "not ours": lambda content: b"\xff" * 100,
    "a bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "no seal": lambda content: content.replace(b"\n", b" "),
    "a line": lambda content: content.partition(b"\n")[0],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_worked_out_anew(root, damage):
    before = digests(root)
    (path,) = files(root)
    path.write_bytes(damage(path.read_bytes()))
    assert not Kept(Files(root)).read()
    assert digests(root) == before
    assert Kept(Files(root)).read()


def test_an_edit_meanwhile_is_not_kept_under_the_name_of_what_was(root):
    definitions._PACKAGES.clear()
    definitions.definitions(["lskd.other:twice"], root)
    replaced("losses.py", "def kd(): return 23\n")(root)
    definitions.keep()
    assert files(root) == []


def test_nothing_is_kept_where_no_bytecode_is_or_a_folder_is_a_link(root, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        digests(root)
    (root / "lskd/linked").symlink_to(root / "lskd/data")
    digests(root)
    assert files(root) == []


def test_an_edit_while_digests_are_worked_out_is_seen(root, monkeypatch):
    digests(root, ["lskd.losses:kd"])
    definitions._PACKAGES.clear()
    read = source.read

    def read_late(*arguments):
        if arguments[1] == "lskd.other":
            replaced("losses.py", "def kd(): return 23\n")(root)
        return read(*arguments)

    monkeypatch.setattr(source, "read", read_late)
    mixed = definitions.definitions(["lskd.other:twice"], root)
    monkeypatch.undo()
    monkeypatch.setattr(definitions, "_HERE", root)
    assert mixed == digests(root, ["lskd.other:twice"])


def test_a_linked_folder_that_comes_later_is_seen(root, tmp_path):
    write(root, {"train.py": "try:\n    from lskd.extra import z\nexcept ImportError: z = None\ndef fit(): return z\n"})
    before = digests(root)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/__init__.py").write_text("z = 1\n")
    (root / "lskd/extra").symlink_to(tmp_path / "elsewhere")
    after = digests(root)
    assert after != before and "lskd/extra/__init__.py:z" in after
    (tmp_path / "elsewhere/__init__.py").write_text("z = 2\n")
    assert digests(root) != after


def test_what_is_no_file_is_not_read(root):
    before = digests(root)
    os.mkfifo(root / "lskd/pipe")
    assert digests(root) == before


def test_an_empty_folder_is_not_a_file_that_names_one(root):
    (root / "lskd/xx").mkdir()
    folder = Kept(Files(root)).package
    (root / "lskd/xx").rmdir()
    (root / "lskd/xx").write_text("folder")
    assert Kept(Files(root)).package != folder


def test_what_a_killed_process_left_is_removed(root):
    (root / "lskd/__pycache__").mkdir()
    (root / f"lskd/__pycache__/code.{sys.implementation.cache_tag}.123456").write_text("half")
    digests(root)
    assert len(files(root)) == 1


def test_a_folder_that_cannot_be_written_is_no_failure(root):
    (root / "lskd/__pycache__").write_text("")  # a file, which no user's rights get around
    assert digests(root)


def test_a_process_keeps_as_it_ends_and_code_that_fingerprints_counts(tmp_path):
    shutil.copytree(ROOT / "lskd", tmp_path / "lskd", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "lskd.fingerprint", "lskd.io.atomic:write_json"]
    before = subprocess.check_output(command, cwd=tmp_path)
    kept = Kept(Files(tmp_path))
    assert kept.read()
    assert subprocess.check_output(command, cwd=tmp_path) == before
    path = tmp_path / "lskd/fingerprint/normal.py"
    path.write_text(f"{path.read_text()}\n# a word\n")
    assert not Kept(Files(tmp_path)).read()
    assert subprocess.check_output(command, cwd=tmp_path) == before
    assert Kept(Files(tmp_path)).read()
