"""A user's own images, by name: one folder a class. Standard library only, for planning imports it."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from lskd.errors import UserError
from lskd.study.registry import DATASETS

_FEWEST = 3  # pictures of a class: one each for train, val and test
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


def pictures(folder: Path) -> list[Path]:
    """List the images that `scan` gives, sorted by the bytes of their paths; none where there is no such folder."""
    if not _is_folder(folder):
        return []
    return [folder / name for name in sorted((name for name, _ in scan(folder)), key=os.fsencode)]


def scan(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Give each image in `folder` and its subfolders, as (posix path relative to `folder`, entry), in no fixed order.

    An image is a file with the suffix of one. Hidden names are left out, and linked subfolders are not entered.
    Raises UserError for a folder that cannot be read and for an image that is a broken link.
    """
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
                    elif _is_image(entry):
                        yield prefix + entry.name, entry
        except OSError as error:
            raise unreadable(error.filename or folder / prefix, error) from error


def _is_image(entry: os.DirEntry[str]) -> bool:
    if os.path.splitext(entry.name)[1].lower() not in _SUFFIXES:  # noqa: PTH122, a Path for each file takes long
        return False
    if entry.is_symlink():
        _refuse_broken_link(Path(entry.path))
    return entry.is_file()


def _refuse_broken_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path}: a link to {path.readlink()}, which is missing; mend the link or delete it")


def class_folders(root: Path) -> list[Path]:
    """The folders of a root's classes, sorted. UserError unless there are two or more."""
    folders = folders_in(root)
    if len(folders) < 2:
        what = f"one class folder, {folders[0].name!r}" if folders else "no class folders"
        raise UserError(f"{root}: {what}; put the pictures of each of at least two classes in {root}/<class>/")
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


def has_own_split(root: Path) -> bool:
    """Whether `root` holds train/ and test/ with the classes in each. UserError where it cannot be read."""
    return _is_folder(root / "train") and _is_folder(root / "test")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise unreadable(path.parent, error) from error


def unreadable(path: Path | str, error: OSError) -> UserError:
    """The line for a file or folder that vanished or may not be read."""
    return UserError(f"{path}: cannot be read ({error.strerror}); make it readable, or delete it, and run again")


def image_folders(root: Path) -> list[Path]:
    """The folders whose images are read: each class's, in train/ and test/ where those are there. Raises UserError."""
    if has_own_split(root):
        return [*class_folders(root / "train"), *class_folders(root / "test")]
    return class_folders(root)


def check(root: Path) -> None:
    """Refuse, before anything starts, what cannot become a data set; looks at a few names in each folder at most."""
    if not _is_folder(root):
        sets = [name for name in DATASETS if name != "imagefolder"]
        near = get_close_matches(str(root), sets, 1)
        hint = f"did you mean {near[0]}?" if near else f"put the pictures in {root}/<class>/"
        raise UserError(f"data: found {str(root)!r}, {_no_folder(root)} and no data set ({', '.join(sets)}); {hint}")
    check_folders(root)


def check_folders(root: Path) -> None:
    """The part of `check` that the loader repeats: classes, splits, and the fewest images of each."""
    if not _is_folder(root):
        raise UserError(f"{root}: {_no_folder(root)}; put the pictures in {root}/<class>/")
    own_split = has_own_split(root)
    if own_split:
        _check_split(root)
    for folder in image_folders(root):
        _check_count(folder, 1 if own_split else _FEWEST)


def _no_folder(root: Path) -> str:
    return "a file, no folder" if root.exists() else "no such folder"


def _check_split(root: Path) -> None:
    others = sorted({folder.name for folder in folders_in(root)} - {"train", "test"})
    if others:
        raise UserError(
            f"{root / others[0]}: beside train/ and test/ no other folder is read; move its pictures into "
            f"{root / 'train'} (val is made from them) or move it away"
        )
    train, test = ({folder.name for folder in class_folders(root / part)} for part in ("train", "test"))
    if train != test:
        name = min(train ^ test)
        has, lacks = ("train", "test") if name in train else ("test", "train")
        raise UserError(f"{root}: class {name!r} is in {has}/ but not in {lacks}/; both must hold the same classes")


def _check_count(folder: Path, fewest: int) -> None:
    count = sum(1 for _ in islice(scan(folder), fewest))
    if count == 0:
        raise UserError(f"{folder}: no picture in this class; put .png or .jpg files there or delete the folder")
    if count < fewest:
        raise UserError(
            f"{folder}: only {count} picture(s), too few to split; put at least {fewest} there (one each for train, "
            "val and test)"
        )
