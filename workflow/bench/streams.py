"""Images/s of prepared Arrow against a plain torchvision ImageFolder with a DataLoader, by the same number of workers.

The JPEGs are made here: 500 x 375 pixels, quality 90, smoothed noise, shapes and grain, of ImageNet's mean 110 KB. Each
way gives the same batches: a random-resized crop to 224 pixels, a flip, normalised float32 [64, 3, 224, 224] on the
CPU. The ways take turns, each turn with other images; files are in the page cache. Shown are the median, least and most
of the turns, and those of the turns' ratios. CPU ms an image counts all processes and threads, the reader's own too.

N images, C channels, H x W pixels.
"""

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.data import encoded, imagefolder, prepare, resized_crop
from lskd.data.augment import Augmentation, flip
from lskd.data.sources import load_source
from lskd.data.streamed import streamed

WIDTH, HEIGHT, QUALITY = 500, 375, 90
CLASSES, SIZE, BATCH = 10, 224, 64
AREA_AND_RATIO = [0.08, 1.0, 3 / 4, 4 / 3]
SHORT_SIDE = 256
PLAIN, AS_IS, SMALL = "ImageFolder, DataLoader", "Arrow, as is", f"Arrow, short_side {SHORT_SIDE}"

Batches = list[list[int]]
Way = Callable[[Batches], Iterator[torch.Tensor]]
"""From batches of image numbers to their normalised pixels float32 [N, C, H, W]."""


def main() -> None:
    """Make the images, prepare them twice, time the ways in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (default: the temporary folder)")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--batches", type=int, default=8, help=f"of {BATCH} images, in each turn of each way")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        root = Path(folder) / "jpegs"
        size = make_images(root, options.images)
        print(f"# {os.cpu_count()} cores; Python {platform.python_version()}, torch {torch.__version__}")
        print(f"# {options.images} JPEGs of {WIDTH} x {HEIGHT}, {size / options.images / 1e3:.0f} KB each")
        made = {way: prepared(root, Path(folder) / name, short) for way, name, short in _STORES}
        for way, path in made.items():
            print(f"# {way}: {(path / encoded.FILE).stat().st_size / options.images / 1e3:.0f} KB an image")
        print(f"\n{'workers':7} {'way':24} {'images/s':>8} {'least':>7} {'most':>7} {'CPU ms':>7}", end="")
        print(f" {'/ plain':>8} {'least':>6} {'most':>6}", flush=True)
        for workers in options.workers:
            ways = {PLAIN: plain(root, workers)} | {way: arrow(path, workers) for way, path in made.items()}
            for line in table(workers, timed(ways, options.turns, options.batches, options.images)):
                print(line, flush=True)
    print(f"{options.turns} turns of {options.batches} batches of {BATCH} each")


_STORES = ((AS_IS, "as_is", None), (SMALL, "small", SHORT_SIDE))


def make_images(root: Path, count: int) -> int:
    """Write `count` JPEGs in a folder a class, and one a class for val and for test; the bytes of the first."""
    random = np.random.default_rng(0)
    fields = [_field(random) for _ in range(24)]
    total = 0
    for number in range(count + 2 * CLASSES):
        split = "train" if number < count else ("val", "test")[(number - count) // CLASSES]
        path = root / split / f"n{number % CLASSES:08}" / f"{number:06}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(random, fields).save(path, "JPEG", quality=QUALITY)
        total += path.stat().st_size * (split == "train")
    return total


def photo(random: np.random.Generator, fields: Sequence[np.ndarray]) -> Image.Image:
    """Three shifted fields of noise, some shapes on them, and grain: to a decoder much like a photo."""
    chosen = [np.roll(fields[i], random.integers(0, HEIGHT, 2), (0, 1)) for i in random.integers(0, len(fields), 3)]
    image = Image.fromarray(_bytes(128 + 26 * sum(chosen)))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = random.integers(0, WIDTH - 60), random.integers(0, HEIGHT - 60)
        box = (left, top, left + random.integers(20, 200), top + random.integers(20, 160))
        shape = (draw.ellipse, draw.rectangle)[random.integers(0, 2)]
        shape(tuple(map(int, box)), fill=tuple(random.integers(0, 256, 3).tolist()))
    grain = random.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32) * random.uniform(8, 34)
    return Image.fromarray(_bytes(np.asarray(image) + grain))


def _field(random: np.random.Generator) -> np.ndarray:
    """Noise [H, W, C] of eight octaves, each of 0.75 of the next larger one's height, with standard deviation 1."""
    total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for octave in range(1, 9):
        small = _bytes(128 + 40 * random.standard_normal((2**octave * 3 // 4, 2**octave, 3)))
        large = Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        total += 0.75**octave * (np.asarray(large, np.float32) - 128)
    return total / total.std()


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(image, 0, 255).astype(np.uint8)


def prepared(root: Path, folder: Path, short_side: int | None) -> Path:
    """The folder of the data job's files."""
    folder.mkdir()
    data = imagefolder.load(root, workers=1, image_size=SIZE, stream=True)
    images = folder / encoded.FILE
    ready = prepare.prepare(data, root, images=images, val_fraction=None, workers=1, short_side=short_side)
    prepare.store(folder, ready, {})
    return folder


def arrow(folder: Path, workers: int) -> Way:
    """The stream of a training, with its augmentation."""
    source = load_source(
        folder / "data.safetensors", "train", torch.device("cpu"), folder / encoded.FILE, streamed, workers
    )
    augmentation = Augmentation(7, [(flip, True)], frames=(resized_crop.frames, AREA_AND_RATIO))

    def read(batches: Batches) -> Iterator[torch.Tensor]:
        for batch in source.batches([torch.tensor(ids) for ids in batches], 1, augmentation):
            yield batch.inputs

    return read


def plain(root: Path, workers: int) -> Way:
    """What torchvision's own training script does, in worker processes that were started before."""
    steps = [
        transforms.RandomResizedCrop(SIZE, tuple(AREA_AND_RATIO[:2]), tuple(AREA_AND_RATIO[2:])),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    current: Batches = [[0]] * workers
    images = ImageFolder(str(root / "train"), transforms.Compose(steps))
    loader = DataLoader(images, batch_sampler=_Current(current), num_workers=workers, persistent_workers=True)
    for _ in loader:  # starts the workers
        pass

    def read(batches: Batches) -> Iterator[torch.Tensor]:
        current[:] = batches
        for inputs, _ in loader:
            yield inputs

    return read


class _Current:
    """The batches of a list, whatever it holds by then."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


Timed = dict[str, list[tuple[float, float]]]
"""Of each way images/s and CPU ms an image, turn by turn."""


def timed(ways: dict[str, Way], turns: int, count: int, images: int) -> Timed:
    """Time each way on `count` batches in every turn, of which the first warms up."""
    results: Timed = {way: [] for way in ways}
    for turn in range(turns + 1):
        random = np.random.default_rng(turn)
        ids = random.choice(images, count * BATCH, replace=count * BATCH > images)
        batches = ids.reshape(count, BATCH).tolist()
        for way in random.permutation(list(ways)).tolist():
            started, cpu = time.perf_counter(), _cpu_seconds()
            for inputs in ways[way](batches):
                assert inputs.shape == (BATCH, 3, SIZE, SIZE) and inputs.dtype == torch.float32
            seconds, cpu = time.perf_counter() - started, _cpu_seconds() - cpu
            if turn:
                results[way].append((len(ids) / seconds, cpu / len(ids) * 1e3))
    return results


def _cpu_seconds() -> float:
    """Processor seconds of this process and of its workers."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ticks = 0
    for worker in multiprocessing.active_children():
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime
    return own.ru_utime + own.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def table(workers: int, results: Timed) -> Iterator[str]:
    """A line for each way."""
    base = [speed for speed, _ in results[PLAIN]]
    for way, turns in results.items():
        speeds, cpu = zip(*turns, strict=True)
        ratios = [ours / theirs for ours, theirs in zip(speeds, base, strict=True)]
        middle = statistics.median
        yield (
            f"{workers:7} {way:24} {middle(speeds):8.1f} {min(speeds):7.1f} {max(speeds):7.1f} {middle(cpu):7.2f}"
            f" {middle(ratios):8.2f} {min(ratios):6.2f} {max(ratios):6.2f}"
        )


if __name__ == "__main__":
    main()
