"""A user's own images, by name: one folder a class. Standard library only, for planning imports it.

    root/<class>/...                                    test is taken from it, by test_fraction
    root/train/<class>/...  and  root/test/<class>/...  val is taken from train, by val_fraction
    root/train/<class>/...  and  root/val/<class>/...   as ImageNet: val/ is the test split, val is taken from train
    root/train/, root/val/  and  root/test/             nothing is taken

val/ may be called valid/ or validation/.
"""

import os
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from lskd.data.spelling import as_reported, split_of
from lskd.errors import UserError
from lskd.study.registry import DATASETS

_FEWEST = 3  # images of a class: one each for train, val and test
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


def images(folder: Path) -> list[Path]:
    """List the images that `scan` gives, sorted by the bytes of their paths; none where there is no such folder."""
    if not _is_folder(folder):
        return []
    return [folder / name for name in sorted((name for name, _ in scan(folder)), key=os.fsencode)]


def scan(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Give each image in `folder` and its subfolders, as (posix path relative to `folder`, entry), in no fixed order.

    An image is a file with the suffix of one. Hidden names are left out, and linked subfolders are not entered.
    Raises UserError for a folder that cannot be read and for an image that is a broken link.
    """
    for name, entry in walk(folder):
        if _is_image(entry):
            yield name, entry


def skipped(folder: Path) -> Counter[str]:
    """How many files in `folder` and its subfolders are no images, by suffix; "" counts links to folders too."""
    return Counter(_suffix(entry.name) for _, entry in walk(folder) if not _is_image(entry))


def walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Give all in `folder` and its subfolders but hidden names and the subfolders themselves."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(folder / prefix) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{prefix}{entry.name}/")
                    else:
                        yield prefix + entry.name, entry
        except OSError as error:
            raise unreadable(error.filename or folder / prefix, error) from error


def _is_image(entry: os.DirEntry[str]) -> bool:
    if _suffix(entry.name) not in _SUFFIXES:
        return False
    try:
        if entry.is_symlink():
            _refuse_broken_link(Path(entry.path))
        return entry.is_file()
    except OSError as error:
        raise unreadable(entry.path, error) from error


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122, a Path for each file takes long


def _refuse_broken_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path}: a link to {path.readlink()}, which is missing; mend the link or delete it")


def class_folders(root: Path) -> list[Path]:
    """The folders of a root's classes, sorted. UserError unless there are two or more."""
    folders = folders_in(root)
    if len(folders) < 2:
        what = f"one class folder, {folders[0].name!r}" if folders else "no class folders"
        raise UserError(f"{root}: {what}; put the images of each of at least two classes in {root}/<class>/")
    return folders


def folders_in(root: Path) -> list[Path]:
    """The folders in `root`, sorted; hidden ones are left out. UserError if it cannot be read or a link is broken."""
    try:
        paths = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        for path in paths:
            _refuse_broken_link(path)
        return [path for path in paths if path.is_dir()]
    except OSError as error:
        raise unreadable(error.filename or root, error) from error


def files_in(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder with a suffix, sorted; hidden ones are left out."""
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() == suffix and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise unreadable(folder, error) from error


def split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split that `root` holds, "train" and one or both of "test" and "val"; else {"train": root}.

    Raises UserError where the folders of splits are not as the head of this module says, so that a split never becomes
    a class.
    """
    folders = folders_in(root)
    named = [folder for folder in folders if split_of(folder.name)]
    if not _are_splits(named):
        return {"train": root}
    parts: dict[str, Path] = {}
    for folder in named:
        split = str(split_of(folder.name))
        if split in parts:
            raise UserError(f"{root}: {parts[split].name}/ and {folder.name}/ are both {split}; keep one of them")
        parts[split] = folder
    _check_splits(root, parts, [folder for folder in folders if folder not in named])
    return as_reported(parts)


def _are_splits(named: list[Path]) -> bool:
    """Whether folders that are called like splits are: train beside another, or one that holds folders of images.

    A class may be called train, as a vehicle is.
    """
    splits = {split_of(folder.name) for folder in named}
    if "train" in splits and len(splits) > 1:
        return True
    return any(_holds_classes(folder) for folder in named)


def _holds_classes(folder: Path) -> bool:
    return any(next(scan(inner), None) for inner in folders_in(folder))


def _check_splits(root: Path, parts: dict[str, Path], others: list[Path]) -> None:
    """UserError unless the splits are train and another, with no other folder beside them."""
    listed = " and ".join(f"{folder.name}/" for folder in parts.values())
    if len(parts) == 1 and others:
        (part,) = parts.values()
        raise UserError(
            f"{part}: holds folders of images, as a split does, beside {others[0].name}/; rename it if it is a class, "
            f"or move {others[0].name}/ away"
        )
    if "train" not in parts:
        raise UserError(f"{root}: {listed} without train/; put the images to train on in {root}/train/<class>/")
    if len(parts) == 1:
        raise UserError(
            f"{root}: {listed} alone; give {parts['train']} itself, of which a test split is taken, or put a test "
            f"split in {root}/test/<class>/"
        )
    if others:
        raise UserError(
            f"{others[0]}: beside {listed} no other folder is read; move its images into {parts['train']} or move it "
            "away"
        )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise unreadable(path.parent, error) from error


def unreadable(path: Path | str, error: OSError) -> UserError:
    """The line for a file or folder that vanished or may not be read."""
    return UserError(f"{path}: cannot be read ({error.strerror}); make it readable, or delete it, and run again")


def image_folders(root: Path) -> list[Path]:
    """The folders whose images are read: each class's, in the folders of splits where those are. Raises UserError."""
    return [folder for part in split_folders(root).values() for folder in class_folders(part)]


def check(root: Path) -> None:
    """Refuse, before anything starts, what cannot become a data set; looks at a few names in each folder at most."""
    if not _is_folder(root):
        sets = [name for name in DATASETS if name != "imagefolder"]
        near = get_close_matches(str(root), sets, 1)
        hint = f"did you mean {near[0]}?" if near else f"put the images in {root}/<class>/"
        raise UserError(f"data: found {str(root)!r}, {_no_folder(root)} and no data set ({', '.join(sets)}); {hint}")
    check_folders(root)


def check_folders(root: Path) -> None:
    """The part of `check` that the loader repeats: classes, splits, and the fewest images of each."""
    if not _is_folder(root):
        raise UserError(f"{root}: {_no_folder(root)}; put the images in {root}/<class>/")
    parts = split_folders(root)
    _check_classes(root, parts)
    for folder in image_folders(root):
        _check_count(folder, 1 if len(parts) > 1 else _FEWEST)


def _no_folder(root: Path) -> str:
    return "a file, no folder" if root.exists() else "no such folder"


def _check_classes(root: Path, parts: dict[str, Path]) -> None:
    """UserError unless all splits hold the same classes."""
    train = {folder.name for folder in class_folders(parts["train"])}
    for part in parts.values():
        others = {folder.name for folder in class_folders(part)}
        if train != others:
            name = min(train ^ others)
            has, lacks = (parts["train"], part) if name in train else (part, parts["train"])
            raise UserError(
                f"{root}: class {name!r} is in {has.name}/ but not in {lacks.name}/; all splits must hold the same "
                "classes"
            )


def _check_count(folder: Path, fewest: int) -> None:
    count = sum(1 for _ in islice(scan(folder), fewest))
    if count == 0:
        raise UserError(f"{folder}: no image in this class; put .png or .jpg files there, or move the folder away")
    if count < fewest:
        raise UserError(
            f"{folder}: only {count} image(s), too few to split; put at least {fewest} there (one each for train, "
            "val and test)"
        )
