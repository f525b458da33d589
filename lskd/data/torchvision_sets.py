"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100: torchvision's addresses, and its layout of files under `root`.

Files may be put there by hand, packed or unpacked; what is missing is downloaded where there is a network. Files are
downloaded and unpacked atomically, so neither a kill nor a second job at the same time leaves half a file. Each file is
read once and those bytes are compared with the published digest before they are decoded.
"""

import gzip
import hashlib
import pickle
import socket
import struct
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
from torchvision.datasets.utils import check_integrity, download_url, extract_archive

from lskd.data.arrays import Arrays, Samples
from lskd.data.content import PUBLISHED
from lskd.data.similar import families
from lskd.errors import UserError
from lskd.io.atomic import atomic

NETWORK_TIMEOUT = 20.0  # seconds without a byte


def load_mnist(root: Path, *, workers: int) -> Arrays:
    """Load MNIST (60,000 + 10,000 grey images of 28 x 28) from the four IDX files in root/MNIST/raw."""
    return _load_idx(MNIST, root, PUBLISHED["mnist"], "put the four .gz files of MNIST there")


def load_fashion_mnist(root: Path, *, workers: int) -> Arrays:
    """Load Fashion-MNIST (60,000 + 10,000 grey images of 28 x 28) from the four IDX files in root/FashionMNIST/raw."""
    return _load_idx(
        FashionMNIST,
        root,
        PUBLISHED["fashion_mnist"],
        "put the four .gz files of Fashion-MNIST there (Debian's package dataset-fashion-mnist has them in "
        "/usr/share/datasets/fashion-mnist)",
    )


def load_cifar10(root: Path, *, workers: int) -> Arrays:
    """Load CIFAR-10 (50,000 + 10,000 colour images of 32 x 32) from root/cifar-10-python.tar.gz or its folder."""
    return _load_cifar(CIFAR10, root, PUBLISHED["cifar10"])


def load_cifar100(root: Path, *, workers: int) -> Arrays:
    """Load CIFAR-100 (50,000 + 10,000 colour images of 32 x 32) from root/cifar-100-python.tar.gz or its folder."""
    return _load_cifar(CIFAR100, root, PUBLISHED["cifar100"])


def _load_idx(cls: Any, root: Path, sha256s: dict[str, str], advice: str) -> Arrays:
    folder = root / cls.__name__ / "raw"
    for name, md5 in cls.resources:
        archive = folder / name
        if not archive.with_suffix("").is_file() and not archive.is_file():
            _download([mirror + name for mirror in cls.mirrors], archive, md5, advice)
    arrays = {name: _read_idx(folder / name, sha256) for name, sha256 in sha256s.items()}

    def samples(prefix: str) -> Samples:
        file = f"{prefix}-images-idx3-ubyte"
        labels = arrays[f"{prefix}-labels-idx1-ubyte"].astype(np.int64)
        return Samples(arrays[file][:, None], labels, _numbered(file, len(labels)))

    classes = tuple(cls.classes)
    similar = families("fashion_mnist" if cls is FashionMNIST else "mnist", classes)
    return Arrays(samples("train"), samples("t10k"), classes, families=similar)


def _numbered(file: str, count: int) -> list[str]:
    """The names of a file's samples."""
    return [f"{file}#{index}" for index in range(count)]


def _read_idx(path: Path, sha256: str) -> np.ndarray:
    """Decode the published file at `path`, or the .gz beside it, which is unpacked if its bytes are the published."""
    if path.is_file():
        return _check_idx(path, _read(path), sha256)
    archive = path.with_name(f"{path.name}.gz")
    content = _gunzip(archive)
    array = _check_idx(archive, content, sha256)
    with atomic(path) as tmp:
        tmp.write_bytes(content)
    return array


def _gunzip(archive: Path) -> bytes:
    try:
        return gzip.decompress(_read(archive))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{archive}: damaged ({error}); replace it with a whole copy or delete it") from error


def _check_idx(path: Path, content: bytes, sha256: str) -> np.ndarray:
    """Decode the bytes of `path`, unpacked; UserError unless they are a whole IDX file and the published one."""
    published = path.name.removesuffix(".gz") + ".gz"
    try:
        array = _parse_idx(content)
    except (ValueError, struct.error) as error:
        raise UserError(
            f"{path}: damaged, not a whole IDX file; delete it and put the published {published} there"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise UserError(
            f"{path}: a whole IDX file, but not the published one (SHA-256 of its data {digest[:12]}..., published "
            f"{sha256[:12]}...); delete it and put the published {published} there, or give images of your own as "
            "data: FOLDER, with one subfolder a class"
        )
    return array


def _parse_idx(content: bytes) -> np.ndarray:
    """Decode an IDX file of bytes: 0, 0, 8, the number of axes, the length of each (big-endian uint32), the data."""
    zeros, kind, axes = struct.unpack_from(">HBB", content)
    if zeros != 0 or kind != 8:
        raise ValueError("not an IDX file of bytes")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def _load_cifar(cls: Any, root: Path, md5s: dict[str, str]) -> Arrays:
    folder, archive = root / cls.base_folder, root / cls.filename
    members = _read_published(folder, md5s)
    if bad := sorted(md5s.keys() - members.keys()):
        if not archive.is_file():
            advice = f"put it there ({folder / bad[0]} is missing or damaged)" if folder.is_dir() else "put it there"
            _download([cls.url], archive, cls.tgz_md5, advice)
        if not check_integrity(archive, cls.tgz_md5):
            raise UserError(f"{archive}: damaged (its MD5 sum is wrong); replace it with a whole copy or delete it")
        _untar(archive, cls.base_folder)
        members = _read_published(folder, md5s)
    if bad := sorted(md5s.keys() - members.keys()):
        raise UserError(f"{folder / bad[0]}: not the published file, although {archive.name} is; delete {folder}")
    try:
        return _decode_cifar(cls, {name: pickle.loads(member, encoding="latin1") for name, member in members.items()})
    except Exception as error:  # pickle raises anything on bytes that are no pickle
        raise UserError(f"{folder}: damaged ({_line(error)}); delete this folder and put {archive} there") from error


def _read_published(folder: Path, md5s: dict[str, str]) -> dict[str, bytes]:
    """The bytes of those files in `folder` that are the published ones."""
    contents = {name: _read(folder / name) for name in md5s if (folder / name).is_file()}
    return {name: content for name, content in contents.items() if _md5(content) == md5s[name]}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _decode_cifar(cls: Any, members: dict[str, dict[str, Any]]) -> Arrays:
    def samples(batches: list[tuple[str, str]]) -> Samples:
        key = "labels" if cls is CIFAR10 else "fine_labels"
        images = np.concatenate([members[name]["data"] for name, _ in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([members[name][key] for name, _ in batches]).astype(np.int64)
        return Samples(
            images, labels, [each for name, _ in batches for each in _numbered(name, len(members[name][key]))]
        )

    classes = members[cls.meta["filename"]][cls.meta["key"]]
    similar = families("cifar10" if cls is CIFAR10 else "cifar100", tuple(classes))
    return Arrays(samples(cls.train_list), samples(cls.test_list), tuple(classes), families=similar)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); make it readable or replace it") from error


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
