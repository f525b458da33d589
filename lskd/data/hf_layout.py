"""A Hugging Face data set on disk, by name: the files of each split. Standard library only, for planning imports it.

What `save_to_disk` writes (dataset_dict.json, or the state.json of one split), or Parquet files as `to_parquet` writes
them and the hub lays them out: train-00000-of-00002.parquet, data/train-*.parquet, or a folder for each split.
"""

import json
import re
from pathlib import Path

from lskd.data.image_folders import files_in, folders_in
from lskd.data.spelling import as_reported, split_of
from lskd.errors import UserError

_LONGEST_NAME = 255  # bytes, as file systems have it
_SHARD = re.compile(r"-(\d+)-of-(\d+)$")


def hf_files(root: Path) -> dict[str, list[Path]]:
    """The files of each split of a Hugging Face data set: .arrow from save_to_disk, else .parquet."""
    if root.is_file():
        raise UserError(f"{root}: a file; give data.root as the folder that it lies in")
    if (root / "dataset_dict.json").is_file():
        return _saved_splits(root)
    if (root / "state.json").is_file():
        return {"train": _saved_files(root)}
    return _parquet_splits(root)


def _saved_splits(root: Path) -> dict[str, list[Path]]:
    names = _json(root / "dataset_dict.json").get("splits")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{root / 'dataset_dict.json'}: no list of splits; write it anew with save_to_disk")
    return _by_split(root, {name: _saved_files(root / name) for name in names if _is_plain(root, name)})


def _saved_files(folder: Path) -> list[Path]:
    """The files of one split as its state.json lists them."""
    state = _json(folder / "state.json")
    entries = state.get("_data_files")
    names = [entry.get("filename") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if not names or not all(isinstance(name, str) and _is_plain(folder, name) for name in names):
        raise UserError(f"{folder / 'state.json'}: names no data files; write it anew with save_to_disk")
    if state.get("_indices_data_files"):
        raise UserError(
            f"{folder}: a selection that is not written out; write it anew with flatten_indices().save_to_disk"
        )
    paths = [folder / str(name) for name in names]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: missing, though {folder / 'state.json'} names it; copy it there")
    return paths


def _is_plain(folder: Path, name: str) -> bool:
    """Whether a name from a file stays in its folder; UserError if not."""
    if name != Path(name).name or name in ("", ".", "..") or len(name.encode(errors="replace")) > _LONGEST_NAME:
        raise UserError(
            f"{folder}: names {name[:60]!r}, which is no plain name; write the data set anew with save_to_disk"
        )
    return True


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error}); write the data set anew with save_to_disk") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: not what save_to_disk writes; write the data set anew with it")
    return value


def _parquet_splits(root: Path) -> dict[str, list[Path]]:
    """Parquet files in `root`, in its data/, or in a folder for each split."""
    folders = {path.name: path for path in folders_in(root)}
    by_split = [path for name in folders if split_of(name) for path in files_in(folders[name], ".parquet")]
    in_data = files_in(folders["data"], ".parquet") if "data" in folders else []
    places = [paths for paths in (files_in(root, ".parquet"), in_data, by_split) if paths]
    if not places:
        raise UserError(
            f"{root}: neither .parquet files (train-*.parquet, data/train-*.parquet or train/*.parquet) nor what "
            "save_to_disk writes; put the data set there"
        )
    if len(places) > 1:
        raise UserError(f"{root}: .parquet files at two places, {places[0][0]} and {places[1][0]}; keep one of them")
    (paths,) = places
    named = [_parquet_split(path, paths is by_split) for path in paths]
    if not any(named):
        return {"train": _whole(paths)}
    if not all(named):
        raise UserError(
            f"{paths[named.index('')]}: belongs to no split; let its name begin with train, validation or test"
        )
    files: dict[str, list[Path]] = {}
    for name, path in zip(named, paths, strict=True):
        files.setdefault(name, []).append(path)
    return _by_split(root, {name: _whole(paths) for name, paths in files.items()})


def _parquet_split(path: Path, by_folder: bool) -> str:
    """The word for a split that a file's name begins with, or its folder's name; "" for none."""
    if by_folder:
        return path.parent.name
    word = re.match(r"[A-Za-z]*", path.stem)
    return word[0] if word and split_of(word[0]) else ""


def _whole(paths: list[Path]) -> list[Path]:
    """The shards of a split, which must all be there: train-00000-of-00002.parquet and so on."""
    shards = [match for path in paths if (match := _SHARD.search(path.stem))]
    counts = {int(match[2]) for match in shards}
    if shards and (len(counts) > 1 or len(paths) != max(counts)):
        raise UserError(
            f"{paths[0].parent}: {len(paths)} file(s) {paths[0].name}, ... of {max(counts)}; copy the missing ones "
            "there or move those of another data set away"
        )
    return paths


def _by_split(root: Path, files: dict[str, list[Path]]) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = {}
    for name, paths in files.items():
        split = split_of(name)
        if split is None:
            raise UserError(f"{root}: a split {name!r}; train, validation and test are read; rename it or leave it out")
        if split in splits:
            raise UserError(f"{root}: two splits for {split}, {name!r} and another; keep one of them")
        splits[split] = paths
    if "train" not in splits:
        raise UserError(f"{root}: {', '.join(files) or 'no split'} without train; add the split train")
    return as_reported(splits)
