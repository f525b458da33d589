"""Two processes (gloo, on the CPU) against one: the same weights but for rounding; killed, resumed and bereft."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lskd.errors import UserError
from lskd.jobs.progress import process_birth
from lskd.models.resnet_cifar import resnet8
from lskd.study.config import Data, Model, Recipe, Supervision
from lskd.study.runs import Run
from lskd.training.loop import Training, train
from lskd.training.team import Team
from tests import small
from tests.training.taught import store

AUGMENTED = {"crop_padding": 1, "flip": True, "mixup": 0.4}
FILES = ("model.safetensors", "best.safetensors", "history.jsonl")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return small.prepared(tmp_path_factory.mktemp("data"))


def curve(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def same_files(one: Path, two: Path) -> bool:
    return all((one / name).read_bytes() == (two / name).read_bytes() for name in FILES)


def assert_equal_but_for_rounding(one: Path, two: Path) -> None:
    first, second = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.allclose(tensor, second[name], rtol=1e-3, atol=2e-5), name
    for row, other in zip(curve(one), curve(two), strict=True):
        assert row == pytest.approx(other, rel=1e-3)


def assert_all_gone() -> None:
    assert not multiprocessing.active_children() and not torch.distributed.is_initialized()


def two_sizes(model: str, labels: dict, **fields) -> list[Run]:
    """One run for one process and for two; an MLP has dropout."""
    network = Model(name="mlp", width=16, dropout=0.5) if model == "mlp" else Model(name=model, width=4)
    recipes = [small.recipe(processes=size, **fields) for size in (1, 2)]
    return [Run(Data(), network, "short", recipe, Supervision(**labels), 0) for recipe in recipes]


@pytest.mark.parametrize(
    ("model", "labels", "fields"),
    [
        ("resnet8", {"label_smoothing": 0.1}, AUGMENTED),  # batch norm; 61 images, the last batch of 13
        pytest.param(
            "mlp",
            {"way": "online_smoothing"},
            {"grad_clip": 0.5, "optimizer": "adam", "lr": 1e-3},
            marks=pytest.mark.long,
        ),
    ],
)
def test_two_processes_end_with_the_weights_of_one(tmp_path, data, model, labels, fields):
    """Also with dropout, and by a loss that remembers whole batches."""
    one, two = (small.trained(run, tmp_path, data) for run in two_sizes(model, labels, **fields))
    assert one.name != two.name
    assert_equal_but_for_rounding(one, two)
    assert_all_gone()


@pytest.fixture(scope="module")
def weights(tmp_path_factory, data) -> Path:
    return small.trained(small.teacher(), tmp_path_factory.mktemp("teacher"), data)


@pytest.mark.parametrize(
    "how", [{"draws": "online"}, pytest.param({"way": "dist", "temperature": 2.0}, marks=pytest.mark.long)]
)
def test_a_student_of_two_processes_is_that_of_one(tmp_path, data, weights, how):
    """By the teacher's own forward pass, and by stored logits and a loss that compares the samples of a batch."""
    folders = []
    for size in (1, 2):
        student = small.student(small.teacher(), "resnet8", 2, how, processes=size, **AUGMENTED)
        teacher = weights if "draws" in how else store(student, tmp_path, data, weights)
        folders.append(small.trained(student, tmp_path, data, teacher))
    assert_equal_but_for_rounding(*folders)


def at_step(number: int, action):
    """A step of the leader after whose nth something happens."""
    step = Training._step

    def stepping(self, *arguments):
        step(self, *arguments)
        if self.step == number:
            action()

    return stepping


def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path, data, monkeypatch):
    """Stopped by a signal within an epoch; then bereft of its other process after another."""
    run = small.teacher(processes=2, crop_padding=1)
    whole = small.trained(run, tmp_path / "whole", data)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", at_step(6, lambda: os.kill(os.getpid(), signal.SIGTERM)))
        with pytest.raises(SystemExit) as stopped:
            small.trained(run, tmp_path / "broken", data)
    assert stopped.value.code == 143
    assert_all_gone()
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", at_step(9, lambda: multiprocessing.active_children()[0].kill()))
        with pytest.raises(UserError, match=r"process 2 of 2 failed \(killed by SIGKILL\); run again to go on") as lost:
            small.trained(run, tmp_path / "broken", data)
    assert str(lost.value).startswith(run.title)
    assert_all_gone()
    assert same_files(whole, small.trained(run, tmp_path / "broken", data))


def test_what_fails_in_the_other_process_is_told_there_and_ends_the_leader_with_a_line(tmp_path, data, capfd):
    """Here it cannot build the model."""
    work = small.work(small.CATALOGUE.train(small.teacher(processes=2)), tmp_path, {"data": data})
    work.functions["model"] = own_model
    with pytest.raises(UserError, match=r"process 2 of 2 failed \(ended with status 1\); run again"):
        small.run(work, "train")
    assert "error: process 2: ValueError: no such model here\n" in capfd.readouterr().err
    assert_all_gone()


def own_model(*arguments, **options):
    """A model of the leader alone."""
    if multiprocessing.parent_process() is not None:
        raise ValueError("no such model here")
    return resnet8(*arguments, **options)


@pytest.mark.long
def test_no_process_outlives_the_leader(tmp_path, data):
    """Not even one that is killed outright."""
    script = f"""
import multiprocessing, time
from pathlib import Path
from lskd.training.loop import Training, train
from tests import small
step = Training._step
def waiting(self, *arguments):
    print(multiprocessing.active_children()[0].pid, flush=True)
    time.sleep(600)
if __name__ == "__main__":
    Training._step = waiting
    small.trained(small.teacher("mlp", 4, processes=2), Path({str(tmp_path)!r}), Path({str(data)!r}))
"""
    leader = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    follower = int(leader.stdout.readline())
    leader.kill()
    leader.wait()
    end = time.monotonic() + 30
    while process_birth(follower):
        assert time.monotonic() < end, "it lives on"
        time.sleep(0.05)


def test_a_batch_with_too_few_samples_is_told(tmp_path, data):
    run = small.teacher("mlp", 4, processes=4, batch_size=29)  # 61 images: the last batch has 3
    work = small.work(small.CATALOGUE.train(run), tmp_path, {"data": data})
    with pytest.raises(UserError, match="last batch of an epoch has 3 samples, fewer than processes 4; change"):
        train(work, torch.device("cpu"), Team(0, 4))
    with pytest.raises(ValueError, match="processes 4: none may be without samples of batch_size 3"):
        Recipe(processes=4, batch_size=3)


@pytest.mark.parametrize(("samples", "size"), [(7, 2), (8, 2), (13, 4), (4, 4)])
def test_parts_are_in_order_and_cover_the_batch(samples, size):
    teams = [Team(rank, size) for rank in range(size)]
    whole = torch.arange(samples)
    for team in teams:
        team.samples = samples
        assert torch.equal(whole[team.own], team.part(whole))
        assert team.sizes == [len(other.part(whole)) for other in teams]
    assert torch.equal(torch.cat([team.part(whole) for team in teams]), whole)
