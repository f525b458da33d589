"""NumPy arrays in .npz files, by name: which hold the images and labels of each split. Standard library only.

One file: x_train, y_train, x_test, y_test, as Keras has, or train_images, train_labels, val_images, ..., as MedMNIST
has; or one file a split, train.npz, test.npz and perhaps val.npz, with images and labels, or x and y, in each.
"""

import zipfile
from pathlib import Path
from typing import NamedTuple

from lskd.data.image_folders import files_in
from lskd.data.spelling import as_reported, split_of
from lskd.errors import UserError

_PAIRS = {
    split: [(f"x_{name}", f"y_{name}") for name in names] + [(f"{name}_images", f"{name}_labels") for name in names]
    for split, names in {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}.items()
}
_ALONE = [("images", "labels"), ("x", "y")]
_KEYS = "x_train, y_train, x_test, y_test, or train_images, train_labels, ..., or images, labels"


class NpzPart(NamedTuple):
    """Where a split of arrays lies: the file and the keys of its images and labels."""

    file: Path
    images: str
    labels: str


def npz_parts(root: Path) -> dict[str, NpzPart]:
    """The arrays of each split of an .npz file, or of a folder with train.npz, test.npz and perhaps val.npz."""
    if root.is_file():
        return _of_one_file(root)
    files: dict[str, Path] = {}
    for path in files_in(root, ".npz"):
        split = split_of(path.stem)
        if split is None:
            raise UserError(
                f"{path}: in a folder, the .npz files are train.npz, test.npz and val.npz; rename it, move it away, or "
                "give data.root as this file itself"
            )
        if split in files:
            raise UserError(f"{root}: {files[split].name} and {path.name} are both {split}; keep one of them")
        files[split] = path
    if "train" not in files:
        raise UserError(f"{root}: no train.npz; put it there, or give data.root as an .npz file")
    parts = {split: NpzPart(path, *_of_one_split(path, split)) for split, path in files.items()}
    return as_reported(parts)


def _of_one_file(path: Path) -> dict[str, NpzPart]:
    names = npz_names(path)
    pairs = {split: _first_pair(path, names, pairs) for split, pairs in _PAIRS.items()}
    parts = {split: NpzPart(path, *pair) for split, pair in pairs.items() if pair}
    if not parts:
        return {"train": NpzPart(path, *_of_one_split(path, "train"))}
    if "train" not in parts:
        raise UserError(f"{path}: holds {', '.join(sorted(names))} and nothing to train on; needed are {_KEYS}")
    return as_reported(parts)


def _of_one_split(path: Path, split: str) -> tuple[str, str]:
    """The keys of a file that holds one split."""
    names = npz_names(path)
    pair = _first_pair(path, names, [*_ALONE, *_PAIRS[split]])
    if pair is None:
        raise UserError(f"{path}: holds {', '.join(sorted(names)) or 'nothing'}; needed are {_KEYS}")
    return pair


def _first_pair(path: Path, names: set[str], pairs: list[tuple[str, str]]) -> tuple[str, str] | None:
    for images, labels in pairs:
        if {images, labels} <= names:
            return images, labels
        if images in names or labels in names:
            has, lacks = (images, labels) if images in names else (labels, images)
            raise UserError(f"{path}: holds {has} but no {lacks}; add it to the file")
    return None


def npz_names(path: Path) -> set[str]:
    """The names of the arrays in an .npz file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (
        OSError,
        zipfile.BadZipFile,
        RuntimeError,
        ValueError,
    ) as error:  # RuntimeError: a kind of zip it cannot read
        raise UserError(f"{path}: no .npz file ({error}); write it with numpy.savez") from error
