"""What lies at the root of data, by name. Standard library only, for planning imports it."""

from pathlib import Path

from lskd.data import image_folders
from lskd.data.hf_layout import hf_files
from lskd.data.npz_layout import npz_parts
from lskd.errors import UserError
from lskd.study.registry import DATASETS


def check(dataset: str, root: Path) -> None:
    """Refuse, before anything starts, a root that is no data set; names are looked at, no content."""
    if dataset == "imagefolder":
        image_folders.check(root)
        return
    if not root.exists():
        raise UserError(
            f"{root}: no such file or folder; put the data set {dataset} there, or give its place as data.root"
        )
    if root.is_dir() and not any(not path.name.startswith(".") for path in root.iterdir()):
        raise UserError(f"{root}: an empty folder; put the data set {dataset} there, or give its place as data.root")
    given_splits(dataset, root)


def given_splits(dataset: str, root: Path) -> frozenset[str]:
    """Those of "val" and "test" that the data at `root` bring along, so that no fraction of train is taken.

    Of a published set they are known; else they are empty where nothing lies at `root`. Raises UserError as the loader
    of the data set would.
    """
    known = DATASETS.get(dataset)
    if known is not None and known.parts is not None:
        return frozenset(known.splits)
    if not (root.is_dir() or (dataset == "npz" and root.is_file())):
        return frozenset()
    if dataset == "imagefolder":
        splits = frozenset(image_folders.split_folders(root))
    elif dataset == "npz":
        splits = frozenset(npz_parts(root))
    elif dataset == "hf_dataset":
        splits = frozenset(hf_files(root))
    elif dataset == "aligned":
        splits = frozenset(path.stem for path in root.glob("*.*") if path.stem in ("val", "test"))
    else:
        return frozenset()
    return splits - {"train"}


def missing(dataset: str, root: Path) -> str:
    """What a published data set lacks at `root`, and how to mend it, in a line; "" where its parts are there.

    "" too for all other data sets, whose loaders say what is wrong. UserError for a folder that cannot be read.
    """
    parts = DATASETS[dataset].parts
    if parts is None:
        return ""
    try:
        lacking = [name for name in parts if not (root / name).exists()]
        if not parts and not (root.is_dir() and any(root.iterdir())):
            lacking = ["its files"]
    except OSError as error:
        raise image_folders.unreadable(root, error) from error
    if not lacking:
        return ""
    verb = "is" if len(lacking) == 1 and parts else "are"
    return (
        f"data: {dataset}: {', '.join(lacking)} {verb} not there at {root}; docs/data.md says where to get {dataset} "
        "and what to put where; another place is given as data.root"
    )


def parts(dataset: str, root: Path) -> list[Path]:
    """The files and folders that a published data set is made of, as far as they are there; none of any other."""
    known = DATASETS.get(dataset)
    if known is None or known.parts is None:
        return []
    return [root / name for name in (*known.parts, *known.also) if (root / name).exists()]
