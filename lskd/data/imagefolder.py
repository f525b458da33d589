"""A user's own pictures, one folder a class: root/<class>/*.png, or root/train/<class> and root/test/<class>."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from lskd.data.arrays import Arrays
from lskd.data.pictures import check_folders, class_folders, has_own_split, pictures
from lskd.data.split import stratified_mask
from lskd.errors import UserError

_SPLIT_SEED = 20200
_BLOCK = 64  # pictures a thread decodes at a time
_REPORT_SECONDS = 10.0


def load(root: Path, *, image_size: int, test_fraction: float, workers: int) -> Arrays:
    """Decode the pictures under `root` as RGB, [N, 3, image_size, image_size].

    The shorter side is resized to `image_size` (bilinear, antialiased), then the centre is cropped. Without the folders
    train/ and test/, a fixed, stratified `test_fraction` becomes the test split.
    """
    check_folders(root)
    if has_own_split(root):
        return _load_given_split(root, image_size, workers)
    files, labels, classes = _list_classes(root)
    _check_memory(len(files), image_size)
    images = _decode(files, image_size, workers)
    test = stratified_mask(labels, test_fraction, _SPLIT_SEED)
    return Arrays(images[~test], labels[~test], images[test], labels[test], classes)


def _load_given_split(root: Path, image_size: int, workers: int) -> Arrays:
    train_files, train_labels, classes = _list_classes(root / "train")
    test_files, test_labels, _ = _list_classes(root / "test")
    _check_memory(len(train_files) + len(test_files), image_size)
    return Arrays(
        _decode(train_files, image_size, workers),
        train_labels,
        _decode(test_files, image_size, workers),
        test_labels,
        classes,
    )


def _list_classes(root: Path) -> tuple[list[Path], np.ndarray, tuple[str, ...]]:
    folders = class_folders(root)
    members = [pictures(folder) for folder in folders]
    labels = np.repeat(np.arange(len(folders)), [len(files) for files in members])
    return [file for files in members for file in files], labels, tuple(folder.name for folder in folders)


def _check_memory(count: int, image_size: int) -> None:
    """Refuse what cannot fit: the pictures are held twice while they are split."""
    bytes_per_pixel = 2 * 3 * count
    needed, available = bytes_per_pixel * image_size**2, _available_memory()
    if needed > available:
        raise UserError(
            f"image_size: {count:,} pictures of {image_size} x {image_size} need {needed / 1e9:,.1f} GB of memory and "
            f"{available / 1e9:,.1f} GB are free; lower it to {int((available / bytes_per_pixel) ** 0.5)} or less"
        )


def _available_memory() -> int:
    """Bytes that can still be allocated, after Linux's own estimate."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise UserError("/proc/meminfo: no line MemAvailable; Linux 3.14 or later is needed")


def _decode(files: list[Path], image_size: int, workers: int) -> np.ndarray:
    images = np.empty((len(files), 3, image_size, image_size), dtype=np.uint8)

    def decode_block(start: int) -> int:
        for index in range(start, min(start + _BLOCK, len(files))):
            images[index] = _decode_one(files[index], image_size)
        return min(start + _BLOCK, len(files))

    reported = time.monotonic()
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for done in pool.map(decode_block, range(0, len(files), _BLOCK)):
            if time.monotonic() - reported > _REPORT_SECONDS:
                print(f"decoded {done:,} of {len(files):,} pictures", file=sys.stderr, flush=True)
                reported = time.monotonic()
    return images


def _decode_one(path: Path, image_size: int) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            image = picture.convert("RGB")
    except Exception as error:  # Pillow's plug-ins raise OSError, SyntaxError, ValueError, struct.error, ...
        raise UserError(f"{path}: does not decode as a picture; replace it or delete it") from error
    if mode.startswith(("I", "F")):
        raise UserError(f"{path}: has more than 8 bits a channel (mode {mode}); convert it to 8 bits")
    scale = image_size / min(image.size)
    width, height = (max(image_size, int(side * scale)) for side in image.size)
    left, top = round((width - image_size) / 2), round((height - image_size) / 2)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image.crop((left, top, left + image_size, top + image_size))).transpose(2, 0, 1)
