"""The memory that a streamed set of many JPEGs takes, from the first look at its files to a trained network.

The set has ImageNet's layout and is made here: every JPEG is of noise of its own and no two files share bytes, so that
nothing read once can serve twice. They are small, 20 x 16 pixels, as their number is what is tested, and are decoded to
64 x 64. What is counted is all that is there at once: the study's `snakemake`, its jobs and whatever these start, with
mapped files, libraries and the network, each page once (PSS); and what the kernel says was a job's most (RSS), lest a
peak between two looks is missed.
"""

import io
import json
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from lskd.data.encoded import EncodedImages
from tests.workflow.conftest import Tree

SIDE, BATCH = 64, 256  # pixels, to which they are decoded; images of a step
STUDY = {
    "study": "many",
    "seeds": [0],
    "data": {"dataset": "imagefolder", "root": "images", "image_size": SIDE, "stream": True},
    "recipes": {
        "one": {"epochs": 1, "batch_size": BATCH, "lr": 0.01, "resized_crop": [0.08, 1, 0.75, 1.3333], "flip": True}
    },
    "teachers": {"t": {"model": {"name": "mlp", "width": 4}, "recipe": "one"}},
    "figures": {"accuracies": {"kind": "accuracy_table"}},
    "runtime": {"device": "cpu", "workers": 2},
}
MB = 1 << 20


def save_images(root: Path, count: int, classes: int) -> None:
    """`count` JPEGs for training, and two a class for val and for test."""
    random = np.random.default_rng(0)
    for split, of_class in (("train", count // classes), ("val", 2), ("test", 2)):
        for label in range(classes):
            folder = root / split / f"n{label:08}"
            folder.mkdir(parents=True)
            noise = random.integers(0, 256, (of_class, 16, 20, 3), dtype=np.uint8)
            for number, pixels in enumerate(noise):
                content = io.BytesIO()
                Image.fromarray(pixels).save(content, "JPEG")
                (folder / f"{number}.JPEG").write_bytes(content.getvalue())


def peak(tree: Tree) -> int:
    """Train; the most bytes that all processes held together."""
    process = tree.start("--cores", "1", "--until", "train")
    first, most, of_first = psutil.Process(process.pid), 0, 0
    while process.poll() is None:
        held = [proportional(each) for each in (first, *first.children(recursive=True))]
        most, of_first = max(most, sum(held)), max(of_first, held[0])
        time.sleep(0.1)
    assert process.stdout is not None
    assert process.returncode == 0, process.stdout.read()
    return max(most, of_first + max(map(of_job, (tree.folder / "results/.usage").iterdir())))


def proportional(process: psutil.Process) -> int:
    """A process's PSS in bytes; 0 if it has ended since it was listed."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def of_job(path: Path) -> int:
    """The most resident bytes of a job, as it kept them itself."""
    return int(json.loads(path.read_text())["megabytes"] * MB)


def peak_of(root: Path, count: int, classes: int) -> int:
    """That of a set of so many images, all of which were prepared, and trained on for an epoch."""
    root.mkdir(exist_ok=True)
    tree = Tree(root)
    save_images(tree.folder / "images", count, classes)
    tree.configure(STUDY)
    most = peak(tree)
    (path,) = tree.results("data/*/images.arrow")
    assert EncodedImages(path).samples("train") == count
    (history,) = tree.results("runs/**/history.jsonl")
    assert json.loads(history.read_text())["step"] == -(-count // BATCH)
    print(f"{count:,} images: {most / 1e6:,.0f} MB")
    return most


def test_memory_does_not_grow_with_the_pixels(tmp_path):
    """What ten times as many images take more is less than a quarter of their pixels' bytes."""
    few, many = 3_000, 30_000
    grown = peak_of(tmp_path / "many", many, 100) - peak_of(tmp_path / "few", few, 100)
    assert grown < (many - few) * 3 * SIDE**2 / 4


@pytest.mark.timeout(3600)
@pytest.mark.long
def test_300_000_images_train_in_under_2_gb(tmp_path):
    assert peak_of(tmp_path, 300_000, 1000) < 2e9
