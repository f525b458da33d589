"""What kind of data set of a user's own lies at a path. Standard library only, for planning imports it."""

from pathlib import Path


def kind_of(path: Path) -> str:
    """npz (a .npz file, or a folder with train.npz), hf_dataset (Parquet, or saved to disk), else imagefolder."""
    try:
        if path.suffix == ".npz" or (path / "train.npz").is_file():
            return "npz"
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            return "hf_dataset"
        patterns = ("*.parquet", "data/*.parquet", "train/*.parquet")
        if any(next(path.glob(pattern), None) for pattern in patterns):
            return "hf_dataset"
    except (OSError, ValueError):  # no such place, or no such name: told where the data are looked at
        pass
    return "imagefolder"
