"""A user's own pictures, by name: one folder a class. Standard library only, for planning imports it."""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from lskd.errors import UserError
from lskd.tables import DATASETS

_FEWEST = 3  # pictures of a class: one each for train, val and test
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


def pictures(folder: Path) -> list[Path]:
    """List the pictures in `folder` and its subfolders, sorted by path; hidden files are left out."""
    return sorted(_found(folder))


def _found(folder: Path) -> Iterator[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    return (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def class_folders(root: Path) -> list[Path]:
    """The folders of a root's classes, sorted. UserError unless there are two or more."""
    folders = folders_in(root)
    if len(folders) < 2:
        found = f"one class folder, {folders[0].name!r}" if folders else "no class folders"
        raise UserError(f"{root}: {found}; put the pictures of each of at least two classes in {root}/<class>/")
    return folders


def folders_in(root: Path) -> list[Path]:
    """The folders in `root`, sorted; hidden ones are left out."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def has_own_split(root: Path) -> bool:
    """Whether `root` holds train/ and test/ with the classes in each."""
    return (root / "train").is_dir() and (root / "test").is_dir()


def check(root: Path) -> None:
    """Refuse, before anything starts, what cannot become a data set; looks at a few names in each folder at most."""
    if not root.is_dir():
        sets = [name for name in DATASETS if name != "imagefolder"]
        near = get_close_matches(str(root), sets, 1)
        hint = f"did you mean {near[0]}?" if near else f"put the pictures in {root}/<class>/"
        what = "a file, no folder" if root.exists() else "no such folder"
        raise UserError(f"data: found {str(root)!r}, {what} and no data set ({', '.join(sets)}); {hint}")
    if has_own_split(root):
        _check_split(root)
        for folder in (*class_folders(root / "train"), *class_folders(root / "test")):
            _check_count(folder, 1)
    else:
        for folder in class_folders(root):
            _check_count(folder, _FEWEST)


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
    count = sum(1 for _ in islice(_found(folder), fewest))
    if count == 0:
        raise UserError(f"{folder}: no picture in this class; put .png or .jpg files there or delete the folder")
    if count < fewest:
        raise UserError(
            f"{folder}: only {count} picture(s), too few to split; put at least {fewest} there (one each for train, "
            "val and test)"
        )
