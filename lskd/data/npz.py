"""A user's own arrays in .npz files, as lskd/data/npz_layout.py says; nothing in them is unpickled."""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from lskd.data import memory
from lskd.data.arrays import Arrays, Samples
from lskd.data.npz_layout import NpzPart, npz_names, npz_parts
from lskd.data.split import with_test
from lskd.errors import UserError

_COPIES = 3  # of the arrays: as they are read, split, and encoded to be written


def load(root: Path, *, workers: int, test_fraction: float | None = None) -> Arrays:
    """Load images uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with C of 1 or 3, and integer labels [N] or [N, 1].

    Without arrays for test, a fixed, stratified `test_fraction` becomes it. The classes are named by the array
    `classes`, else "0" to "K-1".
    """
    parts = npz_parts(root)
    _check_headers(parts.values())
    samples = {split: _samples(part, root) for split, part in parts.items()}
    names = _class_names(parts["train"].file)
    if names is None:
        largest = max(int(part.labels.max(initial=-1)) for part in samples.values())
        names = tuple(str(label) for label in range(min(largest, _most_classes(samples)) + 1))
    return with_test(root, samples, names, test_fraction)


def _most_classes(samples: dict[str, Samples]) -> int:
    """More classes than samples cannot be: a stray label would name billions."""
    return sum(len(part) for part in samples.values())


def _samples(part: NpzPart, root: Path) -> Samples:
    images = _images(_read(part.file, part.images), f"{part.file}: {part.images}")
    labels = _labels(_read(part.file, part.labels), f"{part.file}: {part.labels}")
    if len(images) != len(labels):
        raise UserError(
            f"{part.file}: {len(images)} {part.images} but {len(labels)} {part.labels}; as many of both are needed"
        )
    place = f"{part.file.name}/{part.images}" if part.file == root else part.file.name
    return Samples(images, labels, [f"{place}#{index}" for index in range(len(labels))])


def _images(images: np.ndarray, what: str) -> np.ndarray:
    """Any of the forms as [N, C, H, W]."""
    if images.dtype != np.uint8:
        raise UserError(
            f"{what} are {images.dtype}; uint8 0 to 255 are needed: (x * 255).round().astype('uint8') where they are 0 "
            "to 1"
        )
    if images.ndim == 3:
        return images[:, None]
    last, first = (images.ndim == 4 and images.shape[axis] in (1, 3) for axis in (3, 1))
    if last == first:
        why = "is both channels first and last" if last else "has no 1 or 3 channels"
        raise UserError(
            f"{what} have the shape {images.shape}, which {why}; [N, H, W], [N, H, W, C] or [N, C, H, W] with C of 1 "
            "or 3 is needed: use transpose(0, 3, 1, 2), or [..., :3] to drop alpha"
        )
    return images.transpose(0, 3, 1, 2) if last else images


def _labels(labels: np.ndarray, what: str) -> np.ndarray:
    """Labels as int64 [N]."""
    if labels.dtype.kind not in "iu":
        raise UserError(
            f"{what} are {labels.dtype}; integers 0 to K-1 are needed: use argmax(1) where they are one-hot"
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise UserError(f"{what} have the shape {labels.shape}; [N] or [N, 1] is needed: use argmax(1) of one-hot ones")
    if len(labels) and int(labels.max()) > np.iinfo(np.int64).max:
        raise UserError(f"{what} run to {labels.max()}; 0 to K-1 are needed")
    return labels.astype(np.int64)


def _class_names(file: Path) -> tuple[str, ...] | None:
    """The array `classes` of a file, or None."""
    if "classes" not in npz_names(file):
        return None
    classes = _read(file, "classes")
    if classes.dtype.kind != "U" or classes.ndim != 1:
        raise UserError(
            f"{file}: classes is {classes.dtype} {classes.shape}; an array [K] of str is needed: np.array(names, "
            "dtype=str)"
        )
    return tuple(classes.tolist())


def _read(file: Path, key: str) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return archive[key]
    except Exception as error:  # as below, and what the packers of zipfile raise
        raise _damaged(file, key, error) from error


def _check_headers(parts: Iterable[NpzPart]) -> None:
    """Refuse, before anything is unpacked, arrays of objects and more than the memory."""
    sizes = {(part.file, key): _declared_bytes(part.file, key) for part in parts for key in (part.images, part.labels)}
    for file in {file for file, _ in sizes}:
        if "classes" in npz_names(file):
            sizes[file, "classes"] = _declared_bytes(file, "classes")
    needed, free = _COPIES * sum(sizes.values()), memory.available()
    if needed > free:
        (file, key), size = max(sizes.items(), key=lambda item: item[1])
        raise UserError(
            f"{file}: {key} unpacks to {size / 1e9:,.1f} GB; all arrays need {needed / 1e9:,.1f} GB of memory and "
            f"{free / 1e9:,.1f} GB are free; keep fewer or smaller images, or write them as image files and set "
            "data.stream: true"
        )


def _declared_bytes(file: Path, key: str) -> int:
    """The bytes of an array after its header, which must be those of its place in the archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            info = archive.getinfo(f"{key}.npy")
            with archive.open(info) as member:
                version = npy.read_magic(member)
                read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read_header(member)
                header_bytes = member.tell()
    except Exception as error:  # a header is Python's text: SyntaxError, TokenError, MemoryError, ...
        raise _damaged(file, key, error) from error
    if dtype.hasobject:
        raise UserError(
            f"{file}: {key} holds Python objects, which are not read; save it as an array of one shape and type"
        )
    size = math.prod(shape) * dtype.itemsize
    if size != info.file_size - header_bytes:
        raise UserError(
            f"{file}: {key} is damaged: {size:,} bytes by its header, {info.file_size - header_bytes:,} in the file"
        )
    return size


def _damaged(file: Path, key: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{file}: {key} cannot be read ({reason}); write the file anew with numpy.savez")
