"""The bench beside other libraries: its grid comes to an end, and its table divides turn by turn."""

import argparse
import importlib.metadata

import numpy as np
import pytest
import torch
from torch import nn

from workflow.bench import peers


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """Images of ten classes that are easily told apart."""
    monkeypatch.setitem(peers.RECIPE, "epochs", 4)
    draw = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 400), ("test", 100)):
        labels = np.arange(count) % 10
        pixels = draw.integers(0, 60, (count, 28, 28))
        pixels[np.arange(count), 2 * labels] = 255  # a bright row
        arrays |= {f"x_{split}": pixels.astype(np.uint8), f"y_{split}": labels}
    np.savez(tmp_path / "images.npz", **arrays)
    return peers.loaders(tmp_path)


def test_train_and_val_share_no_image(batches):
    train, val = (set(batches[split].dataset.indices) for split in ("train", "val"))
    assert (len(train), len(val), len(batches["test"].dataset)) == (360, 40, 100)
    assert not train & val


@pytest.mark.parametrize("teach", [peers.by_loop, peers.in_memory])
def test_the_loop_teaches_eight_students(batches, teach):
    accuracies, teachers = peers.grid(batches, teach, "registered", nn.MaxPool2d(2))
    assert len(accuracies) == 8 and teachers > 0
    assert np.mean(accuracies) > 0.3  # of chance's 0.1


@pytest.mark.parametrize("name", peers.BUILDERS)
def test_networks_pool_as_pytorch_does_with_the_same_numbers(name):
    torch.manual_seed(0)
    plain, ours = (peers.built(name, 4, pooling).eval() for pooling in (nn.MaxPool2d(2), peers.Pool()))
    ours.load_state_dict(plain.state_dict())
    images_nchw = torch.randn(8, *peers.IMAGE)
    assert not any(isinstance(module, peers.Pool) for module in plain.modules())
    with torch.no_grad():
        assert torch.equal(plain(images_nchw), ours(images_nchw))


def test_the_table_divides_turn_by_turn(capsys, monkeypatch):
    monkeypatch.setattr(peers, "version", lambda name: importlib.metadata.version("torch"))  # it is no package of tests
    taken = {
        way: [{"cpu": cpu, "students": cpu**2, "wall": 1.0, "memory": 2.0, "accuracy": 0.5} for cpu in cpus]
        for way, cpus in {"torchdistill": (100, 200, 400), "plain loop": (50, 50, 50), "lskd": (10, 40, 40)}.items()
    }
    peers.print_table(taken, argparse.Namespace(rounds=3, images=1, epochs=2, networks="small"))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("lskd")]
    assert "40.0 (10.0 to 40.0)" in row
    assert "0.10 (0.10 to 0.20)" in row
    assert "0.01 (0.01 to 0.04)" in row
