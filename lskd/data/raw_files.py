"""Which raw files a data set is made from. Standard library only, for planning imports it."""

from pathlib import Path

_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CIFAR10_NAMES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


def raw_files(dataset: str, root: Path) -> list[Path]:
    """List the raw files of a data set that exist under `root`, in a fixed order.

    Archives stand for what was unpacked from them, so that unpacking does not change the list. Sets that live in a
    package have none.
    """
    if dataset == "mnist":
        return _idx_files(root / "MNIST" / "raw")
    if dataset == "fashion_mnist":
        return _idx_files(root / "FashionMNIST" / "raw")
    if dataset == "cifar10":
        return _cifar_files(root / "cifar-10-python.tar.gz", root / "cifar-10-batches-py", _CIFAR10_NAMES)
    if dataset == "cifar100":
        return _cifar_files(root / "cifar-100-python.tar.gz", root / "cifar-100-python", ("train", "test", "meta"))
    if dataset == "imagefolder":
        return pictures(root)
    return []


def pictures(folder: Path) -> list[Path]:
    """List the pictures in `folder` and its subfolders, sorted by path; hidden files are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _idx_files(folder: Path) -> list[Path]:
    either = [(folder / f"{name}.gz", folder / name) for name in _IDX_NAMES]
    return [next(path for path in pair if path.is_file()) for pair in either if any(path.is_file() for path in pair)]


def _cifar_files(archive: Path, folder: Path, names: tuple[str, ...]) -> list[Path]:
    if archive.is_file():
        return [archive]
    return [folder / name for name in names if (folder / name).is_file()]
