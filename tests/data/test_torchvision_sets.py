import gzip
import http.server
import os
import pickle
import socket
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

from lskd.data import torchvision_sets
from lskd.data.content import PUBLISHED
from lskd.data.torchvision_sets import load_cifar10, load_cifar100, load_fashion_mnist, load_mnist
from lskd.errors import UserError
from tests.data.conftest import cifar_archive, cifar_members, idx, write_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
WORKERS = {"workers": 1}
TRAIN_IMAGES = "train-images-idx3-ubyte"
NAMES = [TRAIN_IMAGES, "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def refuses(load, root: Path, *parts: str) -> None:
    """Assert that loading ends in one line that holds all `parts` and leaves no temporary file."""
    with pytest.raises(UserError) as caught:
        load(root, **WORKERS)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 500
    for part in parts:
        assert part in line
    assert not [path for path in root.rglob("*") if path.name.startswith((".", "tmp"))]


@pytest.fixture
def fashion(tmp_path, request) -> tuple[Path, dict[str, np.ndarray]]:
    """Fashion-MNIST's four .gz files in place: Debian's where they are installed, else small ones."""
    raw = tmp_path / "FashionMNIST" / "raw"
    if not DEBIAN.is_dir():
        contents = request.getfixturevalue("idx_contents")
        write_idx(raw, contents)
        return tmp_path, contents
    raw.mkdir(parents=True)
    contents = {}
    for path in DEBIAN.glob("*.gz"):
        (raw / path.name).symlink_to(path)
        content = gzip.decompress(path.read_bytes())
        header = 16 if "images" in path.name else 8
        flat = np.frombuffer(content, dtype=np.uint8, offset=header)
        contents[path.stem] = flat.reshape(-1, 28, 28) if header == 16 else flat
    return tmp_path, contents


def test_fashion_mnist_put_there_by_hand(fashion):
    root, contents = fashion
    arrays = load_fashion_mnist(root, **WORKERS)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = getattr(arrays, split).images, getattr(arrays, split).labels
        assert images.dtype == np.uint8 and labels.dtype == np.int64
        assert (images[:, 0] == contents[f"{prefix}-images-idx3-ubyte"]).all()
        assert (labels == contents[f"{prefix}-labels-idx1-ubyte"]).all()
    assert arrays.classes[0] == "T-shirt/top" and len(arrays.classes) == 10


@pytest.mark.parametrize(("load", "cls"), [(load_mnist, MNIST), (load_fashion_mnist, FashionMNIST)])
def test_idx_loads_again_from_unpacked_files_in_a_read_only_folder(load, cls, idx_contents, tmp_path):
    raw = tmp_path / cls.__name__ / "raw"
    write_idx(raw, idx_contents)
    first = load(tmp_path, **WORKERS)
    for archive in raw.glob("*.gz"):
        archive.unlink()
    raw.chmod(0o555)
    assert (load(tmp_path, **WORKERS).train.images == first.train.images).all()
    assert (first.train.images[:, 0] == idx_contents[TRAIN_IMAGES]).all()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def repack_short(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))


def not_gzip(path: Path) -> None:
    path.write_text("<html>404</html>")


@pytest.mark.parametrize("damage", [truncate, flip_bit, empty, repack_short, not_gzip])
def test_a_damaged_gz_is_named(damage, idx_contents, tmp_path):
    write_idx(tmp_path / "MNIST" / "raw", idx_contents)
    damage(tmp_path / "MNIST" / "raw" / f"{TRAIN_IMAGES}.gz")
    refuses(load_mnist, tmp_path, TRAIN_IMAGES, "damaged")


def test_a_damaged_unpacked_file_is_named(idx_contents, tmp_path):
    write_idx(tmp_path / "MNIST" / "raw", idx_contents)
    (tmp_path / "MNIST" / "raw" / TRAIN_IMAGES).write_bytes(idx(idx_contents[TRAIN_IMAGES])[:-5])
    refuses(load_mnist, tmp_path, TRAIN_IMAGES, "damaged", "delete it")


@pytest.mark.parametrize(("load", "cls"), [(load_mnist, MNIST), (load_fashion_mnist, FashionMNIST)])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", [0, 2, 3, 4, 7, -1])
@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_byte_in_an_idx_file_is_refused(name, place, packed, load, cls, idx_contents, tmp_path):
    raw = tmp_path / cls.__name__ / "raw"
    write_idx(raw, idx_contents)
    content = bytearray(idx(idx_contents[name]))
    content[place] ^= 1
    if packed:
        (raw / f"{name}.gz").write_bytes(gzip.compress(content))
    else:
        (raw / name).write_bytes(content)
    mistake = "not the published one" if place == -1 else "damaged"
    refuses(load, tmp_path, f"{name}.gz: " if packed else f"{name}: ", mistake, "delete it", f"published {name}.gz")
    assert (raw / name).is_file() != packed  # a wrong archive is not unpacked


def test_a_whole_idx_file_of_other_data_is_refused_with_a_way_to_use_ones_own(idx_contents, tmp_path):
    write_idx(tmp_path / "MNIST" / "raw", idx_contents)
    (tmp_path / "MNIST" / "raw" / TRAIN_IMAGES).write_bytes(idx(idx_contents[TRAIN_IMAGES][:7]))
    refuses(load_mnist, tmp_path, f"{TRAIN_IMAGES}: a whole IDX file, but not the published one", "data: FOLDER")


def test_the_bytes_that_were_checked_are_the_bytes_used(idx_contents, tmp_path, monkeypatch):
    write_idx(tmp_path / "MNIST" / "raw", idx_contents)
    members = cifar_members(CIFAR10)
    (tmp_path / CIFAR10.filename).write_bytes(cifar_archive(CIFAR10, members, monkeypatch))
    first = load_mnist(tmp_path, **WORKERS), load_cifar10(tmp_path, **WORKERS)
    read = torchvision_sets._read

    def replaced_after_reading(path: Path) -> bytes:
        content = read(path)
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        return content

    monkeypatch.setattr(torchvision_sets, "_read", replaced_after_reading)
    for before, after in zip(first, (load_mnist(tmp_path, **WORKERS), load_cifar10(tmp_path, **WORKERS)), strict=True):
        assert (before.train.images == after.train.images).all() and (before.test.images == after.test.images).all()
        assert (before.train.labels == after.train.labels).all() and (before.test.labels == after.test.labels).all()


def test_a_missing_idx_file_is_named(idx_contents, tmp_path):
    write_idx(tmp_path / "FashionMNIST" / "raw", idx_contents)
    (tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    refuses(load_fashion_mnist, tmp_path, "t10k-labels-idx1-ubyte.gz: missing", "/usr/share/datasets/fashion-mnist")


def test_nothing_there_at_all(tmp_path):
    refuses(load_mnist, tmp_path, str(tmp_path / "MNIST" / "raw"), "missing", "put the four .gz files")
    refuses(load_cifar100, tmp_path, "cifar-100-python.tar.gz: missing", "put it there")


@pytest.mark.parametrize(("load", "cls"), [(load_cifar10, CIFAR10), (load_cifar100, CIFAR100)])
def test_cifar_put_there_by_hand(load, cls, tmp_path, monkeypatch):
    members = cifar_members(cls)
    archive = tmp_path / cls.filename
    archive.write_bytes(cifar_archive(cls, members, monkeypatch))
    arrays = load(tmp_path, **WORKERS)
    train = np.concatenate([members[name]["data"] for name, _ in cls.train_list])
    test = np.concatenate([members[name]["data"] for name, _ in cls.test_list])
    assert (arrays.train.images == train.reshape(-1, 3, 32, 32)).all()
    assert (arrays.test.images == test.reshape(-1, 3, 32, 32)).all()
    assert (arrays.test.labels == np.arange(20) % 10).all() and arrays.test.labels.dtype == np.int64
    assert arrays.classes == tuple(f"class {label}" for label in range(10))
    archive.unlink()
    assert (load(tmp_path, **WORKERS).train.images == arrays.train.images).all()


@pytest.mark.parametrize("damage", [truncate, flip_bit, empty, not_gzip])
def test_a_damaged_cifar_archive_is_named(damage, tmp_path, monkeypatch):
    (tmp_path / CIFAR10.filename).write_bytes(cifar_archive(CIFAR10, cifar_members(CIFAR10), monkeypatch))
    damage(tmp_path / CIFAR10.filename)
    refuses(load_cifar10, tmp_path, CIFAR10.filename, "damaged", "MD5")


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
@pytest.mark.parametrize("damage", [truncate, Path.unlink])
def test_a_damaged_cifar_member_is_mended_from_the_archive_or_named(damage, name, tmp_path, monkeypatch):
    archive = tmp_path / CIFAR10.filename
    archive.write_bytes(cifar_archive(CIFAR10, cifar_members(CIFAR10), monkeypatch))
    whole = load_cifar10(tmp_path, **WORKERS)
    damage(tmp_path / CIFAR10.base_folder / name)
    assert (load_cifar10(tmp_path, **WORKERS).train.images == whole.train.images).all()
    archive.unlink()
    damage(tmp_path / CIFAR10.base_folder / name)
    refuses(load_cifar10, tmp_path, CIFAR10.filename, CIFAR10.base_folder, name)


@pytest.mark.parametrize(
    ("load", "cls", "name"),
    [(load_cifar10, CIFAR10, name) for name in PUBLISHED["cifar10"]]
    + [(load_cifar100, CIFAR100, name) for name in PUBLISHED["cifar100"]],
)
def test_a_flipped_byte_in_a_cifar_member_is_refused(load, cls, name, tmp_path, monkeypatch):
    archive = tmp_path / cls.filename
    archive.write_bytes(cifar_archive(cls, cifar_members(cls), monkeypatch))
    load(tmp_path, **WORKERS)
    archive.unlink()
    flip_bit(tmp_path / cls.base_folder / name)
    refuses(load, tmp_path, cls.filename, f"{cls.base_folder}/{name} is missing or damaged")


def test_a_published_archive_of_other_members_is_refused(tmp_path, monkeypatch):
    (tmp_path / CIFAR10.filename).write_bytes(cifar_archive(CIFAR10, cifar_members(CIFAR10), monkeypatch))
    monkeypatch.setitem(PUBLISHED, "cifar10", PUBLISHED["cifar10"] | {"data_batch_2": "0" * 32})
    refuses(load_cifar10, tmp_path, f"{CIFAR10.base_folder}/data_batch_2: not the published file")


def test_cifar_pickles_that_do_not_unpickle(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle, "dumps", lambda member, protocol: b"not a pickle")
    (tmp_path / CIFAR10.filename).write_bytes(cifar_archive(CIFAR10, cifar_members(CIFAR10), monkeypatch))
    refuses(load_cifar10, tmp_path, CIFAR10.base_folder, "damaged")


@pytest.fixture
def server(tmp_path):
    """A web server of this machine with an empty folder, as (its address, that folder)."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/", folder
        running.shutdown()


def test_missing_files_are_downloaded(server, idx_contents, tmp_path, monkeypatch):
    address, folder = server
    write_idx(folder / "mnist", idx_contents)
    monkeypatch.setattr(MNIST, "mirrors", [address + "wrong/", address + "mnist/"])
    arrays = load_mnist(tmp_path / "data", **WORKERS)
    assert (arrays.train.images[:, 0] == idx_contents[TRAIN_IMAGES]).all()
    (folder / CIFAR10.filename).write_bytes(cifar_archive(CIFAR10, cifar_members(CIFAR10), monkeypatch))
    monkeypatch.setattr(CIFAR10, "url", address + CIFAR10.filename)
    assert len(load_cifar10(tmp_path / "data", **WORKERS).train.images) == 100


def test_a_download_with_a_wrong_md5_is_refused_and_not_kept(server, idx_contents, tmp_path, monkeypatch):
    address, folder = server
    write_idx(folder / "mnist", idx_contents)
    truncate(folder / "mnist" / f"{TRAIN_IMAGES}.gz")
    monkeypatch.setattr(MNIST, "mirrors", [address + "mnist/"])
    refuses(load_mnist, tmp_path / "data", f"{TRAIN_IMAGES}.gz: missing", "cannot be downloaded")
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_server_that_never_answers_does_not_hang(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision_sets, "NETWORK_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"] * 2)
        start = time.monotonic()
        refuses(load_mnist, tmp_path, "cannot be downloaded", "timed out")
    assert time.monotonic() - start < 5
    assert socket.getdefaulttimeout() is None
