import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lskd.data import encoded as module
from lskd.data.encoded import SPLITS, EncodedImages, writer
from lskd.errors import UserError

RNG = np.random.default_rng(0)
COUNTS = {"train": 157, "val": 1, "test": 23}


def contents(split: str, count: int) -> list[bytes]:
    return [f"{split} {i} ".encode() + RNG.bytes(int(RNG.integers(1, 300))) for i in range(count)]


@pytest.fixture(scope="module")
def images() -> dict[str, list[bytes]]:
    return {split: contents(split, count) for split, count in COUNTS.items()}


def write(path: Path, images: dict[str, list[bytes]], block: int = 10) -> None:
    with writer(path) as rows:
        for split, own in images.items():
            for start in range(0, len(own), block):
                part = own[start : start + block]
                rows.add(split, start, part, [f"{split}/{start + i}.png" for i in range(len(part))])


@pytest.fixture
def path(images, tmp_path, monkeypatch) -> Path:
    """A file of many batches."""
    monkeypatch.setattr(module, "_BATCH_ROWS", 30)
    write(tmp_path / "images.arrow", images)
    return tmp_path / "images.arrow"


def test_what_is_read_is_what_was_written(path, images):
    read = EncodedImages(path)
    for split in SPLITS:
        count = read.samples(split)
        assert count == COUNTS[split]
        for indices in (
            range(count),
            RNG.permutation(count),
            RNG.integers(0, count, 50),
            [],
            [count - 1, 0, count - 1],
        ):
            assert read.read(split, indices) == [images[split][i] for i in indices]


def test_the_file_is_arrow_as_others_read_it(path, images):
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        table = reader.read_all()
        assert reader.num_record_batches == 8  # 157 / 30, 1, 1
    assert table.column_names == ["split", "sample", "bytes", "name"]
    assert table["split"].to_pylist() == [split for split, own in images.items() for _ in own]
    assert table["sample"].to_pylist() == [i for own in images.values() for i in range(len(own))]
    assert table["bytes"].to_pylist() == [content for own in images.values() for content in own]
    assert table["name"].to_pylist() == [f"{split}/{i}.png" for split, own in images.items() for i in range(len(own))]


def test_the_same_images_give_the_same_bytes(path, images, tmp_path):
    write(tmp_path / "again.arrow", images)
    assert (tmp_path / "again.arrow").read_bytes() == path.read_bytes()


def test_large_images_fill_a_batch_sooner(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH_BYTES", 1000)
    write(tmp_path / "images.arrow", {"train": [bytes(600)] * 6}, block=1)
    with pa.memory_map(str(tmp_path / "images.arrow")) as file:
        assert pa.ipc.open_file(file).num_record_batches == 3
    assert EncodedImages(tmp_path / "images.arrow").read("train", [5]) == [bytes(600)]


def test_no_rows(tmp_path):
    with writer(tmp_path / "images.arrow"):
        pass
    read = EncodedImages(tmp_path / "images.arrow")
    assert [read.samples(split) for split in SPLITS] == [0, 0, 0]
    assert read.read("val", []) == []


def test_samples_that_are_not_there_are_refused(path):
    for index in (-1, COUNTS["test"]):
        with pytest.raises(IndexError, match="test has samples 0 to 22"):
            EncodedImages(path).read("test", [0, index])


def test_threads_read_at_once(path, images):
    read, wrong = EncodedImages(path), []

    def check(seed: int) -> None:
        for indices in np.random.default_rng(seed).integers(0, COUNTS["train"], (200, 16)):
            if read.read("train", indices) != [images["train"][i] for i in indices]:
                wrong.append(seed)

    threads = [threading.Thread(target=check, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def other_columns(path: Path) -> None:
    table = pa.table({"split": ["train"], "bytes": [b"x"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as sink:
        sink.write_table(table)


@pytest.mark.parametrize(
    "damage",
    [cut, other_columns, Path.unlink, lambda path: path.write_bytes(b""), lambda path: path.write_text("text")],
)
def test_damage_ends_in_one_line(damage, path):
    damage(path)
    with pytest.raises(UserError, match="images.arrow: missing or damaged images") as caught:
        EncodedImages(path)
    assert "\n" not in str(caught.value)


def test_reading_imports_no_torch():
    code = "import lskd.data.encoded, sys; assert not {'torch', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_number_of_no_split_ends_in_a_line(tmp_path):
    path = tmp_path / "images.arrow"
    codes, names = pa.array([99], pa.int8()), pa.array(SPLITS)
    split = pa.DictionaryArray.from_arrays(codes, names, safe=False)
    columns = [split, pa.array([0], pa.int32()), pa.array([b"x"], pa.large_binary()), pa.array(["x"])]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, module.SCHEMA) as sink:
        sink.write_batch(pa.record_batch(columns, schema=module.SCHEMA))
    with pytest.raises(UserError, match="missing or damaged images"):
        EncodedImages(path)


def test_a_split_of_another_name_ends_in_a_line(path):
    path.write_bytes(path.read_bytes().replace(b"valtest", b"vaXtest"))
    with pytest.raises(UserError, match="missing or damaged images"):
        EncodedImages(path)
