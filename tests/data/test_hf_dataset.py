"""Files as the `datasets` library 5.2 writes them, made with pyarrow after real ones."""

import io
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lskd.data import hf_dataset
from lskd.data.hf_dataset import load
from lskd.data.layouts import check, given_splits
from lskd.data.prepare import prepare
from lskd.errors import UserError

RNG = np.random.default_rng(0)
NAMES = ["cat", "dog"]
STORAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": NAMES, "_type": "ClassLabel"},
    "id": {"dtype": "int64", "_type": "Value"},
}


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def rows(count: int, paths: bool = False) -> pa.Table:
    """A table of `count` images of cat and dog in turn, with the metadata that the library writes."""
    content = [{"bytes": png(), "path": f"{i}.png" if paths else None} for i in range(count)]
    return pa.table(
        {
            "image": pa.array(content, STORAGE),
            "label": pa.array([i % 2 for i in range(count)], pa.int64()),
            "id": pa.array(range(count), pa.int64()),
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})


def described(table: pa.Table, features: dict | None) -> pa.Table:
    metadata = None if features is None else {"huggingface": json.dumps({"info": {"features": features}})}
    return table.replace_schema_metadata(metadata)


def to_parquet(path: Path, table: pa.Table, group: int = 7) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)


def save_to_disk(folder: Path, table: pa.Table, shards: int = 1) -> None:
    """One split as `Dataset.save_to_disk` writes it: Arrow IPC streams and their list."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05}-of-{shards:05}.arrow" for i in range(shards)]
    size = -(-len(table) // shards)
    for i, name in enumerate(names):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as sink:
            sink.write_table(table.slice(i * size, size), max_chunksize=4)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "4e04d9646d3d7f60", "_split": None}
    state |= {"_format_columns": None, "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")


def saved_dict(root: Path, tables: dict[str, pa.Table]) -> None:
    for name, table in tables.items():
        save_to_disk(root / name, table, shards=2 if name == "train" else 1)
    (root / "dataset_dict.json").write_text(json.dumps({"splits": list(tables)}))


def parquet_here(root: Path, tables: dict[str, pa.Table]) -> None:
    for name, table in tables.items():
        to_parquet(root / f"{name}.parquet", table)


def parquet_of_the_hub(root: Path, tables: dict[str, pa.Table]) -> None:
    for name, table in tables.items():
        to_parquet(root / f"data/{name}-00000-of-00002.parquet", table.slice(0, 5))
        to_parquet(root / f"data/{name}-00001-of-00002.parquet", table.slice(5))
    (root / "README.md").write_text("card")


def parquet_by_folder(root: Path, tables: dict[str, pa.Table]) -> None:
    for name, table in tables.items():
        to_parquet(root / name / "0000.parquet", table.slice(0, 5))
        to_parquet(root / name / "0001.parquet", table.slice(5))


FORMS = [saved_dict, parquet_here, parquet_of_the_hub, parquet_by_folder]


def contents(samples) -> list[bytes]:
    return [content for block in samples.images.blocks(samples.names, 2) for content in block.contents]


def read(root: Path, **options):
    return load(root, workers=2, image_size=8, **{"test_fraction": 0.25} | options)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_rows_that_were_written(form, tmp_path):
    tables = {"train": rows(30), "validation": rows(8), "test": rows(9)}
    form(tmp_path, tables)
    data = read(tmp_path)
    assert data.classes == ("cat", "dog") and data.val is not None
    for name, samples in (("train", data.train), ("validation", data.val), ("test", data.test)):
        assert samples.labels.tolist() == tables[name]["label"].to_pylist() and samples.labels.dtype == np.int64
        assert contents(samples) == [image["bytes"] for image in tables[name]["image"].to_pylist()]
    assert given_splits("hf_dataset", tmp_path) == {"val", "test"}


@pytest.mark.parametrize("form", FORMS)
def test_a_validation_without_test_is_what_is_reported(form, tmp_path):
    tables = {"train": rows(30), "validation": rows(8)}
    form(tmp_path, tables)
    data = read(tmp_path)
    assert data.val is None and given_splits("hf_dataset", tmp_path) == {"test"}
    assert contents(data.test) == [image["bytes"] for image in tables["validation"]["image"].to_pylist()]


@pytest.mark.parametrize(
    "form",
    [
        lambda root, table: save_to_disk(root / "x", table),
        lambda root, table: to_parquet(root / "x/0000.parquet", table),
    ],
)
def test_one_split_alone_gives_test_its_part(form, tmp_path):
    table = rows(24, paths=True)
    form(tmp_path, table)
    data = read(tmp_path / "x", test_fraction=0.25)
    assert len(data.test) == 6 and np.bincount(data.test.labels).tolist() == [3, 3]
    assert given_splits("hf_dataset", tmp_path / "x") == set()
    for samples in (data.train, data.test):
        for name, content in zip(samples.names, contents(samples), strict=True):
            place, _, original = name.partition(" ")
            file, _, row = place.partition("#")
            assert (tmp_path / "x" / file).is_file() and original == f"{row}.png"
            assert content == table["image"][int(row)]["bytes"].as_py()


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_read_in_any_order(form, tmp_path):
    table = rows(40)
    form(tmp_path, {"train": table, "test": rows(4)})
    source = read(tmp_path, stream=True).train.images
    assert source.stream
    numbers = random.Random(0).sample(range(40), 40)
    assert source.read(numbers) == [table["image"][i]["bytes"].as_py() for i in numbers]


def test_only_some_row_groups_are_held_and_each_is_read_once(tmp_path, monkeypatch):
    to_parquet(tmp_path / "train.parquet", rows(60), group=5)
    to_parquet(tmp_path / "test.parquet", rows(4))
    source = read(tmp_path).train.images
    reads = []
    whole = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, i, **more: (reads.append(i), whole(self, i, **more))[1]
    )
    list(source.blocks([""] * 60, 2))
    assert reads == list(range(12))


def test_names_and_labels_need_no_images(tmp_path, monkeypatch):
    """Of a large data set the images are read once, when they are decoded."""
    parquet_here(tmp_path, {"train": rows(20), "test": rows(4)})
    columns = []
    whole = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, i, columns_=None, **more: (columns.append(more["columns"]), whole(self, i, **more))[1],
    )
    read(tmp_path)
    assert {name for names in columns for name in names} == {"label", "image.path"}


def test_columns_are_found_by_their_features(tmp_path):
    """As in CIFAR-10 on the hub, and beside a second struct of bytes."""
    table = rows(12)
    audio = pa.array([{"bytes": b"wav", "path": None}] * 12, STORAGE)
    table = table.rename_columns(["img", "kind", "label"]).append_column("sound", audio)
    features = {
        "img": FEATURES["image"],
        "kind": FEATURES["label"],
        "label": FEATURES["id"],
        "sound": {"_type": "Audio"},
    }
    parquet_here(tmp_path, {"train": described(table, features), "test": described(table, features)})
    data = read(tmp_path)
    assert data.classes == ("cat", "dog") and data.train.labels.tolist() == [i % 2 for i in range(12)]
    assert contents(data.train) == [image["bytes"] for image in table["img"].to_pylist()]


@pytest.mark.parametrize(
    "metadata", [None, {"huggingface": "{"}, {"huggingface": "[]"}, {"huggingface": '{"info": {"features": 3}}'}]
)
def test_without_the_librarys_metadata_the_only_struct_and_label_are_read(metadata, tmp_path):
    table = rows(12).replace_schema_metadata(metadata)
    parquet_here(tmp_path, {"train": table, "test": table})
    assert read(tmp_path).classes == ("0", "1")


def test_large_types_are_read(tmp_path):
    large = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])
    table = rows(12)
    table = described(table.set_column(0, "image", table["image"].cast(large)), FEATURES)
    table = table.set_column(1, "label", table["label"].cast(pa.int8()))
    parquet_here(tmp_path, {"train": table, "test": table})
    assert contents(read(tmp_path).train) == [image["bytes"] for image in table["image"].to_pylist()]


# --- what is refused ---


def without_image(root: Path) -> None:
    parquet_here(root, {"train": rows(8).drop_columns("image"), "test": rows(4).drop_columns("image")})


def two_images(root: Path) -> None:
    table = rows(8)
    features = FEATURES | {"mask": FEATURES["image"]}
    parquet_here(root, {"train": described(table.append_column("mask", table["image"]), features)})


def plain_bytes(root: Path) -> None:
    table = rows(8).set_column(0, "image", pa.array([png()] * 8))
    parquet_here(root, {"train": table})


def fine_and_coarse(root: Path) -> None:
    table = rows(8)
    table = table.append_column("coarse", table["label"])
    parquet_here(root, {"train": described(table, FEATURES | {"coarse": FEATURES["label"]})})


def text_labels(root: Path) -> None:
    table = rows(8)
    parquet_here(root, {"train": described(table.set_column(1, "label", pa.array(["cat"] * 8)), None)})


def empty_label(root: Path) -> None:
    parquet_here(root, {"train": rows(8).set_column(1, "label", pa.array([0, 1, None, 0, 1, 0, 1, 0], pa.int64()))})


def only_paths(root: Path) -> None:
    images = pa.array([{"bytes": None, "path": f"/elsewhere/{i}.png"} for i in range(8)], STORAGE)
    parquet_here(root, {"train": rows(8).set_column(0, "image", images)})


def a_missing_image(root: Path) -> None:
    images = pa.array([{"bytes": png(), "path": None}] * 7 + [None], STORAGE)
    parquet_here(root, {"train": rows(8).set_column(0, "image", images)})


def a_text_as_image(root: Path) -> None:
    images = pa.array([{"bytes": png(), "path": None}] * 7 + [{"bytes": b"text", "path": None}], STORAGE)
    parquet_here(root, {"train": rows(8).set_column(0, "image", images), "test": rows(4)})


def unlabelled_test(root: Path) -> None:
    parquet_here(root, {"train": rows(8), "test": rows(4).set_column(1, "label", pa.array([-1] * 4, pa.int64()))})


def other_classes(root: Path) -> None:
    features = FEATURES | {"label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
    parquet_here(root, {"train": rows(8), "test": described(rows(4), features)})


def a_missing_shard(root: Path) -> None:
    parquet_of_the_hub(root, {"train": rows(12), "test": rows(8)})
    (root / "data/train-00001-of-00002.parquet").unlink()


def two_places(root: Path) -> None:
    parquet_here(root, {"train": rows(8)})
    parquet_of_the_hub(root, {"train": rows(8)})


def an_unknown_split(root: Path) -> None:
    parquet_here(root, {"train": rows(8), "unsupervised": rows(8)})


def an_unknown_saved_split(root: Path) -> None:
    saved_dict(root, {"train": rows(8), "unsupervised": rows(8)})


def no_train(root: Path) -> None:
    parquet_here(root, {"validation": rows(8), "test": rows(8)})


def cut_parquet(root: Path) -> None:
    parquet_here(root, {"train": rows(8)})
    (root / "train.parquet").write_bytes((root / "train.parquet").read_bytes()[:-20])


def cut_arrow(root: Path) -> None:
    saved_dict(root, {"train": rows(8), "test": rows(8)})
    file = root / "test/data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def missing_arrow(root: Path) -> None:
    saved_dict(root, {"train": rows(8), "test": rows(8)})
    (root / "train/data-00001-of-00002.arrow").unlink()


def a_path_that_leaves(root: Path) -> None:
    saved_dict(root, {"train": rows(8), "test": rows(8)})
    (root / "test/state.json").write_text(
        json.dumps({"_data_files": [{"filename": "../train/data-00000-of-00002.arrow"}]})
    )


def state_that_is_none(root: Path) -> None:
    saved_dict(root, {"train": rows(8), "test": rows(8)})
    (root / "test/state.json").write_text("[]")


def a_selection(root: Path) -> None:
    save_to_disk(root / "x", rows(8))
    for path in (root / "x").iterdir():
        path.rename(root / path.name)
    state = json.loads((root / "state.json").read_text())
    (root / "state.json").write_text(json.dumps(state | {"_indices_data_files": [{"filename": "indices.arrow"}]}))


def nothing_known(root: Path) -> None:
    (root / "images.csv").write_text("a,b")


def a_file(root: Path) -> None:
    root.rmdir()
    to_parquet(root, rows(8))


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (without_image, ["test.parquet: no column of images among label, id"]),
        (two_images, ["2 columns of images (image, mask)", "remove_columns"]),
        (plain_bytes, ["no column of images"]),
        (fine_and_coarse, ["2 columns of labels (label, coarse)"]),
        (text_labels, ["no column of integer labels among image, label", "class_encode_column"]),
        (empty_label, ["label has 1 empty values"]),
        (only_paths, ["row 0 holds only the path '/elsewhere/0.png'", "save_to_disk"]),
        (a_missing_image, ["row 7 holds no image"]),
        (a_text_as_image, ["train.parquet#7: does not decode"]),
        (unlabelled_test, ["test labels run from -1", "leave that part out"]),
        (other_classes, ["train.parquet", "test.parquet", "classes"]),
        (a_missing_shard, ["1 file(s) train-00000-of-00002.parquet, ... of 2"]),
        (two_places, ["at two places", "train.parquet", "data/train-00000-of-00002.parquet"]),
        (an_unknown_split, ["unsupervised.parquet: belongs to no split"]),
        (an_unknown_saved_split, ["a split 'unsupervised'"]),
        (no_train, ["without train"]),
        (cut_parquet, ["train.parquet: cannot be read"]),
        (cut_arrow, ["data-00000-of-00001.arrow: cannot be read"]),
        (missing_arrow, ["data-00001-of-00002.arrow: missing", "state.json"]),
        (a_path_that_leaves, ["no plain name"]),
        (state_that_is_none, ["state.json: not what save_to_disk writes"]),
        (a_selection, ["flatten_indices"]),
        (nothing_known, ["neither .parquet files"]),
        (a_file, ["a file; give data.root as the folder"]),
    ],
)
def test_malformed_data_sets_end_in_one_line(make, parts, tmp_path):
    root = tmp_path / "mine"
    root.mkdir()
    make(root)
    with pytest.raises(UserError) as caught:
        data = read(root)
        prepare(data, root, images=tmp_path / "images.arrow", val_fraction=0.25, workers=2)
    line = str(caught.value)
    assert "\n" not in line and str(root) in line
    for part in parts:
        assert part in line


def test_names_are_looked_at_before_anything_starts(tmp_path):
    nothing_known(tmp_path)
    with pytest.raises(UserError, match="neither .parquet files"):
        check("hf_dataset", tmp_path)


def test_a_row_group_larger_than_the_memory_is_refused(tmp_path, monkeypatch):
    parquet_here(tmp_path, {"train": rows(8), "test": rows(8)})
    monkeypatch.setattr(hf_dataset.memory, "available", lambda: 100)
    with pytest.raises(UserError, match="rows 0 to 6 take 0.0 GB of memory; write it with smaller row groups"):
        read(tmp_path)


def test_an_offset_that_leads_out_of_an_arrow_file(tmp_path):
    """pyarrow itself would read there, and end the process."""
    save_to_disk(tmp_path / "mine", rows(4, paths=True))
    file = tmp_path / "mine/data-00000-of-00001.arrow"
    content, offsets = file.read_bytes(), np.array([0, 5, 10, 15, 20], np.int32).tobytes()
    assert content.count(offsets) == 1
    file.write_bytes(content.replace(offsets, np.array([0, 5, 10, 15, 2**31 - 1], np.int32).tobytes()))
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "mine")


def test_a_name_that_is_no_utf8(tmp_path):
    save_to_disk(tmp_path / "mine", rows(4, paths=True))
    file = tmp_path / "mine/data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes().replace(b"path", b"p\xffth"))
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "mine")


@pytest.mark.parametrize("state", [f'{{"_data_files": [{{"filename": "{"x" * 5_000}"}}]}}', "[" * 100_000])
def test_a_state_without_end(tmp_path, state):
    save_to_disk(tmp_path / "mine", rows(4))
    (tmp_path / "mine/state.json").write_text(state)
    with pytest.raises(UserError, match="no plain name|cannot be read") as caught:
        read(tmp_path / "mine")
    assert len(str(caught.value)) < 1_000
