import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lskd.data.arrays import Arrays
from lskd.data.classes import read_classes
from lskd.data.digits import load as load_digits
from lskd.data.prepare import channel_statistics, prepare, write
from lskd.errors import UserError

OPTIONS = {"val_fraction": 0.1, "image_size": 8, "test_fraction": 0.2, "workers": 1}


def arrays(**changes) -> Arrays:
    rng = np.random.default_rng(0)
    whole = {
        "train_images": rng.integers(0, 256, (40, 3, 4, 5), dtype=np.uint8),
        "train_labels": np.arange(40) % 4,
        "test_images": rng.integers(0, 256, (8, 3, 4, 5), dtype=np.uint8),
        "test_labels": np.arange(8) % 4,
        "classes": ("a", "b", "ü", "d"),
    }
    return Arrays(**{**whole, **changes})


def prepare_arrays(data: Arrays, **changes):
    return prepare(lambda root, **_: data, Path("data"), **{**OPTIONS, **changes})


def test_val_is_a_disjoint_part_of_train_and_nothing_is_lost():
    data = load_digits(Path(), image_size=8, test_fraction=0.2, workers=1)
    tensors, _ = prepare(load_digits, Path(), **OPTIONS)
    together = np.concatenate([tensors["train_images"], tensors["val_images"]])
    assert sorted(image.tobytes() for image in together) == sorted(image.tobytes() for image in data.train_images)
    train, val = np.bincount(tensors["train_labels"]), np.bincount(tensors["val_labels"])
    assert (train + val == np.bincount(data.train_labels)).all()
    assert (abs(val - 0.1 * (train + val)) <= 0.5).all()
    assert (tensors["test_images"] == data.test_images).all() and (tensors["test_labels"] == data.test_labels).all()


def test_val_depends_on_the_labels_alone():
    data = arrays()
    inverted = arrays(train_images=255 - data.train_images)
    first, second = prepare_arrays(data)[0], prepare_arrays(inverted)[0]
    assert (first["val_images"] == 255 - second["val_images"]).all()
    assert np.bincount(first["val_labels"]).tolist() == [1, 1, 1, 1]


def test_metadata():
    tensors, metadata = prepare_arrays(arrays())
    pixels = tensors["train_images"].transpose(1, 0, 2, 3).reshape(3, -1) / 255
    np.testing.assert_allclose(metadata["mean"], pixels.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(metadata["std"], pixels.std(axis=1), rtol=1e-12)
    assert metadata["classes"] == ["a", "b", "ü", "d"]


def test_statistics_of_many_blocks_and_of_a_constant_channel():
    images = np.random.default_rng(1).integers(0, 256, (2500, 2, 3, 3), dtype=np.uint8)
    images[:, 1] = 7
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, [images[:, 0].mean() / 255, 7 / 255], rtol=1e-12)
    np.testing.assert_allclose(std, [images[:, 0].std() / 255, 1 / 255], rtol=1e-12)


def test_the_same_data_give_the_same_bytes(tmp_path):
    """What trains on them tells them by their digest; safetensors writes several keys of metadata in any order."""
    tensors, metadata = prepare_arrays(arrays())
    paths = [tmp_path / str(i) for i in range(8)]
    for path in paths:
        write(path, tensors, {"title": "t", "spec": {"b": 1, "a": 2}} | metadata)
    assert len({path.read_bytes() for path in paths}) == 1


def test_what_is_written_is_what_was_prepared(tmp_path):
    tensors, metadata = prepare_arrays(arrays())
    path = tmp_path / "new" / "data.safetensors"
    write(path, tensors, metadata)
    stored = load_file(path)
    assert stored.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert stored[name].dtype == tensor.dtype and (stored[name] == tensor).all()
    assert read_classes(path) == ["a", "b", "ü", "d"]
    assert [entry.name for entry in path.parent.iterdir()] == ["data.safetensors"]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"train_labels": np.arange(40) % 5}, "0 to 3 are allowed"),
        ({"test_labels": np.arange(8) - 1}, "from -1 to 6"),
        ({"train_labels": np.arange(40) % 3}, "class 'd' has 0 training image(s)"),
        ({"train_labels": np.minimum(np.arange(40), 3)[::-1].copy()}, "class 'a' has 1 training image(s)"),
        ({"train_labels": np.arange(39) % 4}, "40 images but labels"),
        ({"train_labels": np.arange(40) % 4.0}, "labels float64"),
        ({"test_images": np.zeros((0, 3, 4, 5), np.uint8), "test_labels": np.zeros(0, np.int64)}, "test has 0 images"),
        ({"test_images": np.zeros((8, 1, 4, 5), np.uint8)}, "test images are uint8 (8, 1, 4, 5)"),
        ({"train_images": np.zeros((40, 3, 4, 5))}, "train images are float64"),
    ],
)
def test_malformed_arrays_end_in_one_line(changes, part):
    with pytest.raises(UserError) as caught:
        prepare_arrays(arrays(**changes))
    assert part in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"junk" * 100])
def test_classes_of_a_missing_or_damaged_file(content, tmp_path):
    path = tmp_path / "data.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="data.safetensors: missing or damaged"):
        read_classes(path)


def test_preparing_digits_and_reading_classes_import_no_torch():
    code = "import lskd.data.prepare, lskd.data.digits, lskd.data.classes, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
