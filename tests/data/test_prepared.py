import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from lskd.data.digits import load
from lskd.data.prepare import prepare, write
from lskd.data.prepared import load_split
from lskd.errors import UserError


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray]]:
    tensors, metadata = prepare(load, Path(), val_fraction=0.1, image_size=8, test_fraction=0.2, workers=1)
    path = tmp_path_factory.mktemp("prepared") / "data.safetensors"
    write(path, tensors, metadata)
    return path, tensors


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_round_trip(stored, split):
    path, tensors = stored
    loaded = load_split(path, split)
    assert loaded.images_nchw.dtype == torch.uint8 and loaded.labels_n.dtype == torch.int64
    assert (loaded.images_nchw.numpy() == tensors[f"{split}_images"]).all()
    assert (loaded.labels_n.numpy() == tensors[f"{split}_labels"]).all()
    assert loaded.mean_c.dtype == loaded.std_c.dtype == torch.float32
    pixels = tensors["train_images"] / 255  # train's, for every split
    assert loaded.mean_c.item() == pytest.approx(pixels.mean(), rel=1e-6)
    assert loaded.std_c.item() == pytest.approx(pixels.std(), rel=1e-6)
    assert loaded.classes == list("0123456789")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def overwrite_start(path: Path) -> None:
    path.write_bytes(b"\xff" * 20 + path.read_bytes()[20:])


def another_file(path: Path) -> None:
    save_file({"weight": np.zeros(3)}, path)


@pytest.mark.parametrize("damage", [cut, overwrite_start, another_file, Path.unlink])
def test_damage_ends_in_one_line(damage, stored, tmp_path):
    path = tmp_path / "data.safetensors"
    path.write_bytes(stored[0].read_bytes())
    damage(path)
    with pytest.raises(UserError) as caught:
        load_split(path, "train")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
