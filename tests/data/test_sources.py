"""Prepared data as batches: what is stored comes back, resident or streamed, and damage is told."""

import math
import os
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from lskd.data import sources
from lskd.data.augment import CLEAN, Augmentation, crop, flip, normalise
from lskd.data.mixup import mixup
from lskd.data.resized_crop import frames
from lskd.data.sources import Source, augmentation_of, load_source, read_sources, resident
from lskd.data.streamed import AHEAD, streamed
from lskd.errors import UserError
from lskd.jobs.work import Work
from lskd.study.runtime import Runtime
from tests import small

CPU = torch.device("cpu")
SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """One data set resident, and streamed."""
    return small.streamed(tmp_path_factory.mktemp("data"), SHAPE)


@pytest.fixture(scope="module")
def both(folders) -> dict[int, Source]:
    """Its train split resident (0 workers), and streamed with 1, 2 and 7 workers."""
    return {workers: of(folders, "train", workers) for workers in (0, 1, 2, 7)}


def of(folders: tuple[Path, Path], split: str, workers: int) -> Source:
    folder = folders[1] if workers else folders[0]
    stream = streamed if workers else None
    return load_source(folder / "data.safetensors", split, CPU, folder / "images.arrow", stream, workers)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_round_trip(folders, split, workers):
    tensors, source = small.noisy(shape=SHAPE), of(folders, split, workers)
    images, labels = tensors[f"{split}_images"], tensors[f"{split}_labels"]
    assert (len(source), source.shape, source.classes, source.device) == (len(labels), SHAPE, small.CLASSES, CPU)
    assert source.labels_n.dtype == torch.int64 and (source.labels_n.numpy() == labels).all()
    (drawn,) = source.fetch([torch.arange(len(labels))])
    assert drawn.dtype == torch.uint8 and (drawn.numpy() == images).all()
    assert source.mean_c.dtype == source.std_c.dtype == torch.float32
    pixels = tensors["train_images"] / 255  # train's, for every split
    assert source.mean_c.numpy() == pytest.approx(pixels.mean((0, 2, 3)), rel=1e-6)
    assert source.std_c.numpy() == pytest.approx(pixels.std((0, 2, 3)), rel=1e-6)


def test_a_batch_is_what_is_normalised_of_the_images(both):
    ids_n = torch.tensor([7, 3, 60])
    (batch,) = both[0].batches([ids_n])
    images_nchw = torch.from_numpy(small.noisy(shape=SHAPE)["train_images"])[ids_n]
    assert torch.equal(batch.inputs, normalise(images_nchw, both[0].mean_c, both[0].std_c))
    assert torch.equal(batch.targets, both[0].labels_n[ids_n]) and torch.equal(batch.hard_targets_n, batch.targets)
    assert torch.equal(batch.ids_n, ids_n) and batch.weight == 3


SINGLES = [(crop, 2), (flip, True)]
AUGMENTATIONS = {
    "none": Augmentation(9),
    "crop and flip": Augmentation(9, SINGLES),
    "mixup": Augmentation(9, [], (mixup, 0.4)),
    "all": Augmentation(9, SINGLES, (mixup, 0.4)),
    "all, at a scale": Augmentation(9, SINGLES, (mixup, 0.4), 0.5),
    "parts": Augmentation(9, SINGLES, (mixup, 0.4), frames=(frames, [0.08, 1.0, 0.75, 1.3333])),
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(61)), st.integers(1, 61), st.sampled_from([CLEAN, 1, 2, 300]))
def test_streamed_is_resident_to_the_bit_in_any_order(both, name, order, size, draw):
    ids = list(torch.tensor(order).split(size))
    expected = list(both[0].batches(ids, draw, AUGMENTATIONS[name]))
    assert len(expected) == len(ids)
    for workers in (1, 2, 7):
        for mine, other in zip(both[workers].batches(ids, draw, AUGMENTATIONS[name]), expected, strict=True):
            assert torch.equal(mine.inputs, other.inputs)
            assert torch.equal(mine.targets, other.targets) and mine.targets.dtype == other.targets.dtype
            assert torch.equal(mine.ids_n, other.ids_n) and mine.weight == other.weight


@pytest.mark.parametrize("name", AUGMENTATIONS)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 61), st.integers(1, 70), st.sampled_from([CLEAN, 1, 300]))
def test_batches_prepared_together_are_those_prepared_alone(both, name, size, samples, draw):
    ids = list(torch.randperm(61, generator=torch.Generator().manual_seed(size)).split(size))
    for source in both.values():
        with mock.patch.dict(sources.CHUNK, cpu=samples * math.prod(SHAPE)):
            together = list(source.batches(ids, draw, AUGMENTATIONS[name]))
        with mock.patch.dict(sources.CHUNK, cpu=1):
            alone = list(source.batches(ids, draw, AUGMENTATIONS[name]))
        for mine, other in zip(together, alone, strict=True):
            assert torch.equal(mine.inputs, other.inputs) and torch.equal(mine.targets, other.targets)
            assert torch.equal(mine.ids_n, other.ids_n) and mine.weight == other.weight


def test_batches_are_prepared_together_as_far_as_they_fit(both):
    asked = []
    source = replace(both[0], fetch=lambda batches, framing=None: asked.extend(batches) or both[0].fetch(batches))
    ids = [torch.arange(each) for each in (20, 30, 20, 60, 5)]
    with mock.patch.dict(sources.CHUNK, cpu=50 * math.prod(SHAPE)):
        assert [len(batch.ids_n) for batch in source.batches(ids)] == [20, 30, 20, 60, 5]
    assert [len(each) for each in asked] == [50, 20, 60, 5]
    assert not list(source.batches([]))


def test_a_sample_at_a_draw_is_the_same_in_every_batch(both, monkeypatch):
    monkeypatch.setitem(sources.CHUNK, "cpu", 1)
    for source in both.values():
        (together,) = source.batches([torch.arange(61)], 5, AUGMENTATIONS["all"])
        alone = [batch.inputs for batch in source.batches(list(torch.arange(61).split(1)), 5, AUGMENTATIONS["all"])]
        assert torch.equal(torch.cat(alone), together.inputs)


def test_streaming_stays_a_few_batches_ahead_and_stops_when_it_is_left(both):
    asked = []
    fetch = both[2].fetch

    class Counted(list):
        def __iter__(self):
            for ids_n in super().__iter__():
                asked.append(ids_n)
                yield ids_n

    batches = fetch(Counted(torch.arange(60).split(2)))
    next(batches)
    assert len(asked) == AHEAD + 1
    batches.close()
    assert len(asked) == AHEAD + 1


def test_a_damaged_image_is_named(folders, tmp_path):
    tensors = small.noisy(shape=SHAPE)
    labels = {name: tensor for name, tensor in tensors.items() if name.endswith("labels")}
    images = {split: [small.png(image) for image in tensors[f"{split}_images"]] for split in ("train", "val", "test")}
    images["train"][7] = b"not an image"
    folder = small.stored(tmp_path / "data-0000000000", labels, SHAPE, tensors["train_images"], images)
    source = load_source(folder / "data.safetensors", "train", CPU, folder / "images.arrow", streamed, 2)
    assert len(list(source.batches([torch.arange(7)]))) == 1
    with pytest.raises(UserError, match=r"images\.arrow: train image 7: does not decode as an image"):
        list(source.batches(list(torch.arange(20).split(4))))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def overwrite_start(path: Path) -> None:
    path.write_bytes(b"\xff" * 20 + path.read_bytes()[20:])


def another_file(path: Path) -> None:
    save_file({"weight": np.zeros(3)}, path)


@pytest.mark.parametrize("damage", [cut, overwrite_start, another_file, Path.unlink])
def test_damage_ends_in_one_line(damage, folders, tmp_path):
    path = tmp_path / "data.safetensors"
    path.write_bytes((folders[0] / "data.safetensors").read_bytes())
    damage(path)
    with pytest.raises(UserError) as caught:
        load_source(path, "train", CPU)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [cut, another_file, Path.unlink])  # its start is under the seal alone
def test_damaged_encoded_images_end_in_one_line(damage, folders, tmp_path):
    path = tmp_path / "images.arrow"
    path.write_bytes((folders[1] / "images.arrow").read_bytes())
    damage(path)
    with pytest.raises(UserError) as caught:
        load_source(folders[1] / "data.safetensors", "train", CPU, path, streamed, 2)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def work(folder: Path, functions=None) -> Work:
    return Work("t", "0" * 10, {}, folder, {"data": folder, "teacher data": folder}, functions or {}, Runtime())


def test_the_sources_of_a_job_are_those_of_its_sealed_files(folders, tmp_path):
    for folder, functions in zip(folders, ({}, {"stream": streamed}), strict=True):
        for role in ("data", "teacher data"):
            sources = read_sources(work(folder, functions), ["train", "test"], CPU, role)
            assert {split: len(source) for split, source in sources.items()} == {"train": 61, "test": 18}
            (batch,) = sources["test"].batches([torch.tensor([17, 0])])
            assert batch.targets.tolist() == [17 % 3, 0]


@pytest.mark.parametrize("name", ["data.safetensors", "images.arrow"])
def test_a_job_reads_no_changed_file(tmp_path, name):
    _, folder = small.streamed(tmp_path, SHAPE)
    small.flip(folder / name, 200)
    with pytest.raises(UserError, match=f"{name}: damaged, its bytes are not those that were written"):
        read_sources(work(folder, {"stream": streamed}), ["train"], CPU)


def test_the_augmentation_of_a_job_is_that_of_its_roles_in_their_order():
    functions = {"augment 10 b": flip, "mix m": mixup, "run": len, "augment 2 a": crop, "frame f": frames}
    values = {"a": 3, "b": True, "m": 0.2, "f": [0.2, 1], "epochs": 9}
    assert augmentation_of(values, functions, 5) == Augmentation(
        5, [(crop, 3), (flip, True)], (mixup, 0.2), frames=(frames, [0.2, 1])
    )
    assert augmentation_of({"epochs": 9}, {"run": len}, 5) == Augmentation(5)


def test_resident_images_are_indexed():
    images_nchw = torch.arange(12, dtype=torch.uint8).reshape(4, 1, 1, 3)
    assert [each.tolist() for each in resident(images_nchw)([torch.tensor([2, 0])])] == [[[[[6, 7, 8]]], [[[0, 1, 2]]]]]
