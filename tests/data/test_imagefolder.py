import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from lskd.data.arrays import Samples
from lskd.data.imagefolder import load
from lskd.errors import UserError

RNG = np.random.default_rng(0)


class Pixels(NamedTuple):
    """A split, decoded."""

    images: np.ndarray
    labels: np.ndarray
    names: list[str]


class Splits(NamedTuple):
    train: Pixels
    test: Pixels
    val: Pixels | None
    classes: tuple[str, ...]
    skipped: dict


def write_image(path: Path, height: int = 20, width: int = 20, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode).save(path)


def write_classes(root: Path, counts: dict[str, int]) -> None:
    for name, count in counts.items():
        for index in range(count):
            write_image(root / name / f"{index:02}.png")


def pixels(samples: Samples, workers: int = 2) -> Pixels:
    blocks = samples.images.blocks(samples.names, workers)
    return Pixels(np.concatenate([block.images for block in blocks]), samples.labels, samples.names)


def read(root: Path, image_size: int = 16, test_fraction: float = 0.2, workers: int = 2) -> Splits:
    data = load(root, image_size=image_size, test_fraction=test_fraction, workers=workers)
    val = None if data.val is None else pixels(data.val, workers)
    return Splits(pixels(data.train, workers), pixels(data.test, workers), val, data.classes, dict(data.skipped))


@pytest.mark.parametrize(("height", "width"), [(20, 20), (50, 33), (33, 50), (7, 90), (16, 17), (101, 16), (3, 3)])
def test_an_image_is_resized_and_cropped_as_torchvision_does(height, width, tmp_path):
    for split in ("train", "test"):
        for name in ("a", "b"):
            write_image(tmp_path / split / name / "0.png", height, width)
    arrays = read(tmp_path)
    with Image.open(tmp_path / "train" / "b" / "0.png") as image:
        expected = Compose([Resize(16), CenterCrop(16)])(image)
    assert (arrays.train.images[1] == np.asarray(expected).transpose(2, 0, 1)).all()


@pytest.mark.parametrize("name", ["grey.png", "palette.gif", "alpha.png", "photo.jpg", "UPPER.JPEG", "x.bmp", "x.webp"])
def test_formats_and_modes(name, tmp_path):
    mode = {"grey": "L", "palette": "P", "alpha": "RGBA"}.get(Path(name).stem, "RGB")
    for split in ("train", "test"):
        write_classes(tmp_path / split, {"a": 1})
        write_image(tmp_path / split / "b" / name, 16, 16, mode)
    with Image.open(tmp_path / "train" / "b" / name) as image:
        expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert (read(tmp_path).train.images[1] == expected).all()


def test_made_test_split(tmp_path):
    write_classes(tmp_path, {"cat": 30, "dog": 10, "ant": 3})
    arrays = read(tmp_path, test_fraction=0.2)
    assert arrays.classes == ("ant", "cat", "dog")
    assert np.bincount(arrays.test.labels).tolist() == [1, 6, 2]
    assert np.bincount(arrays.train.labels).tolist() == [2, 24, 8]
    distinct = {image.tobytes() for image in (*arrays.train.images, *arrays.test.images)}
    assert len(distinct) == 43  # disjoint and complete, as all images differ
    again = read(tmp_path, test_fraction=0.2, workers=1)
    assert (again.test.images == arrays.test.images).all() and (again.train.images == arrays.train.images).all()


def test_given_test_split_and_many_blocks(tmp_path):
    write_classes(tmp_path / "train", {"a": 90, "b": 70})
    write_classes(tmp_path / "test", {"a": 1, "b": 2})
    arrays = read(tmp_path, workers=4)
    assert np.bincount(arrays.train.labels).tolist() == [90, 70]
    assert arrays.test.labels.tolist() == [0, 1, 1]
    with Image.open(tmp_path / "train" / "b" / "69.png") as image:
        expected = np.asarray(Resize(16)(image)).transpose(2, 0, 1)
    assert (arrays.train.images[-1] == expected).all()


def missing(root: Path) -> None:
    root.rmdir()


def a_file(root: Path) -> None:
    root.rmdir()
    root.touch()


def no_class(root: Path) -> None:
    write_image(root / "loose.png")


def one_class(root: Path) -> None:
    write_classes(root, {"train": 5})


def empty_class(root: Path) -> None:
    write_classes(root, {"a": 5})
    (root / "hollow").mkdir()
    (root / "hollow" / "notes.txt").touch()


def text_as_image(root: Path) -> None:
    write_classes(root, {"a": 5, "b": 5})
    (root / "b" / "bad.png").write_text("not a image")


def truncated_image(root: Path) -> None:
    write_classes(root, {"a": 5, "b": 5})
    content = (root / "b" / "00.png").read_bytes()
    (root / "b" / "bad.png").write_bytes(content[: len(content) // 2])


def broken_header(root: Path) -> None:
    write_classes(root, {"a": 5, "b": 5})
    (root / "b" / "bad.png").write_bytes((root / "b" / "00.png").read_bytes()[:20])


def sixteen_bits(root: Path) -> None:
    write_classes(root, {"a": 5, "b": 5})
    Image.fromarray(RNG.integers(0, 2**16, (20, 20), dtype=np.uint16)).save(root / "b" / "bad.png")


def too_small(root: Path) -> None:
    write_classes(root, {"a": 5, "tiny": 2})


def classes_differ(root: Path) -> None:
    write_classes(root / "train", {"a": 5, "b": 5, "c": 2})
    write_classes(root / "test", {"a": 5, "b": 5})


def no_test_classes(root: Path) -> None:
    write_classes(root / "train", {"a": 5, "b": 5})
    (root / "test").mkdir()


def class_only_in_val(root: Path) -> None:
    write_classes(root / "train", {"a": 5, "b": 5})
    write_classes(root / "val", {"a": 5, "b": 5, "c": 1})
    write_classes(root / "test", {"a": 5, "b": 5})


def val_without_train(root: Path) -> None:
    for split in ("val", "test"):
        write_classes(root / split, {"a": 5, "b": 5})


def val_alone(root: Path) -> None:
    write_classes(root / "val", {"a": 5, "b": 5})


def train_alone(root: Path) -> None:
    write_classes(root / "train", {"a": 5, "b": 5})


def train_beside_a_class(root: Path) -> None:
    write_classes(root / "train", {"a": 5, "b": 5})
    write_classes(root, {"extra": 5})


def two_spellings_of_val(root: Path) -> None:
    for split in ("train", "val", "Validation"):
        write_classes(root / split, {"a": 5, "b": 5})


def two_spellings_of_train(root: Path) -> None:
    for split in ("train", "Train"):
        write_classes(root / split, {"a": 5, "b": 5})


def a_fourth_folder(root: Path) -> None:
    for split in ("train", "val", "test", "unlabelled"):
        write_classes(root / split, {"a": 2, "b": 2})


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (missing, ["no such folder", "<class>/"]),
        (a_file, ["a file, no folder"]),
        (no_class, ["no class folders"]),
        (one_class, ["one class folder, 'train'"]),
        (empty_class, ["hollow: no image"]),
        (text_as_image, ["b/bad.png: does not decode"]),
        (truncated_image, ["b/bad.png: does not decode"]),
        (broken_header, ["b/bad.png: does not decode"]),
        (sixteen_bits, ["b/bad.png", "8 bits"]),
        (too_small, ["tiny: only 2", "at least 3"]),
        (classes_differ, ["class 'c' is in train/ but not in test/"]),
        (no_test_classes, ["test: no class folders"]),
        (class_only_in_val, ["class 'c' is in val/ but not in train/"]),
        (val_without_train, ["test/ and val/ without train/"]),
        (val_alone, ["val/ without train/"]),
        (train_alone, ["train/ alone", "<class>/"]),
        (train_beside_a_class, ["train: holds folders of images", "beside extra/"]),
        (two_spellings_of_val, ["Validation/ and val/ are both val"]),
        (two_spellings_of_train, ["Train/ and train/ are both train"]),
        (a_fourth_folder, ["unlabelled: beside test/ and train/ and val/ no other folder is read"]),
    ],
)
def test_malformed_folders_end_in_one_line(make, parts, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    make(root)
    with pytest.raises(UserError) as caught:
        read(root)
    line = str(caught.value)
    assert "\n" not in line and str(root) in line
    for part in parts:
        assert part in line


def test_more_than_the_memory_is_refused_with_a_size_that_fits(tmp_path):
    write_classes(tmp_path, {"a": 3, "b": 3})
    with pytest.raises(
        UserError,
        match=r"^image_size: 6 images of 1000000 x 1000000 need 36,000\.0 GB .* lower it to \d+ .*stream: true$",
    ):
        read(tmp_path, image_size=1_000_000)


# --- layouts ---


@pytest.mark.parametrize("name", ["val", "valid", "validation", "VAL"])
def test_train_and_val_alone_give_val_as_test(name, tmp_path):
    """As ImageNet comes: what is called val is what papers report, and no class."""
    write_classes(tmp_path / "train", {"a": 6, "b": 4})
    write_classes(tmp_path / name, {"a": 1, "b": 2})
    splits = read(tmp_path)
    assert splits.classes == ("a", "b") and splits.val is None
    assert splits.test.names == [f"{name}/a/00.png", f"{name}/b/00.png", f"{name}/b/01.png"]
    assert np.bincount(splits.train.labels).tolist() == [6, 4]


def test_three_given_splits(tmp_path):
    write_classes(tmp_path / "train", {"a": 3, "b": 1})
    write_classes(tmp_path / "valid", {"a": 1, "b": 2})
    write_classes(tmp_path / "test", {"a": 2, "b": 1})
    splits = read(tmp_path)
    assert splits.val is not None
    for split, folder in ((splits.train, "train"), (splits.val, "valid"), (splits.test, "test")):
        for image, label, name in zip(*split, strict=True):
            assert name.startswith(f"{folder}/{'ab'[label]}/")
            with Image.open(tmp_path / name) as whole:
                assert (image == np.asarray(Resize(16)(whole)).transpose(2, 0, 1)).all()
    assert [len(split.labels) for split in (splits.train, splits.val, splits.test)] == [4, 3, 3]


def test_a_class_may_be_called_train(tmp_path):
    """A vehicle, with its images right in its folder."""
    write_classes(tmp_path, {"bus": 5, "train": 5, "test": 0})
    assert read(tmp_path).classes == ("bus", "train")


def test_names_lead_to_the_files(tmp_path):
    write_classes(tmp_path, {"cat": 4, "dog/deep": 4})
    (tmp_path / "dog" / "deep" / os.fsdecode(b"\xff.png")).write_bytes((tmp_path / "cat" / "00.png").read_bytes())
    splits = read(tmp_path)
    names = splits.train.names + splits.test.names
    expected = [f"cat/0{i}.png" for i in range(4)] + [f"dog/deep/0{i}.png" for i in range(4)] + ["dog/deep/\\xff.png"]
    assert sorted(names) == expected


def test_what_is_no_image_is_counted_by_suffix(tmp_path):
    write_classes(tmp_path, {"cat": 4, "dog": 4})
    for name in ("a.txt", "b.TXT", "c.heic", "README", ".hidden", "deep/d.txt"):
        (tmp_path / "dog" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "dog" / name).touch()
    assert read(tmp_path).skipped == {("train", "dog"): {".txt": 3, ".heic": 1, "": 1}}


def test_with_stream_nothing_is_held_and_no_memory_is_needed(tmp_path):
    write_classes(tmp_path, {"a": 3, "b": 3})
    data = load(tmp_path, image_size=1_000_000, test_fraction=0.2, workers=1, stream=True)
    assert data.train.images.stream and len(data.train.images) == 4
