import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from lskd.data import npz
from lskd.data.layouts import check, given_splits
from lskd.data.npz import load
from lskd.errors import UserError

RNG = np.random.default_rng(0)


def images(count: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, *(shape or (5, 6))), dtype=np.uint8)


def labels(count: int, classes: int = 3) -> np.ndarray:
    return np.arange(count) % classes


def read(root: Path, test_fraction: float | None = 0.25):
    return load(root, workers=1, test_fraction=test_fraction)


# --- layouts ---


def test_keras_mnist(tmp_path):
    """The keys, shapes and types of the mnist.npz that Keras downloads."""
    file = tmp_path / "mnist.npz"
    x_train, x_test = images(30, 28, 28), images(9, 28, 28)
    y_train, y_test = labels(30).astype(np.uint8), labels(9).astype(np.uint8)
    np.savez(file, x_test=x_test, x_train=x_train, y_train=y_train, y_test=y_test)
    data = read(file, None)
    assert data.val is None and data.classes == ("0", "1", "2")
    for samples, x, y, name in ((data.train, x_train, y_train, "x_train"), (data.test, x_test, y_test, "x_test")):
        assert samples.images.shape == (len(x), 1, 28, 28) and (samples.images[:, 0] == x).all()
        assert samples.labels.dtype == np.int64 and (samples.labels == y).all()
        assert samples.names == [f"mnist.npz/{name}#{i}" for i in range(len(x))]
    assert given_splits("npz", file) == {"test"}


def test_medmnist(tmp_path):
    """The keys, shapes and types of MedMNIST's files: labels [N, 1]."""
    parts = {
        f"{split}_{what}": array
        for split, count in (("train", 30), ("val", 6), ("test", 9))
        for what, array in (("images", images(count, 28, 28, 3)), ("labels", labels(count)[:, None].astype(np.uint8)))
    }
    np.savez_compressed(tmp_path / "pathmnist.npz", **parts)
    data = read(tmp_path / "pathmnist.npz", None)
    for split, samples in (("train", data.train), ("val", data.val), ("test", data.test)):
        assert (samples.images == parts[f"{split}_images"].transpose(0, 3, 1, 2)).all()
        assert (samples.labels == parts[f"{split}_labels"][:, 0]).all()
    assert given_splits("npz", tmp_path / "pathmnist.npz") == {"test", "val"}


@pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y")])
def test_a_file_for_each_split(keys, tmp_path):
    arrays = {name: (images(count), labels(count)) for name, count in (("train", 30), ("validation", 6), ("test", 9))}
    for name, pair in arrays.items():
        np.savez(tmp_path / f"{name}.npz", **dict(zip(keys, pair, strict=True)))
    data = read(tmp_path)
    for name, samples in (("train", data.train), ("validation", data.val), ("test", data.test)):
        assert (samples.images[:, 0] == arrays[name][0]).all()
        assert samples.names[:2] == [f"{name}.npz#0", f"{name}.npz#1"]
    (tmp_path / "test.npz").unlink()
    data = read(tmp_path)  # val is what is reported
    assert data.val is None and (data.test.images[:, 0] == arrays["validation"][0]).all()
    assert given_splits("npz", tmp_path) == {"test"}


@pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y"), ("x_train", "y_train")])
def test_one_split_alone_gives_test_its_part(keys, tmp_path):
    x, y = images(40), labels(40, 4)
    np.savez(tmp_path / "all.npz", **dict(zip(keys, (x, y), strict=True)))
    assert given_splits("npz", tmp_path / "all.npz") == set()
    data = read(tmp_path / "all.npz", 0.25)
    chosen = np.zeros(40, bool)
    for label in range(4):  # as digits does, by the pinned draws
        members = np.flatnonzero(y == label)
        order = np.random.RandomState([20200, label]).permutation(len(members))
        chosen[members[order[: round(0.25 * len(members))]]] = True
    assert (data.test.images[:, 0] == x[chosen]).all() and (data.train.images[:, 0] == x[~chosen]).all()
    assert [int(name.partition("#")[2]) for name in data.test.names] == np.flatnonzero(chosen).tolist()


@pytest.mark.parametrize(
    ("shape", "as_nchw"),
    [
        ((5, 6), lambda x: x[:, None]),
        ((5, 6, 1), lambda x: x.transpose(0, 3, 1, 2)),
        ((5, 6, 3), lambda x: x.transpose(0, 3, 1, 2)),
        ((1, 5, 6), lambda x: x),
        ((3, 5, 6), lambda x: x),
    ],
)
def test_forms_of_images(shape, as_nchw, tmp_path):
    x = images(12, *shape)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=labels(12), x_test=x, y_test=labels(12))
    assert (read(tmp_path / "a.npz").train.images == as_nchw(x)).all()


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", ">i4", "int64", "uint64"])
def test_types_of_labels(kind, tmp_path):
    np.savez(tmp_path / "a.npz", images=images(12), labels=labels(12).astype(kind))
    data = read(tmp_path / "a.npz")
    assert data.train.labels.dtype == np.int64 and sorted([*data.train.labels, *data.test.labels]) == sorted(labels(12))


def test_names_of_classes(tmp_path):
    np.savez(tmp_path / "a.npz", images=images(12), labels=labels(12), classes=np.array(["cat", "dog", "ü"]))
    assert read(tmp_path / "a.npz").classes == ("cat", "dog", "ü")


# --- what is refused ---


def x_and_y(file: Path, **changes) -> None:
    np.savez(file, **{"images": images(12), "labels": labels(12)} | changes)


def objects(file: Path) -> None:
    x_and_y(file, labels=np.array([{}] * 12, dtype=object))


def a_pickle_inside(file: Path) -> None:
    """Labels whose header promises objects and whose content would run code when unpickled."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (12,)})
    with zipfile.ZipFile(file, "w") as archive:
        x = io.BytesIO()
        np.save(x, images(12))
        archive.writestr("images.npy", x.getvalue())
        archive.writestr("labels.npy", header.getvalue() + pickle.dumps(Path("never")))


def header_of(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()


def a_bomb(file: Path) -> None:
    """A gigabyte of zeros in a megabyte; the machine is told to have less."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("images.npy", "w") as member:
            member.write(header_of((1 << 10, 1 << 10, 1 << 10)))
            for _ in range(1 << 8):
                member.write(bytes(1 << 22))
        archive.writestr("labels.npy", header_of((12,)) + bytes(12))


def a_header_that_lies(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", header_of((1 << 30, 1 << 20, 1 << 20)) + b"few")
        archive.writestr("labels.npy", header_of((12,)) + bytes(12))


def a_negative_shape(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", header_of((-1, 2, 2)))
        archive.writestr("labels.npy", header_of((12,)) + bytes(12))


def a_flipped_byte(file: Path) -> None:
    x_and_y(file)
    content = bytearray(file.read_bytes())
    content[300] ^= 1
    file.write_bytes(content)


def a_truncated_file(file: Path) -> None:
    x_and_y(file)
    file.write_bytes(file.read_bytes()[:-100])


def not_arrays(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", "text")
        archive.writestr("labels.npy", "text")


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (objects, ["labels holds Python objects"]),
        (a_pickle_inside, ["labels holds Python objects"]),
        (a_bomb, ["images unpacks to 1.1 GB", "stream"]),
        (a_header_that_lies, ["images is damaged", "by its header"]),
        (a_negative_shape, ["images"]),
        (a_flipped_byte, ["cannot be read"]),
        (a_truncated_file, ["no .npz file"]),
        (not_arrays, ["images cannot be read"]),
        (lambda file: file.write_text("text"), ["no .npz file"]),
        (lambda file: np.save(file.open("wb"), images(3)), ["no .npz file"]),
        (lambda file: x_and_y(file, images=images(12).astype(np.float32) / 255), ["float32", "(x * 255).round()"]),
        (lambda file: x_and_y(file, images=images(12, 1, 9, 3)), ["(12, 1, 9, 3)", "both channels first and last"]),
        (lambda file: x_and_y(file, images=images(12, 5, 6, 4)), ["(12, 5, 6, 4)", "no 1 or 3 channels", "[..., :3]"]),
        (lambda file: x_and_y(file, images=images(12, 108)), ["(12, 108)"]),
        (lambda file: x_and_y(file, labels=np.eye(12)), ["float64", "argmax(1)"]),
        (lambda file: x_and_y(file, labels=np.eye(12, dtype=int)), ["(12, 12)", "argmax(1)"]),
        (lambda file: x_and_y(file, labels=labels(11)), ["12 images but 11 labels"]),
        (lambda file: x_and_y(file, labels=np.full(12, 1 << 63, np.uint64)), ["9223372036854775808"]),
        (lambda file: x_and_y(file, classes=np.array(["a", "b", "c"], object)), ["classes holds Python objects"]),
        (lambda file: x_and_y(file, classes=np.arange(3)), ["classes is int64 (3,)", "str"]),
        (lambda file: np.savez(file, images=images(12)), ["holds images but no labels"]),
        (
            lambda file: np.savez(file, x_train=images(12), y_train=labels(12), x_test=images(3)),
            ["x_test but no y_test"],
        ),
        (lambda file: np.savez(file, x_test=images(12), y_test=labels(12)), ["nothing to train on"]),
        (lambda file: np.savez(file, a=images(12), b=labels(12)), ["holds a, b", "x_train, y_train"]),
    ],
)
def test_malformed_files_end_in_one_line(make, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(npz.memory, "available", lambda: 1 << 30)
    file = tmp_path / "mine.npz"
    make(file)
    with pytest.raises(UserError) as caught:
        read(file)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(f"{file}: ")
    for part in parts:
        assert part in line


def test_a_stray_label_names_no_billion_classes(tmp_path):
    x_and_y(tmp_path / "a.npz", labels=np.array([0, 1] * 5 + [2, 10**12]))
    with pytest.raises(
        UserError, match="train labels run from 0 to 1000000000000; with 13 classes 0 to 12 are allowed"
    ):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("label", [-1, -7, 3])
def test_labels_of_no_class(label, tmp_path):
    x_and_y(tmp_path / "a.npz", labels=np.array([0, 1, 2] * 3 + [0, 1, label]), classes=np.array(["a", "b", "c"]))
    with pytest.raises(UserError, match="with 3 classes 0 to 2 are allowed"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["train", "other"], "other.npz: in a folder"),
        (["val", "test"], "no train.npz"),
        (["train", "val", "valid"], "val.npz and valid.npz are both val"),
    ],
)
def test_folders_are_looked_at_before_anything_starts(names, part, tmp_path):
    for name in names:
        x_and_y(tmp_path / f"{name}.npz")
    with pytest.raises(UserError, match=part):
        check("npz", tmp_path)


def test_files_are_looked_at_before_anything_starts(tmp_path):
    (tmp_path / "a.npz").write_text("text")
    with pytest.raises(UserError, match="a.npz: no .npz file"):
        check("npz", tmp_path / "a.npz")
    x_and_y(tmp_path / "b.npz")
    check("npz", tmp_path / "b.npz")


@pytest.mark.parametrize("header", ["z'descr'}\n", "{'a': " + "(" * 900, "-" * 9_000 + "1", "[" * 5_000, "\0"])
def test_a_header_that_is_no_python(tmp_path, header):
    member = npy.magic(1, 0) + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        archive.writestr("images.npy", member)
        archive.writestr("labels.npy", member)
    with pytest.raises(UserError, match=r"mine\.npz: images cannot be read \(.+\)"):
        read(tmp_path / "mine.npz")
