"""GPU leases between real processes."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lskd.errors import UserError
from lskd.jobs.work import Work
from lskd.study.runtime import Runtime
from lskd.training.device import device_of, lease, lease_slots

HOLDER = """
import os, sys, time
from pathlib import Path
from lskd.training.device import lease_slots
folder, log, names = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
slots, seconds = int(sys.argv[4]), float(sys.argv[5])
def note(what, index):
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{what} {names[index]}\\n".encode())
    os.close(handle)
with lease_slots(folder, names, slots) as (index,):
    note("take", index)
    time.sleep(seconds)
    note("free", index)
"""

FAULTS = """
import resource, sys
import torch
from lskd.study.runtime import Runtime
from lskd.training.device import lease
def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [torch.ones(1 << 20) for _ in range(12)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for number in range(12):
    print(step())
    if number == 3:
        lease(Runtime(device="cpu")).__enter__()
"""


def start(folder: Path, log: Path, names: str, slots: int, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", HOLDER, str(folder), str(log), names, str(slots), str(seconds)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_never_more_holders_than_slots_and_all_get_their_turn(tmp_path):
    log = tmp_path / "log"
    processes = [start(tmp_path / "locks", log, "gpu-a,gpu-b", 2, 0.3) for _ in range(6)]
    assert [process.wait(60) for process in processes] == [0] * 6
    held, most = {"gpu-a": 0, "gpu-b": 0}, 0
    for line in lines(log):
        what, name = line.split()
        held[name] += 1 if what == "take" else -1
        most = max(most, held[name])
    assert most <= 2
    assert len(lines(log)) == 12


def test_a_killed_holder_frees_its_slot(tmp_path):
    log = tmp_path / "log"
    first = start(tmp_path / "locks", log, "gpu-a", 1, 600)
    wait_for(lambda: lines(log) == ["take gpu-a"])
    second = start(tmp_path / "locks", log, "gpu-a", 1, 0)
    time.sleep(0.5)
    assert second.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert second.wait(60) == 0
    assert lines(log) == ["take gpu-a", "take gpu-a", "free gpu-a"]


def test_free_devices_come_first(tmp_path):
    with lease_slots(tmp_path, ["a", "b"], 2) as one, lease_slots(tmp_path, ["a", "b"], 2) as two:
        assert (one, two) == ([0], [1])
        with lease_slots(tmp_path, ["a", "b"], 2) as three:
            assert three == [0]


def test_several_devices_are_taken_at_once_and_never_one_twice(tmp_path):
    names = ["a", "b", "c"]
    with lease_slots(tmp_path, names, 1, 2) as pair:
        assert pair == [0, 1]
        log = tmp_path / "log"
        other = start(tmp_path, log, "a,b,c", 1, 0.0)  # takes the one that is left, which nobody holds while it waits
        assert other.wait(60) == 0 and lines(log) == ["take c", "free c"]
    with lease_slots(tmp_path, names, 1, 3) as every, pytest.raises(UserError, match="processes 4, .* 3 GPUs; lower"):
        assert every == [0, 1, 2]
        lease_slots(tmp_path, names, 1, 4).__enter__()
    with lease_slots(tmp_path, names, 2) as first, lease_slots(tmp_path, names, 2, 3) as shared:
        assert first == [0] and sorted(shared) == [0, 1, 2] and shared[:2] == [1, 2]  # free ones first


def test_the_cpu_needs_no_lease_and_gets_its_threads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    with lease(Runtime(device="cpu", threads=2)) as (device,):
        assert (device.type, torch.get_num_threads()) == ("cpu", 2)
    torch.set_num_threads(before)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have limits of their own")
def test_on_a_cpu_what_a_step_frees_is_kept_for_the_next():
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    faults = [int(line) for line in done.stdout.split()]
    assert min(faults[:4]) > 1000 and max(faults[-4:]) < 100, faults  # the first ones after it take what they need


def test_cuda_without_a_gpu_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # the same on a machine that has one
    with pytest.raises(UserError, match=r"runtime\.device: found cuda"), lease(Runtime(device="cuda")):
        pass


def environment_of(tmp_path, precision="float32", **runtime) -> dict[str, str]:
    work = Work("t", "0123456789", {}, tmp_path, {}, {}, Runtime(device="cpu", **runtime))
    with device_of(work, precision) as device:
        assert device.type == "cpu"
    return work.environment


def test_what_moves_numbers_by_rounding_is_noted(tmp_path):
    before = torch.get_num_threads()
    plain = environment_of(tmp_path)
    assert plain["device"].startswith("CPU (") and plain["torch"] == torch.__version__
    assert (plain["precision"], plain["compile"]) == ("float32", "false")
    changed = {
        "threads": environment_of(tmp_path, threads=2),
        "memory format": environment_of(tmp_path, channels_last=True),
        "precision": environment_of(tmp_path, "bfloat16"),
    }
    for name, environment in changed.items():
        assert {key for key in plain if plain[key] != environment[key]} == {name}
    assert environment_of(tmp_path, compile=True, checkpoint_minutes=5.0, workers=7, runs_per_gpu=3) == plain
    torch.set_num_threads(before)
