"""The loop against a hand-written one; the same bits again, resumed, killed and stopped; precisions."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

from lskd.data.augment import normalise
from lskd.data.sources import load_source
from lskd.errors import UserError
from lskd.io.layout import TRACE
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import execute, resolve
from lskd.models.network import new_model
from lskd.study.config import Data, Model, Supervision
from lskd.study.runs import Run
from lskd.training import checkpoint
from lskd.training.loop import Training
from lskd.training.schedules import epoch_batches, pixel_key
from tests import pixels, small

ROOT = Path(__file__).parents[2]
FILES = ("model.safetensors", "best.safetensors", "snapshots.safetensors")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return small.prepared(tmp_path_factory.mktemp("data"))


def same_files(one: Path, two: Path) -> bool:
    return all((one / name).read_bytes() == (two / name).read_bytes() for name in (*FILES, "history.jsonl"))


def curve(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def work_of(run: Run, root: Path, data: Path, **runtime):
    return small.work(small.CATALOGUE.train(run), root, {"data": data}, **runtime)


def drawn(run, images, labels_n, epoch) -> tuple[torch.Tensor, torch.Tensor]:
    """All training images as they are seen in an epoch, and their smoothed labels."""
    recipe, key = run.recipe, pixel_key(run.spec)
    seen = pixels.augment(images, range(len(images)), epoch + 1, key, recipe.crop_padding, recipe.flip)
    smooth = F.one_hot(labels_n, 3).float() * (1 - run.label_smoothing) + run.label_smoothing / 3
    return torch.from_numpy(seen), smooth


def blends(run, ids: list[int], epoch: int, samples: int) -> tuple[list[int], torch.Tensor]:
    """With which sample each is blended, and its own share: all of it without mixup."""
    key, alpha = pixel_key(run.spec), run.recipe.mixup
    others = [pixels.partner(key, i, epoch + 1, samples) for i in ids]
    return others, torch.tensor([pixels.share(key, i, epoch + 1, alpha) if alpha else 1.0 for i in ids])


def hand_written_losses(run, data: Path, rates: list[float]) -> list[float]:
    """SGD as Sutskever's momentum in PyTorch's form, written out: v = m v + g + wd w; w -= lr (v or g + m v)."""
    recipe, source = run.recipe, load_source(data / "data.safetensors", "train", torch.device("cpu"))
    images = small.noisy()["train_images"]
    build = resolve(model_entry(run.model))
    torch.manual_seed(run.seed)
    net = new_model(build, run.spec["model"], source)
    speeds = [torch.zeros_like(weight) for weight in net.parameters()]
    losses = []
    for epoch in range(recipe.epochs):
        seen, smooth = drawn(run, images, source.labels_n, epoch)
        for ids in epoch_batches(run.seed, epoch, len(source), recipe.batch_size):
            others, shares = blends(run, ids.tolist(), epoch, len(source))
            first, second = (normalise(seen[each], source.mean_c, source.std_c) for each in (ids, others))
            inputs = shares[:, None, None, None] * first + (1 - shares[:, None, None, None]) * second
            targets = shares[:, None] * smooth[ids] + (1 - shares[:, None]) * smooth[others]
            logits = net(inputs if recipe.mixup else first)
            loss = -(targets * logits.log_softmax(1)).sum(1).mean()
            grads = torch.autograd.grad(loss * recipe.loss_scale, list(net.parameters()))
            if recipe.grad_clip:
                norm = torch.sqrt(sum((grad**2).sum() for grad in grads))
                grads = [grad * min(1.0, recipe.grad_clip / (norm.item() + 1e-6)) for grad in grads]
            with torch.no_grad():
                for weight, grad, speed in zip(net.parameters(), grads, speeds, strict=True):
                    grad = grad + recipe.weight_decay * weight
                    speed.mul_(recipe.momentum).add_(grad)
                    step = grad + recipe.momentum * speed if recipe.nesterov else speed
                    weight.sub_(rates[len(losses)] * step)
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("alpha", "fields"),
    [
        (0.0, {"weight_decay": 1e-2, "schedule": "multistep", "milestones": [1, 2], "crop_padding": 1, "flip": True}),
        (0.1, {"nesterov": True, "loss_scale": 3.0, "grad_clip": 1.0, "schedule": "constant"}),
        (0.1, {"schedule": "constant", "crop_padding": 1, "flip": True, "mixup": 0.4}),
    ],
)
def test_losses_are_those_of_a_plain_loop(tmp_path, data, alpha, fields):
    run = small.teacher("resnet8", labels={"label_smoothing": alpha}, **fields)
    work = work_of(run, tmp_path, data)
    seen: list[float] = []
    loss = work.functions["loss"]

    def noting(*arguments, **options):
        value = loss(*arguments, **options)
        seen.append(value.item())
        return value

    work.functions["loss"] = noting
    folder = small.run(work, "train")
    steps = 4  # 61 images, 16 a batch
    decays = [0.1 ** sum(milestone <= epoch for milestone in run.recipe.milestones or []) for epoch in range(3)]
    rates = [0.05 * decay for decay in decays for _ in range(steps)]
    assert seen == pytest.approx(hand_written_losses(run, data, rates), rel=1e-4)
    assert [row["lr"] for row in curve(folder)] == pytest.approx(rates[::steps])


def test_two_trainings_are_equal_to_the_bit_and_write_all_files(tmp_path, data):
    run = small.teacher(crop_padding=1, flip=True, snapshot_epochs=[0, 2])
    one, two = (small.trained(run, tmp_path / name, data) for name in "ab")
    assert same_files(one, two)
    assert sorted(path.name for path in one.iterdir()) == sorted([*FILES, "history.jsonl", "record.json", TRACE])
    assert [row["epoch"] for row in curve(one)] == [1, 2, 3]
    snapshots = load_file(one / "snapshots.safetensors")
    assert {name.split("/")[0] for name in snapshots} == {"0", "2"}
    other = small.teacher(crop_padding=1, flip=True, snapshot_epochs=[0, 2], seed=1)
    assert not same_files(one, small.trained(other, tmp_path / "c", data))


def test_every_file_says_what_it_is(tmp_path, data):
    run = small.teacher()
    folder = small.trained(run, tmp_path, data)
    for name in FILES:
        with safe_open(folder / name, "pt") as file:
            origin = json.loads(file.metadata()["lskd"])
        assert origin == {"title": run.title, "address": folder.name[-10:], "spec": run.spec}


def test_best_is_the_first_best_epoch_on_val(tmp_path, data):
    run = small.teacher(epochs=6, lr=0.02, snapshot_epochs=list(range(1, 7)))
    folder = small.trained(run, tmp_path, data)
    top1 = [row["val_top1"] for row in curve(folder)]
    first_best = 1 + top1.index(max(top1))
    snapshots, best, last = (load_file(folder / f"{name}.safetensors") for name in ("snapshots", "best", "model"))
    assert all(torch.equal(best[name], snapshots[f"{first_best}/{name}"]) for name in best)
    assert all(torch.equal(last[name], snapshots[f"6/{name}"]) for name in last)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_resume_inside_an_epoch_is_exact(tmp_path, data, optimizer, monkeypatch):
    fields = {"optimizer": optimizer, "lr": 0.01, "crop_padding": 1, "snapshot_epochs": [1, 3]}
    run = small.teacher("mlp", 16, **fields)
    whole = small.trained(run, tmp_path / "whole", data)
    step = Training._step
    for stop_at, number in ((2, signal.SIGTERM), (4, signal.SIGINT), (7, signal.SIGTERM), (11, signal.SIGTERM)):

        def stopping(self, *arguments, stop_at=stop_at, number=number):
            step(self, *arguments)  # 4 steps an epoch
            if self.step == stop_at:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(Training, "_step", stopping)
        with pytest.raises(SystemExit) as stopped:
            small.trained(run, tmp_path / "broken", data)
        assert stopped.value.code == 128 + number
    monkeypatch.undo()
    assert same_files(whole, small.trained(run, tmp_path / "broken", data))


@pytest.mark.parametrize(
    "labels",
    [
        {"way": "maxsup", "suppression": 0.2},
        {"way": "online_smoothing"},
        {"way": "squared_error"},
        {"way": "tf_kd_reg", "temperature": 20.0, "soft_weight": 0.1},
    ],
)
def test_each_way_of_teaching_by_labels_trains(tmp_path, data, labels):
    history = curve(small.trained(small.teacher("mlp", 16, labels, mixup=0.2), tmp_path, data))
    assert history[-1]["train_loss"] < history[0]["train_loss"] and history[-1]["val_top1"] > 0.5


def test_a_loss_that_remembers_resumes_exactly_inside_an_epoch_and_between_two(tmp_path, data, monkeypatch):
    run = small.teacher("mlp", 16, {"way": "online_smoothing", "hard_weight": 0.2}, crop_padding=1)
    plain = small.teacher("mlp", 16, crop_padding=1)
    whole = small.trained(run, tmp_path / "whole", data)
    assert not same_files(whole, small.trained(plain, tmp_path / "plain", data))
    step = Training._step
    for stop_at in (2, 4, 7):  # 4 steps an epoch

        def stopping(self, *arguments, stop_at=stop_at):
            step(self, *arguments)
            if self.step == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(Training, "_step", stopping)
        with pytest.raises(SystemExit):
            small.trained(run, tmp_path / "broken", data)
        saved = torch.load(next(tmp_path.glob(f"broken/*/{checkpoint.NAME}")), weights_only=True)
        assert bool(saved["state"]["loss"]["sums"].any()) == bool(stop_at % 4)  # an epoch's end empties them
    monkeypatch.undo()
    assert same_files(whole, small.trained(run, tmp_path / "broken", data))


def test_dropout_does_not_break_an_exact_resume(tmp_path, data, monkeypatch):
    run = Run(Data(), Model(name="mlp", width=16, dropout=0.5), "short", small.recipe(), Supervision(), 0)
    whole = small.trained(run, tmp_path / "whole", data)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "write", lambda self: sys.exit("full disk"))
        with pytest.raises(SystemExit, match="full disk"):
            small.trained(run, tmp_path / "broken", data, checkpoint_minutes=1e-6)
    assert list(tmp_path.glob(f"broken/*/{checkpoint.NAME}"))
    torch.rand(7)  # what another process may have drawn
    assert same_files(whole, small.trained(run, tmp_path / "broken", data))


def test_the_history_is_readable_while_it_trains_and_whole_after_a_resume(tmp_path, data, monkeypatch):
    run = small.teacher("mlp", 16)
    seen = []
    end = Training.end_epoch

    def ending(self, *arguments):
        end(self, *arguments)
        seen.append(len(curve(self.work.folder)))
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Training, "end_epoch", ending)
    with pytest.raises(SystemExit):
        small.trained(run, tmp_path, data)
    with next(tmp_path.glob("*/history.jsonl")).open("a") as file:
        file.write('{"epoch": 3, "cut')  # of a process that was killed as it wrote
    folder = small.trained(run, tmp_path, data)
    assert seen == [1, 2, 3]
    assert [row["epoch"] for row in curve(folder)] == [1, 2, 3]


@pytest.mark.parametrize("change", ["address", "data"])
def test_a_checkpoint_of_another_job_or_other_data_is_set_aside(tmp_path, data, capsys, change):
    run = small.teacher("mlp", 16)
    whole = small.trained(run, tmp_path / "a", data)
    work = work_of(run, tmp_path / "b", data)
    key = {"address": work.address, "data": json.loads((data / "record.json").read_text())["files"]["data.safetensors"]}
    checkpoint.save(work.folder, key | {change: "0"}, {"step": 5})
    folder = small.run(work, "train")
    assert f"another {change}" in capsys.readouterr().err
    assert (folder / "checkpoint.pt.aside").exists()
    assert same_files(whole, folder)


def test_a_diverging_run_is_one_line_and_leaves_no_results(tmp_path, data):
    run = small.teacher("mlp", 16, lr=1e6, schedule="constant")
    with pytest.raises(UserError, match=r"after epoch 1 at lr 1e\+06; lower its recipe's lr$") as caught:
        small.trained(run, tmp_path, data)
    assert str(caught.value).startswith(f"{run.title}: the loss is")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_damaged_data_is_not_trained_on(tmp_path):
    data = small.prepared(tmp_path)
    small.flip(data / "data.safetensors")
    with pytest.raises(UserError, match=r"data\.safetensors: damaged, .*; make it anew: rm -rf "):
        small.trained(small.teacher(), tmp_path, data)


@pytest.mark.parametrize("amp", ["bfloat16", "float16"])
def test_a_lower_precision_trains_and_is_noted(tmp_path, data, amp):
    fields = {"crop_padding": 1, "grad_clip": 1.0, "epochs": 6}
    run = small.teacher(amp=amp, **fields)
    work = work_of(run, tmp_path / "half", data)
    folder = small.run(work, "train")
    assert work.environment["precision"] == amp
    plain = work_of(small.teacher(**fields), tmp_path / "full", data)
    full = small.run(plain, "train")
    assert plain.environment["precision"] == "float32"
    assert work.address != plain.address
    losses, others = ([row["train_loss"] for row in curve(each)] for each in (folder, full))
    assert losses != others
    assert losses == pytest.approx(others, rel=0.1)
    assert losses[-1] < losses[0]
    assert load_file(folder / "model.safetensors")["head.weight"].dtype == torch.float32


@pytest.mark.parametrize("amp", ["bfloat16", "float16"])
def test_a_lower_precision_resumes_exactly(tmp_path, data, amp, monkeypatch):
    run = small.teacher("mlp", 16, amp=amp)
    whole = small.trained(run, tmp_path / "whole", data)
    step = Training._step

    def stopping(self, *arguments):
        step(self, *arguments)
        if self.step == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", stopping)
        with pytest.raises(SystemExit):
            small.trained(run, tmp_path / "broken", data)
    assert same_files(whole, small.trained(run, tmp_path / "broken", data))


def test_channels_last_moves_numbers_by_rounding_and_is_noted(tmp_path, data):
    run = small.teacher()
    plain, last = (work_of(run, tmp_path / str(on), data, channels_last=on) for on in (False, True))
    one, two = (curve(small.run(work, "train")) for work in (plain, last))
    assert [row["train_loss"] for row in one] == pytest.approx([row["train_loss"] for row in two], rel=1e-3)
    assert plain.address == last.address
    assert (plain.environment["memory format"], last.environment["memory format"]) == ("contiguous", "channels_last")


def run_of_results(root: Path, **fields):
    """The same job in a folder of results of its own."""
    return small.catalogue(root, train=240).train(small.teacher("resnet8", **fields))


def test_killed_at_20_random_moments_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("LSKD_RUNTIME", json.dumps({"device": "cpu", "checkpoint_minutes": 1e-6}))
    monkeypatch.setenv("LSKD_RUNNING", str(tmp_path / "running"))
    fields = {"epochs": 20, "crop_padding": 1, "flip": True, "snapshot_epochs": [5]}
    whole, broken = (run_of_results(tmp_path / name, **fields) for name in ("whole", "broken"))
    execute(whole.described(), tmp_path / "whole")  # which also imports
    (whole.folder / "record.json").unlink()
    started = time.monotonic()
    execute(whole.described(), tmp_path / "whole")
    longest = 0.06 * (time.monotonic() - started)
    small.write_job(broken)
    job = tmp_path / "broken" / ".jobs" / f"{broken.address}.json"
    command = [sys.executable, "-m", "tests.killing", job, tmp_path / "broken", "20", longest]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lives = [line.split() for line in done.stdout.splitlines()]
    assert [how for how, _ in lives] == ["killed"] * 20
    assert len({step for _, step in lives}) >= 5, lives  # they died along the way, not all before the first step
    assert same_files(whole.folder, broken.folder)
    assert (whole.folder / TRACE).read_bytes() == (broken.folder / TRACE).read_bytes()
    files = sorted([*(path.name for path in broken.paths), TRACE])
    assert sorted(path.name for path in broken.folder.iterdir()) == files


def test_sigterm_from_the_shell_is_one_line_and_143_and_resumes(tmp_path):
    runtime = {"device": "cpu", "checkpoint_minutes": 1e-6}
    environment = os.environ | {"LSKD_RUNTIME": json.dumps(runtime), "LSKD_RUNNING": str(tmp_path / "running")}
    broken, whole = (run_of_results(tmp_path / name, epochs=15) for name in ("broken", "whole"))

    def start(job) -> subprocess.Popen:
        command = [sys.executable, "-m", "lskd.jobs.run", str(small.write_job(job))]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)

    process = start(broken)
    end = time.monotonic() + 60
    while not (broken.folder / checkpoint.NAME).exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(random.Random(1).uniform(0, 0.1))
    process.terminate()
    (line,) = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 143
    assert line.startswith(f"error: {broken.title}: stopped by SIGTERM (a scheduler's, or kill's) after step ")
    assert line in (broken.folder / "train.log").read_text()
    assert not (broken.folder / "model.safetensors").exists()
    assert start(broken).wait(120) == start(whole).wait(120) == 0
    assert same_files(whole.folder, broken.folder)
