from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from lskd.data.imagefolder import load
from lskd.errors import UserError

RNG = np.random.default_rng(0)


def write_picture(path: Path, height: int = 20, width: int = 20, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode).save(path)


def write_classes(root: Path, counts: dict[str, int]) -> None:
    for name, count in counts.items():
        for index in range(count):
            write_picture(root / name / f"{index:02}.png")


def read(root: Path, image_size: int = 16, test_fraction: float = 0.2, workers: int = 2):
    return load(root, image_size=image_size, test_fraction=test_fraction, workers=workers)


@pytest.mark.parametrize(("height", "width"), [(20, 20), (50, 33), (33, 50), (7, 90), (16, 17), (101, 16), (3, 3)])
def test_a_picture_is_resized_and_cropped_as_torchvision_does(height, width, tmp_path):
    for split in ("train", "test"):
        for name in ("a", "b"):
            write_picture(tmp_path / split / name / "0.png", height, width)
    arrays = read(tmp_path)
    with Image.open(tmp_path / "train" / "b" / "0.png") as picture:
        expected = Compose([Resize(16), CenterCrop(16)])(picture)
    assert (arrays.train_images[1] == np.asarray(expected).transpose(2, 0, 1)).all()


@pytest.mark.parametrize("name", ["grey.png", "palette.gif", "alpha.png", "photo.jpg", "UPPER.JPEG", "x.bmp", "x.webp"])
def test_formats_and_modes(name, tmp_path):
    mode = {"grey": "L", "palette": "P", "alpha": "RGBA"}.get(Path(name).stem, "RGB")
    for split in ("train", "test"):
        write_classes(tmp_path / split, {"a": 1})
        write_picture(tmp_path / split / "b" / name, 16, 16, mode)
    with Image.open(tmp_path / "train" / "b" / name) as picture:
        expected = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    assert (read(tmp_path).train_images[1] == expected).all()


def test_made_test_split(tmp_path):
    write_classes(tmp_path, {"cat": 30, "dog": 10, "ant": 3})
    arrays = read(tmp_path, test_fraction=0.2)
    assert arrays.classes == ("ant", "cat", "dog")
    assert np.bincount(arrays.test_labels).tolist() == [1, 6, 2]
    assert np.bincount(arrays.train_labels).tolist() == [2, 24, 8]
    distinct = {image.tobytes() for image in (*arrays.train_images, *arrays.test_images)}
    assert len(distinct) == 43  # disjoint and complete, as all pictures differ
    again = read(tmp_path, test_fraction=0.2, workers=1)
    assert (again.test_images == arrays.test_images).all() and (again.train_images == arrays.train_images).all()


def test_given_test_split_and_many_blocks(tmp_path):
    write_classes(tmp_path / "train", {"a": 90, "b": 70})
    write_classes(tmp_path / "test", {"a": 1, "b": 2})
    arrays = read(tmp_path, workers=4)
    assert np.bincount(arrays.train_labels).tolist() == [90, 70]
    assert arrays.test_labels.tolist() == [0, 1, 1]
    with Image.open(tmp_path / "train" / "b" / "69.png") as picture:
        expected = np.asarray(Resize(16)(picture)).transpose(2, 0, 1)
    assert (arrays.train_images[-1] == expected).all()


def missing(root: Path) -> None:
    root.rmdir()


def a_file(root: Path) -> None:
    root.rmdir()
    root.touch()


def no_class(root: Path) -> None:
    write_picture(root / "loose.png")


def one_class(root: Path) -> None:
    write_classes(root, {"train": 5})


def empty_class(root: Path) -> None:
    write_classes(root, {"a": 5})
    (root / "hollow").mkdir()
    (root / "hollow" / "notes.txt").touch()


def text_as_picture(root: Path) -> None:
    write_classes(root, {"a": 5, "b": 5})
    (root / "b" / "bad.png").write_text("not a picture")


def truncated_picture(root: Path) -> None:
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


def third_split(root: Path) -> None:
    for split in ("train", "test", "val"):
        write_classes(root / split, {"a": 2, "b": 2})


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (missing, ["no such folder", "<class>/"]),
        (a_file, ["a file, no folder"]),
        (no_class, ["no class folders"]),
        (one_class, ["one class folder, 'train'"]),
        (empty_class, ["hollow: no picture"]),
        (text_as_picture, ["b/bad.png: does not decode"]),
        (truncated_picture, ["b/bad.png: does not decode"]),
        (broken_header, ["b/bad.png: does not decode"]),
        (sixteen_bits, ["b/bad.png", "8 bits"]),
        (too_small, ["tiny: only 2", "at least 3"]),
        (classes_differ, ["class 'c' is in train/ but not in test/"]),
        (no_test_classes, ["test: no class folders"]),
        (third_split, ["val: beside train/ and test/"]),
    ],
)
def test_malformed_folders_end_in_one_line(make, parts, tmp_path):
    root = tmp_path / "pictures"
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
    with pytest.raises(UserError, match=r"^image_size: 6 pictures of 1000000 x 1000000 need 36,000\.0 GB .* lower it"):
        read(tmp_path, image_size=1_000_000)
