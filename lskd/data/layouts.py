"""What lies at the root of a user's own data, by name. Standard library only, for planning imports it."""

from pathlib import Path

from lskd.data import image_folders
from lskd.data.hf_layout import hf_files
from lskd.data.npz_layout import npz_parts
from lskd.errors import UserError


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

    Empty for data sets that are no user's own, and where nothing lies at `root`. Raises UserError as the loader of the
    data set would.
    """
    if not (root.is_dir() or (dataset == "npz" and root.is_file())):
        return frozenset()
    if dataset == "imagefolder":
        splits = frozenset(image_folders.split_folders(root))
    elif dataset == "npz":
        splits = frozenset(npz_parts(root))
    elif dataset == "hf_dataset":
        splits = frozenset(hf_files(root))
    elif dataset in ("iwslt14", "wmt14"):
        splits = frozenset({"val", "test"})
    elif dataset == "aligned":
        splits = frozenset(path.stem for path in root.glob("*.*") if path.stem in ("val", "test"))
    else:
        return frozenset()
    return splits - {"train"}
