"""Small stand-ins for the public data sets, in their own file formats; folders; and no network but this machine."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

from lskd.data import content as module
from lskd.data.content import PUBLISHED
from tests.data.content_folders import NAMES, write

NOWHERE = "http://127.0.0.1:9/"  # refuses at once


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    for cls in (MNIST, FashionMNIST):
        monkeypatch.setattr(cls, "mirrors", [NOWHERE])
    for cls in (CIFAR10, CIFAR100):
        monkeypatch.setattr(cls, "url", NOWHERE + cls.filename)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def idx(array: np.ndarray) -> bytes:
    """Encode uint8 data as an IDX file, as its authors describe the format."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def idx_contents(monkeypatch) -> dict[str, np.ndarray]:
    """Random arrays under the names of MNIST's files; the published digests, packed and unpacked, are set to theirs."""
    rng = np.random.default_rng(0)
    contents = {}
    for prefix, count in (("train", 60), ("t10k", 20)):
        contents[f"{prefix}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        contents[f"{prefix}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    resources = [(f"{name}.gz", md5(gzip.compress(idx(array), mtime=0))) for name, array in contents.items()]
    monkeypatch.setattr(MNIST, "resources", resources)
    monkeypatch.setattr(FashionMNIST, "resources", resources)
    sha256s = {name: hashlib.sha256(idx(array)).hexdigest() for name, array in contents.items()}
    for dataset in ("mnist", "fashion_mnist"):
        monkeypatch.setitem(PUBLISHED, dataset, sha256s)
    return contents


def write_idx(folder: Path, contents: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for name, array in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array), mtime=0))


def cifar_members(cls) -> dict[str, dict]:
    """Random batches with the keys of CIFAR's pickles, under the names of CIFAR's files."""
    rng = np.random.default_rng(1)
    label_key = "labels" if cls is CIFAR10 else "fine_labels"
    names = [name for name, _ in (*cls.train_list, *cls.test_list)]
    members: dict[str, dict] = {
        name: {"data": rng.integers(0, 256, (20, 3072), dtype=np.uint8), label_key: (np.arange(20) % 10).tolist()}
        for name in names
    }
    members[cls.meta["filename"]] = {cls.meta["key"]: [f"class {label}" for label in range(10)]}
    return members


def cifar_archive(cls, members: dict[str, dict], monkeypatch) -> bytes:
    """Pack `members` as CIFAR's tar.gz and set the published MD5 sums, of the archive and its members, to theirs."""
    packed = {name: pickle.dumps(member, protocol=2) for name, member in members.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in packed.items():
            info = tarfile.TarInfo(f"{cls.base_folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    monkeypatch.setitem(PUBLISHED, cls.__name__.lower(), {name: md5(content) for name, content in packed.items()})
    monkeypatch.setattr(cls, "tgz_md5", md5(buffer.getvalue()))
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path) -> Path:
    """Two classes of three images of one size and one mtime, as no mtime or size may be needed to tell them apart."""
    write(tmp_path / "images", {name: name.encode() for name in NAMES})
    for name in NAMES:
        os.utime(tmp_path / "images" / name, (1e9, 1e9))
    return tmp_path / "images"


@pytest.fixture
def later(monkeypatch):
    """Move this process's clock by some seconds: what was written now was written long ago."""
    clock = time.time_ns

    def move(seconds: float) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: clock() + int(seconds * 1e9))

    return move


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The paths whose bytes are read, as they are read."""
    paths: list[str] = []
    read = module._read_digest
    monkeypatch.setattr(module, "_read_digest", lambda path: (paths.append(path), read(path))[1])
    return paths
