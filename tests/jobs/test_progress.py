"""What a running job says of itself: its lines, its bar, its file; and that nothing of it stops a training."""

import errno
import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from lskd.jobs import progress
from lskd.jobs.progress import duration, report, running
from tests.rights import bound_by_modes

ADDRESS = "0123456789"


class Clock:
    """Stands for the module `time`, and moves only when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        return 1.7e9 + self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LSKD_RUNNING", str(tmp_path / "running"))
    return tmp_path / "running"


def content(folder):
    return json.loads((folder / f"{ADDRESS}.json").read_text())


def train(clock, seconds_per_step, steps, epochs, done=0, each=lambda step: None):
    """Steps of a training by the clock, with its ends of epochs."""
    with report("a run", ADDRESS, epochs, steps, done, 100) as tell:
        for step in range(done + 1, steps + 1):
            clock.now += seconds_per_step
            tell.step(step)
            if step * epochs % steps == 0:
                tell.epoch(step * epochs // steps, step, 1.5 / step, step / steps)
            each(step)


def run_on_pty(script, columns=100, interrupt_at=None, **environment):
    """What a script writes to a terminal as stderr and stdout, and its exit status; SIGINT once it wrote some text."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm", **environment}
    env.pop("COLUMNS", None)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=slave, stderr=slave, stdin=slave, env=env)
    os.close(slave)
    written = b""
    try:
        while block := os.read(master, 65536):
            written += block
            if interrupt_at and interrupt_at.encode() in written:
                process.send_signal(2)
                interrupt_at = None
    except OSError:  # EIO: the last writer is gone
        pass
    os.close(master)
    return written.decode(), process.wait(30)


def test_the_file_says_what_the_job_is(folder):
    before = time.time()
    with report("glyphs/resnet8", ADDRESS, 3, 30, 6, 128):
        status = content(folder)
    assert before <= status.pop("started") <= status.pop("updated") <= time.time()
    assert status == {
        "title": "glyphs/resnet8",
        "address": ADDRESS,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "birth": progress.process_birth(os.getpid()),
        "first_step": 6,
        "step": 6,
        "steps": 30,
        "epoch": 1,
        "epochs": 3,
        "loss": None,
        "val_top1": None,
        "images_per_second": None,
        "seconds_left": None,
    }
    assert list(folder.iterdir()) == []


def test_a_translation_counts_updates_and_tokens(folder, clock, capsys):
    with report("en-de", ADDRESS, 500, 500, 0, 4096, progress.TOKENS) as tell:
        for update in range(1, 121):
            clock.now += 0.5
            tell.step(update)
        tell.epoch(120, 120, 4.1234, 3.9)
        clock.now += 20
        tell.step(121)
        status = content(folder)
    assert (status["update"], status["updates"], status["val_nll"], status["loss"]) == (121, 500, 3.9, 4.1234)
    assert status["tokens_per_second"] == round(120 / 79.5 * 4096, 1)
    assert not status.keys() & {"epoch", "epochs", "val_top1", "images_per_second"}
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "en-de: update 121/500 loss 4.123 val NLL 3.9 6,183 tokens/s ETA 4:11"


def test_the_speed_is_of_this_process(folder, clock):
    statuses = []
    train(clock, 0.5, 60, 3, done=20, each=lambda step: statuses.append(content(folder)))
    assert statuses[0]["images_per_second"] is None
    assert statuses[-1]["images_per_second"] == 200
    at_40 = next(status for status in statuses if status["step"] >= 40)
    assert at_40["seconds_left"] == (60 - at_40["step"]) * 0.5
    assert (at_40["epoch"], at_40["loss"], at_40["val_top1"]) == (3, 1.5 / 40, 40 / 60)


def test_the_first_step_is_no_part_of_the_speed(folder, clock):
    with report("a run", ADDRESS, 1, 1000, 0, 10) as tell:
        clock.now += 300  # compiles
        tell.step(1)
        for step in range(2, 12):
            clock.now += 1
            tell.step(step)
        assert content(folder)["images_per_second"] == 10


def test_the_file_is_written_at_most_once_a_second(clock, monkeypatch):
    writes = []
    monkeypatch.setattr(progress.StatusFile, "write", lambda *_: writes.append(clock.now))
    train(clock, 0.01, 1000, 100)
    gaps = [after - before for before, after in zip(writes[1:], writes[2:], strict=False)]
    assert min(gaps) >= 1 and max(gaps) < 1.1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_the_file_goes_with_an_exception(folder, error):
    with pytest.raises(error), report("a run", ADDRESS, 1, 10, 0, 1) as tell:
        tell.step(1)
        raise error
    assert list(folder.iterdir()) == []


def test_a_stage_without_steps(folder):
    with running("predict", ADDRESS):
        assert content(folder)["title"] == "predict"
        assert "steps" not in content(folder)
    assert list(folder.iterdir()) == []


def test_a_training_within_a_job_that_runs_shares_its_file(folder):
    with running("a run", ADDRESS):
        started = content(folder)["started"]
        with report("a run", ADDRESS, 1, 10, 0, 1):
            assert content(folder)["steps"] == 10
        assert content(folder)["started"] == started
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written(clock, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", "/proc/lskd"):
        monkeypatch.setenv("LSKD_RUNNING", str(place))
        train(clock, 1, 20, 2)
    assert capsys.readouterr().err.count("epoch 2/2") >= 3


def test_a_read_only_folder(clock, folder):
    folder.mkdir(mode=0o555)
    with bound_by_modes():
        train(clock, 1, 20, 2)


def test_a_full_disk(folder, clock, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def look(step):
        if step == 10:
            monkeypatch.setattr(progress.os, "write", full)
        if step == 15:
            assert [path.name for path in folder.iterdir()] == [f"{ADDRESS}.json"]
            assert content(folder)["step"] <= 10

    train(clock, 1, 20, 2, each=look)
    assert list(folder.iterdir()) == []


def test_a_file_that_another_removed_comes_back(folder, clock):
    def look(step):
        if step == 5:
            (folder / f"{ADDRESS}.json").unlink()
            folder.rmdir()

    train(clock, 2, 10, 1, each=look)


def test_lines_within_an_epoch(clock, capsys):
    train(clock, 0.1, 1200, 2)  # two epochs of a minute
    lines = capsys.readouterr().err.splitlines()
    assert 12 <= len(lines) <= 16
    assert lines[0].startswith("a run: epoch 1/2 1,000 images/s ETA 1:")
    assert "loss" not in lines[0]
    assert lines[-1] == "a run: epoch 2/2 loss 0.00125 val top1 100.00% 1,000 images/s ETA 0:00"


def test_lines_are_at_most_ten_seconds_apart(clock, monkeypatch):
    times = []
    monkeypatch.setattr("builtins.print", lambda *_, **__: times.append(clock.now))
    train(clock, 0.3, 1000, 5)
    assert max(after - before for before, after in zip(times, times[1:], strict=False)) <= 10
    assert times[0] <= 1010


def test_a_short_training_says_its_first_and_its_last_epoch(clock, capsys):
    train(clock, 0.01, 100, 10)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[3] for line in lines] == ["1/10", "10/10"]


def test_a_resumed_training_says_its_first_epoch(clock, capsys):
    train(clock, 0.01, 100, 10, done=50)
    assert "epoch 6/10" in capsys.readouterr().err.splitlines()[0]


TRAINING = f"""
import time
from lskd.jobs.progress import report
with report("a run", "{ADDRESS}", 3, 30, 0, 100) as tell:
    for step in range(1, 31):
        time.sleep(0.05)
        tell.step(step)
        if step % 10 == 0:
            tell.epoch(step // 10, step, 1 / step, 0.5)
"""


def test_a_bar_on_a_terminal(folder):
    written, status = run_on_pty(TRAINING)
    assert status == 0
    assert "━" in written and "epoch 3/3 loss 0.03333 val top1 50.00%" in written
    assert "ETA" not in written
    assert list(folder.iterdir()) == []


def test_lines_on_a_terminal_that_cannot_rewrite():
    written, status = run_on_pty(TRAINING, TERM="dumb")
    assert status == 0
    assert "\x1b" not in written and "━" not in written
    assert written.count("a run: epoch") == 2


def test_a_step_costs_next_to_nothing():
    """Two microseconds on average, the ticks among them; the best of three, as other tests share the machine."""
    costs = []
    for _ in range(3):
        with report("a run", ADDRESS, 30, 500_000, 0, 128) as tell:
            started = time.perf_counter()
            for step in range(500_000):
                tell.step(step)
            costs.append((time.perf_counter() - started) / 500_000)
    assert min(costs) < 2e-6


def test_neither_torch_nor_rich_is_imported():
    heavy = "{'torch', 'pandas', 'rich', 'numpy'}"
    script = f"import sys, lskd.jobs.live, lskd.training.tracking; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (9.6, "0:10"), (151, "2:31"), (3599.7, "1:00:00"), (3751, "1:02:31"), (266551, "3 d 2:02:31")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
