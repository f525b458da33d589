"""Digests that are kept stand for the same code and no other."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lskd.fingerprint import definitions
from lskd.fingerprint.files import Files
from lskd.fingerprint.kept import Kept
from tests.fingerprint.packages import ENTRY, write

ROOT = Path(__file__).parents[2]
SOURCE = {
    "train.py": "from lskd.losses import kd\n\ndef fit(): return kd()\n",
    "losses.py": "def kd(): return 22\n",
    "other.py": "OTHER = 1\n",
    "data/table.csv": "1\n",
    "data/__init__.py": "",
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A package that stands for the one that runs, as if each call were a process of its own."""
    monkeypatch.setattr(definitions, "_HERE", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return write(tmp_path, SOURCE)


def digests(root):
    definitions._PACKAGES.clear()
    return definitions.definitions(ENTRY, root)


def files(root):
    return sorted((root / "lskd/__pycache__").glob("*"))


def test_another_process_reads_what_was_kept(root, monkeypatch):
    before = digests(root)
    monkeypatch.setattr(definitions._Package, "walk", None)
    assert digests(root) == before
    assert set(before) == {"lskd/losses.py:kd", "lskd/train.py:fit"}


def test_each_set_of_entry_points_is_kept_alone(root):
    digests(root)
    assert definitions.definitions(["lskd.losses:kd"], root) == {
        name: digest for name, digest in digests(root).items() if name == "lskd/losses.py:kd"
    }
    assert len(files(root)) == 2


def replaced(name, text):
    return lambda root: (root / "lskd" / name).write_text(text)


EDITS = {
    "a definition that is reached": replaced("losses.py", "def kd(): return 23\n"),
    "one of as many bytes": replaced("losses.py", "def kd(): return 33\n"),
    "a module that is not reached": replaced("other.py", "OTHER = 2\n"),
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
def test_of_an_edited_package_nothing_is_found_and_the_old_is_removed(root, edit):
    digests(root)
    old = files(root)
    edit(root)
    assert Kept(Files(root)).read(ENTRY) is None
    after = digests(root)
    shutil.rmtree(root / "lskd/__pycache__")
    assert after == digests(root)
    assert len(old) == len(files(root)) == 1
    assert old != files(root)


def test_an_edit_in_the_same_process_is_seen(root):
    before = digests(root)
    replaced("losses.py", "def kd(): return 33\n")(root)
    assert definitions.definitions(ENTRY, root) != before


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[" * 10_000,
        lambda text: "[]",
        lambda text: "\udcff",
        lambda text: text.replace("lskd/train.py:fit", "lskd/train.py:fat"),
        lambda text: json.dumps({"definitions": {}, "entries": ENTRY}),
    ],
)
def test_what_is_damaged_is_worked_out_anew(root, damage):
    before = digests(root)
    (path,) = files(root)
    path.write_text(damage(path.read_text()), errors="surrogateescape")
    assert digests(root) == before
    assert Kept(Files(root)).read(ENTRY) == before


def test_an_edit_meanwhile_is_not_kept_under_the_name_of_what_was(root):
    kept = Kept(Files(root))
    replaced("losses.py", "def kd(): return 23\n")(root)
    kept.write(ENTRY, {"lskd/losses.py:kd": "0123456789"})
    assert files(root) == []


def test_nothing_is_kept_where_no_bytecode_is_or_a_folder_is_a_link(root, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        digests(root)
    (root / "lskd/linked").symlink_to(root / "lskd/data")
    digests(root)
    assert files(root) == []


def test_a_folder_that_cannot_be_written_is_no_failure(root):
    (root / "lskd/__pycache__").write_text("")  # a file, which no user's rights get around
    assert digests(root)


def test_code_that_fingerprints_counts_too(tmp_path):
    shutil.copytree(ROOT / "lskd", tmp_path / "lskd", ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-B",
        "-c",
        "from lskd.fingerprint import definitions as d; print(d._package(d._HERE)._kept.package)",
    ]
    before = subprocess.check_output(command, cwd=tmp_path, text=True)
    path = tmp_path / "lskd/fingerprint/normal.py"
    path.write_text(f"{path.read_text()}\n# a word\n")
    assert before.startswith(sys.implementation.cache_tag)
    assert subprocess.check_output(command, cwd=tmp_path, text=True) != before
