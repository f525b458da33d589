"""A training's trace: which epochs it has, that today's training passes it, and that each part of it can fail."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lskd.errors import UserError
from lskd.io.layout import TRACE
from lskd.training import trace
from lskd.training.loop import Training
from tests import small

FIELDS = {"epochs": 12, "crop_padding": 1, "snapshot_epochs": [2]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.prepared(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    """Of a network with batch norm."""
    return small.trained(small.teacher(**FIELDS), tmp_path_factory.mktemp("run"), data)


def told(folder):
    with safe_open(folder / TRACE, "pt") as file:
        return json.loads(file.metadata()["lskd"])


def compared(run, root, data, kept):
    """Compare a run with a trace; the folder into which it wrote."""
    work = small.work(small.CATALOGUE.train(run), root, {"data": data})
    work.kept = kept
    work.functions["run"](work)
    return work.folder


def test_it_has_eight_epochs_with_the_first_and_the_last(trained):
    epochs = told(trained)["epochs"]
    assert sorted(map(int, epochs)) == [0, 1, 3, 4, 6, 7, 9, 11]
    losses = [epoch["after"]["losses"] for epoch in epochs.values()]
    assert all(len(bytes.fromhex(each)) == 4 * 4 for each in losses)  # 61 images, 16 a batch
    assert not (trained / trace.PART).exists()


def test_a_large_network_keeps_two(monkeypatch, tmp_path, data):
    monkeypatch.setattr(trace, "MOST_BYTES", 1)
    folder = small.trained(small.teacher(**FIELDS), tmp_path, data)
    assert sorted(map(int, told(folder)["epochs"])) == [0, 11]


def test_the_same_code_passes_and_writes_the_same_files(trained, tmp_path, data):
    folder = compared(small.teacher(**FIELDS), tmp_path, data, trained / TRACE)
    for name in ("model.safetensors", "best.safetensors", "snapshots.safetensors", "history.jsonl"):
        assert (folder / name).read_bytes() == (trained / name).read_bytes()


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"seed": 1}, "epoch 1 has another plan: batches"),
        ({"epochs": 11}, "it has 11 epochs, not 12"),
        ({"lr": 0.06}, "epoch 1 has another plan: learning rates"),
        ({"snapshot_epochs": [2, 3]}, "epoch 3 has another plan: snapshots"),
        ({"weight_decay": 0.01}, "epoch 1: step 2 has loss"),
        ({"crop_padding": 2}, "epoch 1: step 1 has loss"),
    ],
)
def test_another_training_does_not(trained, tmp_path, data, changed, difference):
    with pytest.raises(UserError, match=difference):
        compared(small.teacher(**FIELDS | changed), tmp_path, data, trained / TRACE)


@pytest.mark.parametrize("part", ["model", "optimizer", "best", "snapshots", "losses", "row"])
def test_every_part_counts(trained, tmp_path, data, part):
    """Of the fifth epoch, what was kept is changed in one place."""
    tensors, kept = load_file(trained / TRACE), told(trained)
    after = kept["epochs"]["4"]["after"]
    if part == "losses":
        after[part] = "00" + after[part][2:]
    elif part == "row":
        after[part]["val_loss"] += 1e-9
    else:
        after["state"][part] = "0" * 16
    path = tmp_path / TRACE
    save_file(tensors, path, {"lskd": json.dumps(kept)})
    said = {"losses": "step 1 has loss", "row": "val_loss is"}.get(part, f"{part} has other values at its end")
    with pytest.raises(UserError, match=f"epoch 5: {said}"):
        compared(small.teacher(**FIELDS), tmp_path, data, path)


def test_a_kept_state_of_other_bits_is_seen(trained, tmp_path, data):
    tensors, kept = load_file(trained / TRACE), told(trained)
    name = next(name for name in sorted(tensors) if name.startswith("7/model/") and tensors[name].is_floating_point())
    tensors[name] = torch.nextafter(tensors[name], torch.tensor(2.0))
    path = tmp_path / TRACE
    save_file(tensors, path, {"lskd": json.dumps(kept)})
    with pytest.raises(UserError, match="epoch 8: "):
        compared(small.teacher(**FIELDS), tmp_path, data, path)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\xff" * 100])
def test_a_damaged_one_is_told_in_a_line(tmp_path, data, content):
    path = tmp_path / TRACE
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"trace\.safetensors: missing or damaged"):
        compared(small.teacher(**FIELDS), tmp_path, data, path)


def test_several_processes_keep_none(data, tmp_path):
    from lskd.training.team import Team

    work = small.work(small.CATALOGUE.train(small.teacher(batch_size=30)), tmp_path, {"data": data})
    training = Training(work, torch.device("cpu"), Team(0, 1), lambda epoch: ((epoch,), None), {})
    assert training.trace.epochs
    training.team.size = 2
    assert not trace.Trace(training).epochs
