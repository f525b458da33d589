"""Files appear whole or not at all, and what killed writers leave is removed."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.io.atomic import HOST, atomic, sweep, write_json, write_text

ROOT = Path(__file__).parents[2]
WRITER = """
import sys, time
from pathlib import Path
from lskd.io.atomic import atomic
with atomic(sys.argv[1]) as tmp:
    tmp.write_bytes(b"half")
    Path(sys.argv[2]).touch()
    time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path):
    """Start a process that is in the middle of writing a file."""
    processes = []

    def start(path: Path) -> subprocess.Popen:
        sign = tmp_path / f"sign{len(processes)}"
        command = [sys.executable, "-c", WRITER, str(path), str(sign)]
        processes.append(subprocess.Popen(command, cwd=ROOT))
        end = time.monotonic() + 60
        while not sign.exists():
            assert time.monotonic() < end and processes[-1].poll() is None
            time.sleep(0.01)
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic(path) as tmp:
        tmp.write_bytes(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert names(path.parent) == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(error), atomic(path) as tmp:
        tmp.write_bytes(b"half")
        raise error
    assert (path.read_bytes(), names(tmp_path)) == (b"before", ["file"])


def test_a_disk_without_room_is_one_line(tmp_path):
    with (
        pytest.raises(UserError, match=r"file: cannot be written \(No space left on device\)"),
        atomic(tmp_path / "file"),
    ):
        raise OSError(28, "No space left on device")
    (tmp_path / "plain").write_text("")
    with pytest.raises(UserError, match="cannot be written"), atomic(tmp_path / "plain" / "file"):
        pass
    assert names(tmp_path) == ["plain"]


def test_json_is_sorted_and_refuses_nan(tmp_path):
    write_json(tmp_path / "a", {"b": 1, "a": "ü"})
    write_json(tmp_path / "b", {"a": "ü", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_text()) == {"a": "ü", "b": 1}
    with pytest.raises(ValueError):
        write_json(tmp_path / "c", float("nan"))
    write_text(tmp_path / "d", "ü\n")
    assert (tmp_path / "d").read_bytes() == "ü\n".encode()
    assert names(tmp_path) == ["a", "b", "d"]


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_stays(tmp_path, writer):
    folder = tmp_path / "folder"
    killed, live = writer(folder / "deep" / "killed.bin"), writer(folder / "deep" / "live.bin")
    (folder / "deep" / "killed.bin").write_bytes(b"before")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert len(names(folder / "deep")) == 3
    sweep(folder)
    (tmp,) = set(names(folder / "deep")) - {"killed.bin"}
    assert tmp.startswith(".live.bin.") and tmp.endswith(f".{HOST}.{live.pid}.tmp")
    assert (folder / "deep" / "killed.bin").read_bytes() == b"before"
    sweep(folder, alone=True)  # the one that holds the folder's lock knows that nobody else writes there
    assert names(folder / "deep") == ["killed.bin"]


def test_other_hosts_and_other_files_are_left_alone(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    pid = dead.stdout.strip()
    kept = [f".a.x.elsewhere.{pid}.tmp", ".notes.tmp", f"a.x.{HOST}.{pid}.tmp", f".a.x.{HOST}.none.tmp", "a"]
    for name in (*kept, f".a.x.{HOST}.{pid}.tmp"):
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert names(tmp_path) == sorted(kept)


def test_a_full_disk_that_a_library_hides_is_told(tmp_path):
    """matplotlib's PDF fails again while it closes a file that could not be written."""
    said = r"figure.pdf: cannot be written \(No space left on device\)"
    with pytest.raises(UserError, match=said), atomic(tmp_path / "figure.pdf"):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            object().pos  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_another_error_is_none_of_the_disk(tmp_path):
    with pytest.raises(AttributeError), atomic(tmp_path / "figure.pdf"):
        try:
            (tmp_path / "nosuch").read_bytes()
        finally:
            object().pos  # noqa: B018
