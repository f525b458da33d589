"""From a loader's data set to the files of a data job: the val split, the checks, the channel statistics. No torch."""

import csv
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file

from lskd.data import derived, encoded
from lskd.data.arrays import Arrays, Encoded, Samples
from lskd.data.content import check_same
from lskd.data.split import check_labels, stratified_mask
from lskd.errors import UserError
from lskd.io.atomic import atomic, write_text
from lskd.io.tables import write_table
from lskd.jobs.work import Work

_SPLIT_SEED = 20201
_REPORT_SECONDS = 10.0
_NO_OPTIONS = (
    "dataset",
    "short_side",
    "val_fraction",
    "mean",
    "std",
    "content",
    *derived.OPTIONS,
)  # which no loader takes


@dataclass(frozen=True)
class Prepared:
    """A data set, ready to be written.

    `tensors`: `{train,val,test}_labels` int64 [N] and, unless streamed, `_images` uint8 [N, C, H, W]. `metadata`: the
    class names, the shape [C, H, W], mean and std of train by channel in 0..1, and image_size if streamed. `names`: of
    each split's samples. `tally`: the rows of classes.csv.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]
    names: dict[str, list[str]]
    tally: list[dict[str, Any]]


@dataclass(frozen=True)
class Pixels:
    """What one pass over a split's images gives: them, or None for streamed ones; counts int64 [C, 256]; notes."""

    images: np.ndarray | None
    counts: np.ndarray
    notes: list[str] = field(default_factory=list)


def run(work: Work) -> None:
    """Prepare the data set of a job's spec from the files at its place; UserError where they are no longer those."""
    spec, root = work.spec, work.place
    options = {name: value for name, value in spec.items() if name not in _NO_OPTIONS}
    data = work.functions["load"](root, workers=work.runtime.workers, **options)
    with atomic(work.folder / encoded.FILE) as images:
        data = derived.with_list(data, root, spec.get("split_file"))
        data = derived.with_classes(data, spec.get("class_subset"))
        prepared = prepare(
            data,
            root,
            images=images,
            val_fraction=spec.get("val_fraction"),
            workers=work.runtime.workers,
            short_side=spec.get("short_side"),
            train=lambda samples: derived.train_of(samples, spec, len(data.classes)),
        )
        if spec["content"]:
            check_same(spec["content"], spec["dataset"], str(root))
    prepared.metadata.update(_given_statistics(spec, prepared.metadata["shape"][0]))
    store(work.folder, prepared, work.origin)
    _report(prepared.tally, root)


def _given_statistics(spec: Mapping[str, Any], channels: int) -> dict[str, list[float]]:
    """The mean and std that the config gives, in place of train's; UserError if they are of other channels."""
    given = {name: list(spec[name]) for name in ("mean", "std") if spec.get(name)}
    for name, values in given.items():
        if len(values) != channels:
            raise UserError(
                f"data.{name}: found {len(values)} values, the images have {channels} channel(s); give as many"
            )
    return given


def prepare(
    data: Arrays,
    root: Path,
    *,
    images: Path,
    val_fraction: float | None,
    workers: int,
    short_side: int | None = None,
    train: Callable[[Samples], Samples] = lambda samples: samples,
) -> Prepared:
    """Take a fixed, stratified `val_fraction` of train as val, unless val is given, and pass once over all images.

    `train` makes of what is left of train what is trained on.

    The val split is a function of the training labels alone. Encoded images are decoded, all of them, and written to
    `images` if they are streamed, with no more than `short_side` pixels on the shorter side. UserError for what is no
    data set.
    """
    _check(data, root)
    splits = _with_val(data, val_fraction)
    splits["train"] = train(splits["train"])
    with encoded.writer(images) as writer:
        passes = {split: _pass(split, samples, writer, workers, short_side) for split, samples in splits.items()}
    tensors = {}
    for split, pixels in passes.items():
        if pixels.images is not None:
            tensors[f"{split}_images"] = pixels.images
        tensors[f"{split}_labels"] = np.ascontiguousarray(splits[split].labels)
    mean_c, std_c = _statistics(passes["train"].counts)
    metadata = {"classes": list(data.classes), "mean": mean_c.tolist(), "std": std_c.tolist()}
    metadata |= {"families": list(data.families)} if data.families else {}
    return Prepared(
        tensors,
        metadata | _form(data.train.images),
        {split: samples.names for split, samples in splits.items()},
        _tally(data, splits, {split: pixels.notes for split, pixels in passes.items()}),
    )


def store(folder: Path, prepared: Prepared, origin: dict[str, Any]) -> None:
    """Write the files of a data job beside images.arrow, each with `origin`; the same data give the same bytes."""
    write(folder / "data.safetensors", prepared.tensors, origin | prepared.metadata)
    splits = prepared.names.items()
    samples = pa.table(
        {
            "split": pa.array([split for split, names in splits for _ in names], pa.string()),
            "sample": pa.array([index for _, names in splits for index in range(len(names))], pa.int32()),
            "label": pa.array(np.concatenate([prepared.tensors[f"{split}_labels"] for split, _ in splits]), pa.int32()),
            "name": pa.array([name for _, names in splits for name in names], pa.string()),
        }
    )
    write_table(folder / "samples.parquet", samples, origin)
    text = io.StringIO()
    table = csv.DictWriter(text, ("split", "class", "read", "skipped", "converted", "notes"), lineterminator="\n")
    table.writeheader()
    table.writerows(prepared.tally)
    write_text(folder / "classes.csv", text.getvalue())


def write(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Write tensors as safetensors, atomically; metadata under one key, as several have no order."""
    with atomic(path) as tmp:
        save_file(tensors, tmp, {"lskd": json.dumps(metadata, sort_keys=True)})


def channel_statistics(images_nchw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel in 0..1 (float64 [C]), over all pixels, from exact integer counts.

    A constant channel gets the standard deviation 1/255, one grey level, as it is divided by.
    """
    return _statistics(_level_counts(images_nchw))


def _level_counts(images_nchw: np.ndarray) -> np.ndarray:
    """How many pixels of each channel have each grey level, int64 [C, 256]."""
    channels = images_nchw.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images_nchw), 1024):  # bincount makes int64 of its input: a block at a time
        for channel in range(channels):
            counts[channel] += np.bincount(images_nchw[start : start + 1024, channel].ravel(), minlength=256)
    return counts


def _statistics(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = counts / counts.sum(axis=1, keepdims=True)
    levels = np.arange(256) / 255
    mean_c = share @ levels
    std_c = np.sqrt((share * (levels - mean_c[:, None]) ** 2).sum(axis=1))
    return mean_c, np.where(counts.max(axis=1) == counts.sum(axis=1), 1 / 255, std_c)


def _with_val(data: Arrays, val_fraction: float | None) -> dict[str, Samples]:
    """The samples of train, val and test."""
    if data.val is not None:
        return {"train": data.train, "val": data.val, "test": data.test}
    if val_fraction is None:
        raise UserError("data: no val split any more, which was there when this job was planned; run again")
    val = stratified_mask(data.train.labels, val_fraction, _SPLIT_SEED)
    return {"train": data.train.where(~val), "val": data.train.where(val), "test": data.test}


def _form(images: np.ndarray | Encoded) -> dict[str, Any]:
    """What the metadata say of an image: shape, and image_size where it is still to be decoded."""
    if isinstance(images, np.ndarray):
        return {"shape": list(images.shape[1:])}
    shape = {"shape": [3, images.image_size, images.image_size]}
    return shape | ({"image_size": images.image_size} if images.stream else {})


def _pass(split: str, samples: Samples, writer: encoded.Writer, workers: int, short_side: int | None) -> Pixels:
    """Pass once over a split's images: decode and count them, keep them or write them."""
    images = samples.images
    if isinstance(images, np.ndarray):
        return Pixels(np.ascontiguousarray(images), _level_counts(images))
    size = images.image_size
    kept = None if images.stream else np.empty((len(images), 3, size, size), dtype=np.uint8)
    counts, notes = np.zeros((3, 256), dtype=np.int64), []
    start, reported = 0, time.monotonic()
    for block in images.blocks(samples.names, workers, short_side):
        end = start + len(block.images)
        counts += _level_counts(block.images)
        notes += block.notes
        if kept is None:
            writer.add(split, start, block.contents, samples.names[start:end])
        else:
            kept[start:end] = block.images
        start = end
        if time.monotonic() - reported > _REPORT_SECONDS:
            print(f"decoded {end:,} of {len(images):,} images of {split}", file=sys.stderr, flush=True)
            reported = time.monotonic()
    return Pixels(kept, counts, notes)


def _tally(data: Arrays, splits: dict[str, Samples], notes: dict[str, list[str]]) -> list[dict[str, Any]]:
    """What was read, skipped and converted, a row for each split and class.

    What was skipped in a folder that is split here stands at train.
    """
    rows = []
    for split, samples in splits.items():
        converted: list[Counter[str]] = [Counter() for _ in data.classes]
        for label, note in zip(samples.labels.tolist(), notes[split], strict=False):  # arrays have no notes
            converted[label][note] += bool(note)
        read = np.bincount(samples.labels, minlength=len(data.classes))
        for name, count, modes in zip(data.classes, read.tolist(), converted, strict=True):
            skipped = data.skipped.get((split, name), {})
            texts = [_counted(modes), _counted(skipped, "skipped ")]
            rows.append(
                {
                    "split": split,
                    "class": name,
                    "read": count,
                    "skipped": sum(skipped.values()),
                    "converted": modes.total(),
                    "notes": "; ".join(text for text in texts if text),
                }
            )
    return rows


def _counted(counts: Mapping[str, int], before: str = "") -> str:
    """Counts in words, the largest first: "12 grey, 1 with alpha"."""
    ordered = sorted(((name, count) for name, count in counts.items() if count), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{count} {name or 'without a suffix'}" for name, count in ordered)
    return before + listed if listed else ""


def _report(tally: Iterable[Mapping[str, Any]], root: Path) -> None:
    """Say in a line that files were skipped or images converted."""
    skipped, converted = (sum(row[name] for row in tally) for name in ("skipped", "converted"))
    said = [f"{skipped:,} file(s) that are no images were skipped"] if skipped else []
    said += [f"{converted:,} image(s) were converted to RGB"] if converted else []
    if said:
        print(
            f"warning: {root}: {', '.join(said)}; classes.csv beside the prepared data says which, by class",
            file=sys.stderr,
        )


def _check(data: Arrays, root: Path) -> None:
    if len(set(data.classes)) < len(data.classes):
        repeated = next(name for name, count in Counter(data.classes).items() if count > 1)
        raise UserError(f"{root}: two classes are called {repeated!r}; give each a name of its own")
    for split, samples in (("train", data.train), ("val", data.val), ("test", data.test)):
        if samples is not None:
            _check_split(split, samples, data, root)
    counts = np.bincount(data.train.labels, minlength=len(data.classes))
    fewest = 2 if data.val is None else 1
    if counts.min() < fewest:
        name = data.classes[int(counts.argmin())]
        needed = "2 are needed (one each for train and val)" if fewest == 2 else "1 is needed"
        raise UserError(f"{root}: class {name!r} has {counts.min()} training image(s); at least {needed}")


def _check_split(split: str, samples: Samples, data: Arrays, root: Path) -> None:
    images, labels = samples.images, samples.labels
    if isinstance(images, np.ndarray):
        shape = data.train.images.shape[1:] if isinstance(data.train.images, np.ndarray) else None
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape:
            raise UserError(f"{root}: {split} images are {images.dtype} {images.shape}; uint8 (N, C, H, W) is needed")
    if labels.dtype != np.int64 or labels.shape != (len(images),) or not len(labels):
        raise UserError(f"{root}: {split} has {len(images)} images but labels {labels.dtype} {labels.shape}")
    if len(samples.names) != len(labels):
        raise UserError(f"{root}: {split} has {len(images)} images but {len(samples.names)} names")
    check_labels(root, split, labels, len(data.classes))
