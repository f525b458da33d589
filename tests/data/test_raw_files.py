import subprocess
import sys
from pathlib import Path

import pytest
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

from lskd.data.raw_files import pictures, raw_files


def touch(root: Path, *names: str) -> list[Path]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return [root / name for name in names]


@pytest.mark.parametrize(("dataset", "cls"), [("mnist", MNIST), ("fashion_mnist", FashionMNIST)])
def test_idx_names_are_torchvisions(dataset, cls, tmp_path):
    archives = touch(tmp_path, *(f"{cls.__name__}/raw/{name}" for name, _ in cls.resources))
    assert raw_files(dataset, tmp_path) == archives
    touch(tmp_path, *(str(path.relative_to(tmp_path).with_suffix("")) for path in archives))
    assert raw_files(dataset, tmp_path) == archives  # unpacking does not change the list
    archives[2].unlink()
    assert raw_files(dataset, tmp_path) == [*archives[:2], archives[2].with_suffix(""), archives[3]]


@pytest.mark.parametrize(("dataset", "cls"), [("cifar10", CIFAR10), ("cifar100", CIFAR100)])
def test_cifar_names_are_torchvisions(dataset, cls, tmp_path):
    names = [name for name, _ in (*cls.train_list, *cls.test_list)] + [cls.meta["filename"]]
    members = touch(tmp_path, *(f"{cls.base_folder}/{name}" for name in names))
    assert raw_files(dataset, tmp_path) == members
    archive = touch(tmp_path, cls.filename)
    assert raw_files(dataset, tmp_path) == archive


def test_pictures_are_sorted_and_only_pictures(tmp_path):
    touch(tmp_path, "b/2.JPG", "a/1.png", "a/deep/0.webp", "a/notes.txt", "a/.hidden.png", ".cache/3.png")
    expected = [tmp_path / name for name in ("a/1.png", "a/deep/0.webp", "b/2.JPG")]
    assert pictures(tmp_path) == raw_files("imagefolder", tmp_path) == expected


def test_none_where_none_are(tmp_path):
    for dataset in ("digits", "mnist", "cifar10", "imagefolder"):
        assert raw_files(dataset, tmp_path / "missing") == []


def test_imports_neither_torch_nor_numpy():
    code = "import lskd.data.raw_files, sys; assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
