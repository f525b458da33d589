"""The loop against a hand-written one; the same bits again, resumed, killed and stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

from lskd import checkpoint
from lskd.config import Labels, canonical
from lskd.data.augment import augment, normalise
from lskd.data.prepared import load_split
from lskd.errors import UserError
from lskd.network import new_model
from lskd.schedule import epoch_batches, pixel_key
from lskd.train import Training, train
from tests import small

ROOT = Path(__file__).parents[1]
FILES = ("model.safetensors", "best.safetensors", "snapshots.safetensors")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return small.prepared(tmp_path_factory.mktemp("data") / "data.safetensors")


def train_run(run, out, data, loss=None, **runtime) -> None:
    train(small.job(run, out, data, **runtime), small.builder(run), loss or small.loss(run))


def same_weights(one: Path, two: Path) -> bool:
    pairs = [(load_file(one / name), load_file(two / name)) for name in FILES]
    return all(a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in pairs)


def curve(folder: Path) -> list[dict]:
    rows = pq.read_table(folder / "history.parquet").to_pylist()
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def hand_written_losses(run, path: Path, rates: list[float]) -> list[float]:
    """SGD as Sutskever's momentum in PyTorch's form, written out: v = m v + g + wd w; w -= lr (v or g + m v)."""
    recipe, split = run.recipe, load_split(path, "train")
    torch.manual_seed(run.seed)
    net = new_model(small.builder(run), run.spec["model"], split, torch.device("cpu"))
    speeds = [torch.zeros_like(weight) for weight in net.parameters()]
    losses = []
    for epoch in range(recipe.epochs):
        for ids in epoch_batches(run.seed, epoch, len(split.labels_n), recipe.batch_size):
            drawn = {"crop_padding": recipe.crop_padding, "flip": recipe.flip}
            images = augment(split.images_nchw[ids], ids, epoch + 1, pixel_key(run.spec), **drawn)
            logits = net(normalise(images, split.mean_c, split.std_c))
            smooth = F.one_hot(split.labels_n[ids], logits.shape[1]).float()
            smooth = smooth * (1 - run.label_smoothing) + run.label_smoothing / logits.shape[1]
            loss = -(smooth * logits.log_softmax(1)).sum(1).mean()
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
    ],
)
def test_losses_are_those_of_a_plain_loop(tmp_path, data, alpha, fields):
    run = small.teacher("resnet8", how=Labels(label_smoothing=alpha), **fields)
    seen: list[float] = []
    loss = small.loss(run)

    def noting(*arguments, **options):
        value = loss(*arguments, **options)
        seen.append(value.item())
        return value

    train_run(run, tmp_path, data, noting)
    steps = 4  # 61 images, 16 a batch
    decays = [0.1 ** sum(milestone <= epoch for milestone in run.recipe.milestones) for epoch in range(3)]
    rates = [0.05 * decay for decay in decays for _ in range(steps)]
    assert seen == pytest.approx(hand_written_losses(run, data, rates), rel=1e-4)
    assert [row["lr"] for row in curve(tmp_path)] == pytest.approx(rates[::steps])


def test_two_trainings_are_equal_to_the_bit_and_write_all_files(tmp_path, data):
    run = small.teacher(crop_padding=1, flip=True, snapshot_epochs=[0, 2])
    for name in "ab":
        train_run(run, tmp_path / name, data)
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([*FILES, "history.parquet"])
    snapshots = load_file(tmp_path / "a" / "snapshots.safetensors")
    assert {name.split("/")[0] for name in snapshots} == {"0", "2"}
    other = small.teacher(crop_padding=1, flip=True, snapshot_epochs=[0, 2], seed=1)
    train_run(other, tmp_path / "c", data)
    assert not same_weights(tmp_path / "a", tmp_path / "c")


def test_every_file_says_what_it_is(tmp_path, data):
    run = small.teacher()
    train_run(run, tmp_path, data)
    said = [json.loads(pq.read_schema(tmp_path / "history.parquet").metadata[b"lskd"])]
    for name in FILES:
        with safe_open(tmp_path / name, "pt") as file:
            said.append(file.metadata())
    assert [one["spec"] for one in said] == [canonical(run.spec)] * 4
    assert [one["code"] for one in said] == ["code"] * 4


def test_best_is_the_first_best_epoch_on_val(tmp_path, data):
    run = small.teacher(epochs=6, lr=0.02, snapshot_epochs=list(range(1, 7)))
    train_run(run, tmp_path, data)
    top1 = [row["val_top1"] for row in curve(tmp_path)]
    first_best = 1 + top1.index(max(top1))
    snapshots, best = load_file(tmp_path / "snapshots.safetensors"), load_file(tmp_path / "best.safetensors")
    last = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(best[name], snapshots[f"{first_best}/{name}"]) for name in best)
    assert all(torch.equal(last[name], snapshots[f"6/{name}"]) for name in last)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_resume_inside_an_epoch_is_exact(tmp_path, data, optimizer, monkeypatch):
    fields = {"optimizer": optimizer, "lr": 0.01, "crop_padding": 1, "snapshot_epochs": [1, 3]}
    run = small.teacher("mlp", 16, **fields)
    train_run(run, tmp_path / "whole", data)
    step = Training._step
    for stop_at in (2, 4, 7, 11):  # 4 steps an epoch

        def stopping(self, *arguments, stop_at=stop_at):
            step(self, *arguments)
            if self.step == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(Training, "_step", stopping)
        with pytest.raises(SystemExit) as stopped:
            train_run(run, tmp_path / "broken", data)
        assert stopped.value.code == 143
    monkeypatch.undo()
    train_run(run, tmp_path / "broken", data)
    assert same_weights(tmp_path / "whole", tmp_path / "broken")
    assert curve(tmp_path / "whole") == curve(tmp_path / "broken")


def test_dropout_does_not_break_an_exact_resume(tmp_path, data, monkeypatch):
    from lskd.config import Data, Model
    from lskd.runs import Run

    run = Run(Data(), Model(name="mlp", width=16, dropout=0.5), "short", small.recipe(), Labels(), 0)
    train_run(run, tmp_path / "whole", data)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "write", lambda self: sys.exit("full disk"))
        with pytest.raises(SystemExit, match="full disk"):
            train_run(run, tmp_path / "broken", data, checkpoint_minutes=1e-6)
    assert (tmp_path / "broken" / checkpoint.NAME).exists()
    torch.rand(7)  # what another process may have drawn
    train_run(run, tmp_path / "broken", data)
    assert same_weights(tmp_path / "whole", tmp_path / "broken")


def test_a_checkpoint_of_another_spec_is_set_aside(tmp_path, data, capsys):
    run, other = small.teacher(), small.teacher(lr=0.01)
    checkpoint.save(tmp_path / "b", {"spec": canonical(other.spec), "code": "code", "inputs": ""}, {"step": 5})
    train_run(run, tmp_path / "a", data)
    train_run(run, tmp_path / "b", data)
    assert "warning" in capsys.readouterr().err
    assert (tmp_path / "b" / "checkpoint.pt.aside").exists()
    assert same_weights(tmp_path / "a", tmp_path / "b")


def test_a_diverging_run_is_one_line_and_leaves_no_results(tmp_path, data):
    run = small.teacher("mlp", 16, lr=1e30, schedule="constant")
    with pytest.raises(UserError, match=r"after epoch 1 at lr 1e\+30; lower recipes\.short\.lr$"):
        train_run(run, tmp_path / "short" / "ls0" / "seed0", data)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_killed_at_20_random_moments_ends_with_the_same_bits(tmp_path):
    data = small.prepared(tmp_path / "data.safetensors", train=240)
    run = small.teacher("resnet8", epochs=20, crop_padding=1, flip=True, snapshot_epochs=[5])
    started = time.monotonic()
    train_run(run, tmp_path / "whole", data, checkpoint_minutes=1e-6)
    longest = 0.06 * (time.monotonic() - started)
    command = [sys.executable, "-m", "tests.killing", canonical(run.spec), data, tmp_path / "broken", "20"]
    done = subprocess.run([*map(str, command), str(longest)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lives = [line.split() for line in done.stdout.splitlines()]
    assert [how for how, _ in lives] == ["killed"] * 20
    assert len({step for _, step in lives}) >= 5, lives  # they died along the way, not all before the first step
    assert same_weights(tmp_path / "whole", tmp_path / "broken")
    assert curve(tmp_path / "whole") == curve(tmp_path / "broken")


def test_sigterm_from_the_shell_is_one_line_and_143_and_resumes(tmp_path):
    data = small.prepared(tmp_path / "data.safetensors", train=240)
    run = small.teacher("resnet8", epochs=15)
    runtime = {"device": "cpu", "checkpoint_minutes": 1e-6}
    environment = os.environ | {"LSKD_RUNTIME": json.dumps(runtime)}

    def start(out: Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "lskd.train", "--spec", canonical(run.spec), "--data", data, "--out", out]
        return subprocess.Popen([*map(str, command)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)

    process = start(tmp_path / "broken")
    end = time.monotonic() + 60
    while not (tmp_path / "broken" / checkpoint.NAME).exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(random.Random(1).uniform(0, 0.1))
    process.terminate()
    said = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 143
    assert [line for line in said if line.startswith("error:")] == [said[-1]]
    assert "stopped by SIGTERM" in said[-1]
    assert str(tmp_path / "broken") in said[-1]
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    again = start(tmp_path / "broken")
    again.communicate(timeout=120)
    assert again.returncode == 0
    whole = start(tmp_path / "whole")
    whole.communicate(timeout=120)
    assert same_weights(tmp_path / "whole", tmp_path / "broken")
