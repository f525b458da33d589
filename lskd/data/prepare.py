"""From a loader's arrays to one file: the val split, the checks, the channel statistics. NumPy only."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from lskd.data.arrays import Arrays
from lskd.data.content import check_same
from lskd.data.split import stratified_mask
from lskd.errors import UserError
from lskd.io.atomic import atomic
from lskd.jobs.work import Work

_SPLIT_SEED = 20201


def run(work: Work) -> None:
    """Prepare the data set of a job's spec from the files at its place; UserError where they are no longer those."""
    spec = work.spec
    tensors, metadata = prepare(
        work.functions["load"],
        work.place,
        val_fraction=spec["val_fraction"],
        image_size=spec.get("image_size", 0),
        test_fraction=spec.get("test_fraction", 0.0),
        workers=work.runtime.workers,
    )
    check_same(spec["content"], spec["dataset"], str(work.place))
    write(work.folder / "data.safetensors", tensors, work.origin | metadata)


def prepare(
    load: Callable[..., Arrays],
    root: Path,
    *,
    val_fraction: float,
    image_size: int,
    test_fraction: float,
    workers: int,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Load a data set and take a fixed, stratified `val_fraction` of train as val.

    Returns the tensors `{train,val,test}_images` (uint8 [N, C, H, W]) and `_labels` (int64 [N]), and as metadata the
    class names and the per-channel mean and standard deviation of train in 0..1. The val split is a function of the
    training labels alone.
    """
    arrays = load(root, image_size=image_size, test_fraction=test_fraction, workers=workers)
    _check(arrays, root)
    val = stratified_mask(arrays.train_labels, val_fraction, _SPLIT_SEED)
    tensors = {
        "train_images": arrays.train_images[~val],
        "train_labels": arrays.train_labels[~val],
        "val_images": arrays.train_images[val],
        "val_labels": arrays.train_labels[val],
        "test_images": np.ascontiguousarray(arrays.test_images),
        "test_labels": np.ascontiguousarray(arrays.test_labels),
    }
    mean_c, std_c = channel_statistics(tensors["train_images"])
    return tensors, {"classes": list(arrays.classes), "mean": mean_c.tolist(), "std": std_c.tolist()}


def write(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Write what `prepare` returned as safetensors, atomically; metadata under one key, as several have no order."""
    with atomic(path) as tmp:
        save_file(tensors, tmp, {"lskd": json.dumps(metadata, sort_keys=True)})


def channel_statistics(images_nchw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel in 0..1 (float64 [C]), over all pixels, from exact integer counts.

    A constant channel gets the standard deviation 1/255, one grey level, as it is divided by.
    """
    channels = images_nchw.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images_nchw), 1024):  # bincount makes int64 of its input: a block at a time
        for channel in range(channels):
            counts[channel] += np.bincount(images_nchw[start : start + 1024, channel].ravel(), minlength=256)
    share = counts / counts.sum(axis=1, keepdims=True)
    levels = np.arange(256) / 255
    mean_c = share @ levels
    std_c = np.sqrt((share * (levels - mean_c[:, None]) ** 2).sum(axis=1))
    return mean_c, np.where(counts.max(axis=1) == counts.sum(axis=1), 1 / 255, std_c)


def _check(arrays: Arrays, root: Path) -> None:
    for split, images, labels in (
        ("train", arrays.train_images, arrays.train_labels),
        ("test", arrays.test_images, arrays.test_labels),
    ):
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != arrays.train_images.shape[1:]:
            raise UserError(f"{root}: {split} images are {images.dtype} {images.shape}; uint8 (N, C, H, W) is needed")
        if labels.dtype != np.int64 or labels.shape != images.shape[:1] or not len(labels):
            raise UserError(f"{root}: {split} has {len(images)} images but labels {labels.dtype} {labels.shape}")
        if labels.min() < 0 or labels.max() >= len(arrays.classes):
            raise UserError(
                f"{root}: {split} labels run from {labels.min()} to {labels.max()}; with {len(arrays.classes)} classes "
                f"0 to {len(arrays.classes) - 1} are allowed"
            )
    counts = np.bincount(arrays.train_labels, minlength=len(arrays.classes))
    if counts.min() < 2:
        name = arrays.classes[int(counts.argmin())]
        raise UserError(
            f"{root}: class {name!r} has {counts.min()} training image(s); at least 2 are needed (one each for train "
            "and val)"
        )
