"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100: torchvision's classes, and its layout of files under `root`.

Files may be put there by hand, packed or unpacked; what is missing is downloaded where there is a network. Files are
downloaded and unpacked atomically, so neither a kill nor a second job at the same time leaves half a file.
"""

import gzip
import shutil
import socket
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor
from torchvision.datasets.utils import check_integrity, download_url, extract_archive

from lskd.data.arrays import Arrays
from lskd.errors import UserError
from lskd.files import atomic

NETWORK_TIMEOUT = 20.0  # seconds without a byte


def load_mnist(root: Path, *, image_size: int, test_fraction: float, workers: int) -> Arrays:
    """Load MNIST (60,000 + 10,000 grey images of 28 x 28) from the four IDX files in root/MNIST/raw."""
    return _load_idx(MNIST, root, "put the four .gz files of MNIST there")


def load_fashion_mnist(root: Path, *, image_size: int, test_fraction: float, workers: int) -> Arrays:
    """Load Fashion-MNIST (60,000 + 10,000 grey images of 28 x 28) from the four IDX files in root/FashionMNIST/raw."""
    return _load_idx(
        FashionMNIST,
        root,
        "put the four .gz files of Fashion-MNIST there (Debian's package dataset-fashion-mnist has them in "
        "/usr/share/datasets/fashion-mnist)",
    )


def load_cifar10(root: Path, *, image_size: int, test_fraction: float, workers: int) -> Arrays:
    """Load CIFAR-10 (50,000 + 10,000 colour images of 32 x 32) from root/cifar-10-python.tar.gz or its folder."""
    return _load_cifar(CIFAR10, root)


def load_cifar100(root: Path, *, image_size: int, test_fraction: float, workers: int) -> Arrays:
    """Load CIFAR-100 (50,000 + 10,000 colour images of 32 x 32) from root/cifar-100-python.tar.gz or its folder."""
    return _load_cifar(CIFAR100, root)


def _load_idx(cls: Any, root: Path, advice: str) -> Arrays:
    folder = root / cls.__name__ / "raw"
    for name, md5 in cls.resources:
        archive = folder / name
        if archive.with_suffix("").is_file():
            continue
        if not archive.is_file():
            _download([mirror + name for mirror in cls.mirrors], archive, md5, advice)
        _gunzip(archive)
    for name, _ in cls.resources:
        _check_idx((folder / name).with_suffix(""))
    train, test = cls(root, train=True), cls(root, train=False)
    return Arrays(
        train.data.numpy()[:, None],
        train.targets.numpy().astype(np.int64),
        test.data.numpy()[:, None],
        test.targets.numpy().astype(np.int64),
        tuple(cls.classes),
    )


def _gunzip(archive: Path) -> None:
    """Unpack beside the archive. gzip's own checksum is the test of it, as repacked files have other MD5 sums."""
    with atomic(archive.with_suffix("")) as tmp, tmp.open("wb") as target:
        try:
            with gzip.open(archive) as source:
                shutil.copyfileobj(source, target)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{archive}: damaged ({error}); replace it with a whole copy or delete it") from error


def _check_idx(path: Path) -> None:
    try:
        read_sn3_pascalvincent_tensor(str(path))
    except Exception as error:  # torchvision raises whatever its parsing stumbles on
        raise UserError(
            f"{path}: damaged, not a whole IDX file; delete it and put a whole {path.name}.gz beside it"
        ) from error


def _load_cifar(cls: Any, root: Path) -> Arrays:
    folder, archive = root / cls.base_folder, root / cls.filename
    members = [*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"])]
    bad = [folder / name for name, md5 in members if not check_integrity(folder / name, md5)]
    if bad:
        if not archive.is_file():
            advice = f"put it there ({bad[0]} is missing or damaged)" if folder.is_dir() else "put it there"
            _download([cls.url], archive, cls.tgz_md5, advice)
        if not check_integrity(archive, cls.tgz_md5):
            raise UserError(f"{archive}: damaged (its MD5 sum is wrong); replace it with a whole copy or delete it")
        _untar(archive, cls.base_folder)
    try:
        train, test = cls(root, train=True), cls(root, train=False)
    except Exception as error:  # pickle raises anything on bytes that are no pickle
        raise UserError(f"{folder}: damaged ({_line(error)}); delete this folder and put {archive} there") from error
    return Arrays(
        _nchw(train.data),
        np.array(train.targets, dtype=np.int64),
        _nchw(test.data),
        np.array(test.targets, dtype=np.int64),
        tuple(train.classes),
    )


def _untar(archive: Path, folder_name: str) -> None:
    """Unpack `archive`, whose one folder is `folder_name`, beside it, each file atomically."""
    target = archive.parent / folder_name
    try:
        with tempfile.TemporaryDirectory(dir=archive.parent) as tmp:
            extract_archive(archive, tmp)
            target.mkdir(exist_ok=True)
            for path in (Path(tmp) / folder_name).iterdir():
                path.replace(target / path.name)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UserError(f"{archive}: cannot be unpacked ({_line(error)}); is that folder writable?") from error


def _nchw(images_nhwc: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images_nhwc.transpose(0, 3, 1, 2))


def _download(urls: list[str], path: Path, md5: str, advice: str) -> None:
    """Download `path` from the first of `urls` that gives it, or raise the one line that says what to put where."""
    with atomic(path) as tmp, _network_timeout():
        for url in urls:
            try:
                download_url(url, tmp.parent, tmp.name, md5)
                return
            except (OSError, RuntimeError, HTTPException) as error:
                reason = _line(error)
        raise UserError(f"{path}: missing, and it cannot be downloaded ({reason}); {advice}")


@contextmanager
def _network_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT)  # urllib has none of its own and torchvision passes none
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
