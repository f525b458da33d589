import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from lskd.data import digits, glyphs, imagefolder
from lskd.data.arrays import Arrays, Samples
from lskd.data.classes import read_classes, read_families
from lskd.data.content import content
from lskd.data.decode import decode
from lskd.data.encoded import SPLITS, EncodedImages
from lskd.data.prepare import channel_statistics, prepare, run, store
from lskd.errors import UserError
from lskd.jobs.work import Work
from lskd.study.registry import DATASETS
from lskd.study.runtime import Runtime
from tests.data.test_imagefolder import write_classes, write_image

FILES = ("data.safetensors", "samples.parquet", "classes.csv", "images.arrow")


def arrays(**changes) -> Arrays:
    rng = np.random.default_rng(0)
    whole = {
        "train_images": rng.integers(0, 256, (40, 3, 4, 5), dtype=np.uint8),
        "train_labels": np.arange(40) % 4,
        "test_images": rng.integers(0, 256, (8, 3, 4, 5), dtype=np.uint8),
        "test_labels": np.arange(8) % 4,
        "classes": ("a", "b", "ü", "d"),
    } | changes
    train, test = (
        Samples(
            whole[f"{split}_images"],
            whole[f"{split}_labels"],
            [f"{split}#{i}" for i in range(len(whole[f"{split}_images"]))],
        )
        for split in ("train", "test")
    )
    return Arrays(train, test, whole["classes"], whole.get("val"))


@pytest.fixture
def prepared(tmp_path):
    """Prepare a data set; its encoded images go beside."""

    def make(data: Arrays, val_fraction: float | None = 0.1):
        return prepare(data, Path("data"), images=tmp_path / "images.arrow", val_fraction=val_fraction, workers=2)

    return make


def job(folder: Path, root: Path, dataset: str, load, **spec) -> Work:
    """A data job as its process gets it."""
    folder.mkdir(exist_ok=True)
    known = content(dataset, str(root), None, False) if DATASETS[dataset].has_files else {}
    spec |= {"dataset": dataset, "content": known}
    return Work("t", "0" * 10, spec, folder, {}, {"load": load}, Runtime(device="cpu", workers=2), root)


# --- what is in memory ---


def test_digits_are_as_a_recomputation_says(prepared):
    """Scaled, split by the pinned draws, in the order of scikit-learn: finished results stand on it."""
    bunch = load_digits()
    test, val = set(), set()
    for label in range(10):
        members = [i for i in range(1797) if bunch.target[i] == label]
        order = np.random.RandomState([20200, label]).permutation(len(members))
        test |= {members[i] for i in order[: round(0.2 * len(members))]}
    rest = [i for i in range(1797) if i not in test]
    for label in range(10):
        members = [i for i in rest if bunch.target[i] == label]
        order = np.random.RandomState([20201, label]).permutation(len(members))
        val |= {members[i] for i in order[: round(0.15 * len(members))]}
    chosen = {"train": [i for i in rest if i not in val], "val": sorted(val), "test": sorted(test)}
    result = prepared(digits.load(Path(), test_fraction=0.2, workers=1), 0.15)
    assert sorted(result.tensors) == sorted(f"{split}_{what}" for split in chosen for what in ("images", "labels"))
    for split, indices in chosen.items():
        images, labels = result.tensors[f"{split}_images"], result.tensors[f"{split}_labels"]
        expected = np.array([[[round(v * 255 / 16) for v in row] for row in bunch.images[i].tolist()] for i in indices])
        assert images.dtype == np.uint8 and (images[:, 0] == expected).all()
        assert labels.dtype == np.int64 and labels.tolist() == bunch.target[indices].tolist()
        assert result.names[split] == [f"digits#{i}" for i in indices]
    assert result.metadata["mean"] == pytest.approx([0.30427116427585765], rel=1e-15)
    assert result.metadata["std"] == pytest.approx([0.37544176952822633], rel=1e-15)


def test_val_is_a_disjoint_part_of_train_and_nothing_is_lost(prepared):
    data = digits.load(Path(), test_fraction=0.2, workers=1)
    result = prepared(data)
    tensors = result.tensors
    assert sorted(result.names["train"] + result.names["val"]) == sorted(data.train.names)
    together = np.concatenate([tensors["train_images"], tensors["val_images"]])
    assert sorted(image.tobytes() for image in together) == sorted(image.tobytes() for image in data.train.images)
    train, val = np.bincount(tensors["train_labels"]), np.bincount(tensors["val_labels"])
    assert (train + val == np.bincount(data.train.labels)).all()
    assert (abs(val - 0.1 * (train + val)) <= 0.5).all()
    assert (tensors["test_images"] == data.test.images).all() and (tensors["test_labels"] == data.test.labels).all()


def test_val_depends_on_the_labels_alone(prepared):
    data = arrays()
    inverted = arrays(train_images=255 - data.train.images)
    first, second = prepared(data).tensors, prepared(inverted).tensors
    assert (first["val_images"] == 255 - second["val_images"]).all()
    assert np.bincount(first["val_labels"]).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("val_fraction", [0.1, None])
def test_a_given_val_is_kept_as_it_is(prepared, val_fraction):
    images = np.full((5, 3, 4, 5), 9, dtype=np.uint8)
    data = arrays(val=Samples(images, np.array([3, 1, 0, 2, 2]), list("vwxyz")))
    result = prepared(data, val_fraction)
    assert (result.tensors["val_images"] == images).all() and result.names["val"] == list("vwxyz")
    assert result.tensors["val_labels"].tolist() == [3, 1, 0, 2, 2]
    assert (result.tensors["train_images"] == data.train.images).all()


def test_metadata(prepared):
    result = prepared(arrays())
    tensors, metadata = result.tensors, result.metadata
    pixels = tensors["train_images"].transpose(1, 0, 2, 3).reshape(3, -1) / 255
    np.testing.assert_allclose(metadata["mean"], pixels.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(metadata["std"], pixels.std(axis=1), rtol=1e-12)
    assert metadata["classes"] == ["a", "b", "ü", "d"]
    assert metadata["shape"] == [3, 4, 5] and "image_size" not in metadata


def test_statistics_of_many_blocks_and_of_a_constant_channel():
    images = np.random.default_rng(1).integers(0, 256, (2500, 2, 3, 3), dtype=np.uint8)
    images[:, 1] = 7
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, [images[:, 0].mean() / 255, 7 / 255], rtol=1e-12)
    np.testing.assert_allclose(std, [images[:, 0].std() / 255, 1 / 255], rtol=1e-12)


def test_the_same_data_give_the_same_bytes(prepared, tmp_path):
    """What trains on them tells them by their digest; safetensors writes several keys of metadata in any order."""
    folders = [tmp_path / str(i) for i in range(8)]
    for folder in folders:
        store(folder, prepared(arrays()), {"title": "t", "spec": {"b": 1, "a": 2}})
        (tmp_path / "images.arrow").rename(folder / "images.arrow")
    for name in FILES:
        assert len({(folder / name).read_bytes() for folder in folders}) == 1


def test_what_is_written_is_what_was_prepared(prepared, tmp_path):
    result = prepared(arrays())
    folder = tmp_path / "new"
    store(folder, result, {"title": "t"})
    stored = load_file(folder / "data.safetensors")
    assert stored.keys() == result.tensors.keys()
    for name, tensor in result.tensors.items():
        assert stored[name].dtype == tensor.dtype and (stored[name] == tensor).all()
    assert read_classes(folder / "data.safetensors") == ["a", "b", "ü", "d"]
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(FILES[:3])
    samples = pq.read_table(folder / "samples.parquet")
    assert [str(kind) for kind in samples.schema.types] == ["string", "int32", "int32", "string"]
    rows = samples.to_pylist()
    assert len(rows) == 48
    for split in SPLITS:
        own = [row for row in rows if row["split"] == split]
        assert [row["sample"] for row in own] == list(range(len(own)))
        assert [row["label"] for row in own] == stored[f"{split}_labels"].tolist()
        assert [row["name"] for row in own] == result.names[split]
    images = EncodedImages(tmp_path / "images.arrow")
    assert [images.samples(split) for split in SPLITS] == [0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"train_labels": np.arange(40) % 5}, "0 to 3 are allowed"),
        ({"test_labels": np.arange(8) - 1}, "from -1 to 6"),
        ({"train_labels": np.arange(40) % 3}, "class 'd' has 0 training image(s)"),
        ({"train_labels": np.minimum(np.arange(40), 3)[::-1].copy()}, "class 'a' has 1 training image(s)"),
        ({"train_labels": np.arange(39) % 4}, "40 images but labels"),
        ({"train_labels": np.arange(40) % 4.0}, "labels float64"),
        ({"test_images": np.zeros((0, 3, 4, 5), np.uint8), "test_labels": np.zeros(0, np.int64)}, "test has 0 images"),
        ({"test_images": np.zeros((8, 1, 4, 5), np.uint8)}, "test images are uint8 (8, 1, 4, 5)"),
        ({"train_images": np.zeros((40, 3, 4, 5))}, "train images are float64"),
        ({"test_labels": np.full(8, -1)}, "-1 means unlabelled: leave that part out"),
        ({"classes": ("a", "b", "a", "d")}, "two classes are called 'a'"),
        ({"val": Samples(np.zeros((3, 3, 4, 4), np.uint8), np.arange(3), list("abc"))}, "val images are uint8"),
        ({"val": Samples(np.zeros((3, 3, 4, 5), np.uint8), np.arange(3), list("ab"))}, "3 images but 2 names"),
    ],
)
def test_malformed_arrays_end_in_one_line(changes, part, prepared):
    with pytest.raises(UserError) as caught:
        prepared(arrays(**changes))
    assert part in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"junk" * 100])
def test_classes_of_a_missing_or_damaged_file(content, tmp_path):
    path = tmp_path / "data.safetensors"
    if content is not None:
        path.write_bytes(content)
    for read in (read_classes, read_families):
        with pytest.raises(UserError, match="data.safetensors: missing or damaged"):
            read(path)


def test_preparing_digits_and_reading_classes_import_no_torch():
    code = (
        "import lskd.data.prepare, lskd.data.digits, lskd.data.classes, lskd.data.npz, lskd.data.hf_dataset, "
        "lskd.data.imagefolder, sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- a data job ---


@pytest.fixture
def folder(tmp_path) -> Path:
    """Images of several modes and sizes, with files that are none."""
    root = tmp_path / "animals"
    write_classes(root, {"cat": 12, "dog": 9})
    for index, mode in enumerate(["L", "L", "RGBA", "P"]):
        write_image(root / "cat" / f"x{index}.png", 30, 21, mode)
    write_image(root / "dog" / "cmyk.jpg", 17, 40, "CMYK")
    (root / "dog" / "Thumbs.db").touch()
    return root


OPTIONS = {"val_fraction": 0.2, "test_fraction": 0.2, "image_size": 16}


def test_streamed_and_resident_data_are_the_same_to_the_bit(folder, tmp_path):
    for name, options in (("resident", {}), ("streamed", {"stream": True})):
        run(job(tmp_path / name, folder, "imagefolder", imagefolder.load, **OPTIONS, **options))
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted(FILES)
    resident, streamed = (load_file(tmp_path / name / "data.safetensors") for name in ("resident", "streamed"))
    assert sorted(streamed) == ["test_labels", "train_labels", "val_labels"]
    images = EncodedImages(tmp_path / "streamed" / "images.arrow")
    names = pq.read_table(tmp_path / "streamed" / "samples.parquet").to_pylist()
    for split in SPLITS:
        assert (resident[f"{split}_labels"] == streamed[f"{split}_labels"]).all()
        contents = images.read(split, range(images.samples(split)))
        pixels = np.stack([decode(content, 16, "x") for content in contents])
        assert (pixels == resident[f"{split}_images"]).all()
        assert contents == [(folder / row["name"]).read_bytes() for row in names if row["split"] == split]
    first, second = (metadata(tmp_path / name) for name in ("resident", "streamed"))
    assert [first[name] for name in ("mean", "std", "classes", "shape")] == [
        second[name] for name in ("mean", "std", "classes", "shape")
    ]
    train = resident["train_images"].transpose(1, 0, 2, 3).reshape(3, -1) / 255
    np.testing.assert_allclose(second["mean"], train.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(second["std"], train.std(axis=1), rtol=1e-12)
    assert second["image_size"] == 16 and "image_size" not in first
    assert (tmp_path / "resident/samples.parquet").stat().st_size > 0
    assert read_csv(tmp_path / "resident") == read_csv(tmp_path / "streamed")


def metadata(folder: Path) -> dict:
    with safe_open(folder / "data.safetensors", framework="numpy") as file:
        return json.loads(file.metadata()["lskd"])


def read_csv(folder: Path) -> list[dict[str, str]]:
    with (folder / "classes.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_was_read_skipped_and_converted_is_said_by_class(folder, tmp_path, capsys):
    run(job(tmp_path / "out", folder, "imagefolder", imagefolder.load, **OPTIONS))
    rows = read_csv(tmp_path / "out")
    assert [(row["split"], row["class"]) for row in rows] == [
        (split, name) for split in SPLITS for name in ("cat", "dog")
    ]
    total = {name: sum(int(row["read"]) for row in rows if row["class"] == name) for name in ("cat", "dog")}
    assert total == {"cat": 16, "dog": 10}
    assert sum(int(row["converted"]) for row in rows) == 5
    assert [row["notes"] for row in rows if row["skipped"] == "1"][0].endswith("skipped 1 .db")
    modes = ", ".join(row["notes"].partition(";")[0] for row in rows)
    assert all(mode in modes for mode in ("grey", "with alpha", "palette", "CMYK"))
    line = capsys.readouterr().err
    assert (
        line.count("\n") == 1 and "1 file(s) that are no images were skipped, 5 image(s) were converted to RGB;" in line
    )


def test_a_job_is_refused_whose_images_changed_and_leaves_nothing_behind(folder, tmp_path):
    work = job(tmp_path / "out", folder, "imagefolder", imagefolder.load, **OPTIONS, stream=True)
    write_image(folder / "cat" / "new.png")
    with pytest.raises(UserError, match="the images changed since this job was planned"):
        run(work)
    assert list((tmp_path / "out").iterdir()) == []


def test_mean_and_std_that_are_given_stand(folder, tmp_path):
    spec = OPTIONS | {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    run(job(tmp_path / "out", folder, "imagefolder", imagefolder.load, **spec))
    assert metadata(tmp_path / "out")["mean"] == [0.1, 0.2, 0.3] and metadata(tmp_path / "out")["std"] == [
        0.4,
        0.5,
        0.6,
    ]
    with pytest.raises(UserError, match=r"data.mean: found 1 values, the images have 3 channel\(s\)"):
        run(job(tmp_path / "other", folder, "imagefolder", imagefolder.load, **OPTIONS, mean=[0.1], std=[0.1]))


DIGITS = {"val_fraction": 0.15, "test_fraction": 0.2}


def of_digits(folder: Path, **spec) -> dict[str, dict[str, tuple[int, bytes]]]:
    """By split: the label and the pixels of each image, by its name; prepared by a data job."""
    run(job(folder, Path(), "digits", digits.load, **DIGITS, **spec))
    tensors, samples = load_file(folder / "data.safetensors"), pq.read_table(folder / "samples.parquet").to_pylist()
    return {
        split: {
            row["name"]: (row["label"], tensors[f"{split}_images"][row["sample"]].tobytes())
            for row in samples
            if row["split"] == split
        }
        for split in SPLITS
    }


def test_some_classes_are_prepared_as_a_data_set_of_their_own(tmp_path):
    whole, part = of_digits(tmp_path / "whole"), of_digits(tmp_path / "part", class_subset=["7", "1", "4"])
    assert metadata(tmp_path / "part")["classes"] == ["1", "4", "7"]
    for one, other in ((part["test"], whole["test"]), (part["train"] | part["val"], whole["train"] | whole["val"])):
        assert one == {name: (label // 3, image) for name, (label, image) in other.items() if label in (1, 4, 7)}
    assert not part["train"].keys() & part["val"].keys()
    of_digits(tmp_path / "three", class_subset=3)
    assert metadata(tmp_path / "three")["classes"] == ["0", "3", "6"]


def test_what_thins_and_corrupts_train_leaves_val_and_test(tmp_path):
    whole = of_digits(tmp_path / "whole")
    tailed = of_digits(tmp_path / "made", train_images=80, long_tail=8.0, label_noise=0.25)
    assert (tailed["val"], tailed["test"]) == (whole["val"], whole["test"])
    true = {name: whole["train"][name] for name in tailed["train"]}  # none of val has come into train
    assert {name: image for name, (_, image) in tailed["train"].items()} == {
        name: image for name, (_, image) in true.items()
    }
    counts = np.bincount([label for label, _ in true.values()])
    assert counts.tolist() == [int(80 * 8 ** (-k / 9) + 1e-9) for k in range(10)] and counts[-1] == 10
    wrong = np.bincount([label for name, (label, _) in true.items() if tailed["train"][name][0] != label])
    assert wrong.tolist() == [round(0.25 * count) for count in counts.tolist()]
    pixels = np.frombuffer(b"".join(image for _, image in true.values()), np.uint8) / 255
    assert metadata(tmp_path / "made")["mean"] == pytest.approx([pixels.mean()], rel=1e-12)  # of what is trained on


def test_families_are_kept_with_the_data_and_only_where_there_are_some(tmp_path):
    options = {"classes": 12, "images": 5, "test_images": 1, "pixels": 16, "distortion": 1.0, "test_faces": 0}
    for name, subset in (("all", {}), ("some", {"class_subset": ["à", "c", "ç"]})):
        (tmp_path / name).mkdir()
        run(job(tmp_path / name, Path(), "glyphs", glyphs.load, **options, data_seed=0, val_fraction=0.2, **subset))
    read = {name: tmp_path / name / "data.safetensors" for name in ("all", "some")}
    assert read_classes(read["all"]) == list("aàáâΰυϋύcçćĉ")
    assert read_families(read["all"]) == list("aaaaυυυυcccc")
    assert (read_classes(read["some"]), read_families(read["some"])) == (["à", "c", "ç"], ["a", "c", "c"])
    assert load_file(read["some"])["train_labels"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    of_digits(tmp_path / "digits")
    assert read_families(tmp_path / "digits" / "data.safetensors") == []


def test_a_class_subset_that_is_not_in_the_files_leaves_nothing_behind(folder, tmp_path):
    work = job(tmp_path / "out", folder, "imagefolder", imagefolder.load, **OPTIONS, class_subset=["cat", "cow"])
    with pytest.raises(UserError, match=r"data.class_subset: no class 'cow' in the data; there are cat, dog"):
        run(work)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_split_that_vanished_since_planning_is_said(folder):
    with pytest.raises(UserError, match="no test split any more"):
        imagefolder.load(folder, image_size=8, workers=1)
