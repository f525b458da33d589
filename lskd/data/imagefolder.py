"""A user's own images, one folder a class, as lskd/data/image_folders.py says."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lskd.data.arrays import Arrays, Samples
from lskd.data.decode import EncodedSource, check_memory
from lskd.data.image_folders import check_folders, class_folders, images, skipped, split_folders, unreadable
from lskd.data.split import with_test
from lskd.errors import UserError


def load(
    root: Path, *, workers: int, image_size: int, test_fraction: float | None = None, stream: bool = False
) -> Arrays:
    """List the images under `root`, to be decoded as RGB [3, image_size, image_size].

    Without a folder of a test split, a fixed, stratified `test_fraction` becomes it. With `stream` they stay encoded.
    """
    check_folders(root)
    folders = split_folders(root)
    parts = {split: _samples(folder, root, image_size, stream) for split, folder in folders.items()}
    if not stream:
        check_memory(sum(len(samples) for samples in parts.values()), image_size)
    counts = {
        (split, readable(folder.name)): count
        for split, part in folders.items()
        for folder in class_folders(part)
        if (count := skipped(folder))
    }
    classes = tuple(readable(folder.name) for folder in class_folders(folders["train"]))
    if repeated := [name for name, count in Counter(classes).items() if count > 1]:
        raise UserError(f"{root}: two classes read as {repeated[0]!r}; rename one")
    return with_test(root, parts, classes, test_fraction, counts)


def _samples(part: Path, root: Path, image_size: int, stream: bool) -> Samples:
    members = [images(folder) for folder in class_folders(part)]
    files = [file for files in members for file in files]
    labels = np.repeat(np.arange(len(members)), [len(files) for files in members])

    def read(numbers: Sequence[int]) -> list[bytes]:
        return [_read(files[number]) for number in numbers]

    names = [readable(file.relative_to(root).as_posix()) for file in files]
    return Samples(EncodedSource(read, np.arange(len(files)), root, image_size, stream), labels, names)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def readable(name: str) -> str:
    """A name as text: of one that is no UTF-8, its other bytes as \\xff."""
    return os.fsencode(name).decode(errors="backslashreplace")
