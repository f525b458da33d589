"""Published sets of image files whose own lists say of what class each file is: what their readers share.

A reader makes an `Images` of each split, all files below the set's root; they are decoded as a user's own images are.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lskd.data.arrays import Arrays, Samples
from lskd.data.decode import EncodedSource, check_memory
from lskd.data.image_folders import class_folders, images, unreadable
from lskd.data.imagefolder import readable
from lskd.data.split import check_labels
from lskd.errors import UserError


@dataclass
class Images:
    """The files of a split, each as a posix path below the root, and the label of each."""

    files: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def add(self, file: str, label: int) -> None:
        """One more image."""
        self.files.append(file)
        self.labels.append(label)


def data_set(
    root: Path,
    splits: Mapping[str, Images],
    classes: Sequence[str],
    image_size: int,
    stream: bool,
    families: Sequence[str] = (),
    skipped: Mapping[tuple[str, str], Mapping[str, int]] | None = None,
) -> Arrays:
    """A data set of the splits train, test and, where it has one, val; to be decoded to [3, image_size, image_size].

    UserError for a split without an image or a label of no class.
    """
    if not stream:
        check_memory(sum(len(split.files) for split in splits.values()), image_size)
    samples = {name: _samples(root, name, split, len(classes), image_size, stream) for name, split in splits.items()}
    return Arrays(samples["train"], samples["test"], tuple(classes), samples.get("val"), skipped or {}, tuple(families))


def check_there(root: Path, list_name: str, listed: Images) -> Images:
    """The images of a list; UserError for the first whose file is not there."""
    for file in listed.files:
        if not (root / file).is_file():
            raise UserError(
                f"{root / file}: {list_name} names it and it is not there; docs/data.md says what to put where"
            )
    return listed


def _samples(root: Path, split: str, listed: Images, classes: int, image_size: int, stream: bool) -> Samples:
    files, labels_n = listed.files, np.array(listed.labels, dtype=np.int64)
    if not files:
        raise UserError(f"{root}: {split} has no image; docs/data.md says what to put where")
    check_labels(root, split, labels_n, classes)

    def read(numbers: Sequence[int]) -> list[bytes]:
        return [content(root / files[number]) for number in numbers]

    names = [readable(file) for file in files]
    return Samples(EncodedSource(read, np.arange(len(files)), root, image_size, stream), labels_n, names)


def folders(root: Path, part: str, labels: Mapping[str, int]) -> Images:
    """The images of root/part/<class>/...; UserError unless its folders are those of the classes in `labels`."""
    listed = Images()
    by_class = {folder.name: folder for folder in class_folders(root / part)}
    if by_class.keys() != labels.keys():
        name = min(by_class.keys() ^ labels.keys())
        where = (
            "is no class of this data set; move it away" if name in by_class else "is not there; put that class there"
        )
        raise UserError(f"{root / part / name}: {where} ({len(labels)} are needed, one folder each)")
    for name, label in labels.items():
        for file in images(by_class[name]):
            listed.add(file.relative_to(root).as_posix(), label)
    return listed


def content(path: Path) -> bytes:
    """The bytes of a file; UserError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def fields(path: Path, count: int, separator: str | None = None) -> list[list[str]]:
    """The fields of each line of a text file, the last with all that is left; UserError, with its number, for a line
    that has fewer than `count`.
    """
    rows = [line.split(separator, count - 1) for line in text(path).splitlines()]
    for number, row in enumerate(rows, 1):
        if len(row) != count:
            raise UserError(f"{path}: line {number} has {len(row)} of {count} fields; get this file anew")
    return rows


def text(path: Path) -> str:
    """A text file; UserError where it is not UTF-8."""
    try:
        return content(path).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason}, byte {error.start + 1}); get this file anew") from None


def whole(path: Path, number: int, word: str) -> int:
    """A whole number in a line of a file; UserError for anything else."""
    if not (word.isascii() and word.isdigit()):
        raise UserError(f"{path}: line {number}: found {word!r}, a number is needed; get this file anew")
    return int(word)


def records(path: Path, key: str, kinds: Mapping[str, type]) -> list[dict[str, Any]]:
    """The objects in a list, `key` of a JSON file, or the file itself if that is "".

    UserError, with its place, for one that has not each field of `kinds` of that type.
    """
    try:
        document = json.loads(text(path))
        listed = document[key] if key else document
        assert isinstance(listed, list)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        what = f"a list {key!r}" if key else "a list"
        raise UserError(f"{path}: not JSON that holds {what}; get this file anew") from None
    for number, each in enumerate(listed):
        for name, kind in kinds.items():
            if not isinstance(each, dict) or type(each.get(name)) is not kind:
                raise UserError(
                    f"{path}: {key or 'entry'}[{number}] has no {name!r} of type {kind.__name__}; get this file anew"
                )
    return listed


def inside(path: Path, number: int, file: str) -> str:
    """A path below the root that a line of a file names; UserError for one that leads elsewhere."""
    if not file or file.startswith("/") or "\0" in file or ".." in file.split("/"):
        raise UserError(f"{path}: line {number}: found {file!r}, no path below this folder; get this file anew")
    return file
