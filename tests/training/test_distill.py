"""Cached distillation is online distillation (acceptance 4), and what a wrong file of logits says."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lskd.errors import UserError
from lskd.io.seal import seal
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.models.network import new_model
from lskd.study.config import Model
from lskd.training.distill import draws_at, read_table
from lskd.training.schedules import epoch_batches
from tests import small
from tests.training.taught import AUGMENTED, curve, learn, pair, store, train_split


@pytest.mark.parametrize("how", [{"soft_weight": 0.7}, {"way": "logit_mse"}])
@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_cached_is_online_pixels_to_the_bit_losses_to_rounding(tmp_path, data, weights, how, mixup):
    cached, online = pair(how, mixup=mixup)
    one = learn(cached, tmp_path, data, store(cached, tmp_path, data, weights))
    two = learn(online, tmp_path, data, weights)
    assert len(one.pixels) == len(two.pixels) > 0
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.targets, two.targets, strict=True))
    assert {targets.dim() for targets in one.targets} == {2 if mixup else 1}
    for mine, theirs in zip(one.taught, two.taught, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    assert one.losses == pytest.approx(two.losses, rel=1e-5)
    for mine, theirs in zip(curve(one.folder), curve(two.folder), strict=True):
        for column in ("train_loss", "val_loss"):
            assert mine[column] == pytest.approx(theirs[column], rel=1e-5)


def test_a_second_student_is_taught_on_draws_of_its_own(tmp_path, data, weights):
    first = pair()[0]
    cached, online = (replace(run, student=1) for run in pair())
    one = learn(cached, tmp_path, data, store(cached, tmp_path, data, weights))
    two = learn(online, tmp_path, data, weights)
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    for mine, theirs in zip(one.taught, two.taught, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    other = learn(first, tmp_path, data, store(first, tmp_path, data, weights))
    assert not torch.equal(one.pixels[0], other.pixels[0])
    before, after = (load_file(noted.folder / "model.safetensors") for noted in (other, one))
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", ["mlp", "alexnet_cifar"])
def test_a_teacher_trained_with_dropout_teaches_without_it(tmp_path, data, name):
    teacher = replace(small.teacher(epochs=1), model=Model(name=name, width=16, dropout=0.5))
    weights = small.trained(teacher, tmp_path, data)
    source = train_split(data)
    network = new_model(resolve(model_entry(teacher.model)), teacher.spec["model"], source)
    network.load_state_dict(load_file(weights / "model.safetensors"))
    for draws in ("epochs", "online"):
        run = small.student(teacher, how={"draws": draws}, epochs=1)
        folder = weights if draws == "online" else store(run, tmp_path, data, weights)
        noted = learn(run, tmp_path, data, folder)
        ids_n = epoch_batches(run.own_seed, 0, len(source), run.recipe.batch_size)[0]
        inputs = next(source.batches([ids_n])).inputs
        with torch.no_grad():
            torch.testing.assert_close(noted.taught[0], network.eval()(inputs), rtol=1e-5, atol=1e-5)
            assert not torch.allclose(noted.taught[0], network.train()(inputs), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("draws", ["epochs", "online"])
def test_a_snapshot_teaches_as_it_was(tmp_path, data, draws):
    whole = small.teacher(snapshot_epochs=[1, 3])
    weights = small.trained(whole, tmp_path, data)
    run = small.student(replace(whole, epoch=1), how={"draws": draws})
    folder = weights if draws == "online" else store(run, tmp_path, data, weights)
    noted = learn(run, tmp_path, data, folder)
    source = train_split(data)
    kept = load_file(weights / "snapshots.safetensors")
    network = new_model(resolve(model_entry(whole.model)), whole.spec["model"], source)
    network.load_state_dict({name.removeprefix("1/"): kept[name] for name in kept if name.startswith("1/")})
    ids_n = epoch_batches(run.own_seed, 0, len(source), run.recipe.batch_size)[0]
    with torch.no_grad():
        expected_nk = network.eval()(next(source.batches([ids_n])).inputs)
    torch.testing.assert_close(noted.taught[0], expected_nk, rtol=1e-5, atol=1e-5)
    last = load_file(weights / "model.safetensors")
    assert any(not torch.equal(last[name], kept[f"1/{name}"]) for name in last)
    assert all(torch.equal(last[name], kept[f"3/{name}"]) for name in last)


@pytest.mark.parametrize("fields", [{}, {"mixup": 0.4}, {"mixup": 0.2, "crop_padding": 0, "flip": False}])
@pytest.mark.parametrize("how", [{}, {"way": "logit_mse", "soft_weight": 0.6}])
def test_cached_is_online_to_the_bit_where_the_batches_are_the_same(tmp_path, data, weights, how, fields):
    cached, online = pair(how, **fields)
    samples = len(train_split(data))

    def batches(draw: int) -> list[torch.Tensor]:
        return epoch_batches(cached.own_seed, draw - 1, samples, cached.recipe.batch_size)

    one = learn(cached, tmp_path, data, store(cached, tmp_path, data, weights, batches))
    two = learn(online, tmp_path, data, weights)
    assert all(torch.equal(a, b) for a, b in zip(one.taught, two.taught, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.targets, two.targets, strict=True))
    assert one.losses == two.losses
    first, second = (load_file(noted.folder / "model.safetensors") for noted in (one, two))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_one_clean_draw_teaches_augmented_pixels(tmp_path, data, weights):
    run, online = (small.student(small.teacher(), how={"draws": draws}, **AUGMENTED) for draws in (1, "online"))
    folder = store(run, tmp_path, data, weights)
    one, two = learn(run, tmp_path, data, folder), learn(online, tmp_path, data, weights)
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    split = train_split(data)
    table = read_table(folder / "logits.parquet", 0, split)
    first = epoch_batches(run.own_seed, 0, len(split), run.recipe.batch_size)[0]
    assert torch.equal(one.taught[0], table[first])


def test_draws_of_each_epoch():
    def at(draws, seed=0):
        return [draws_at(epoch, draws, seed) for epoch in range(9)]

    assert at("epochs") == at("online") == [(epoch + 1, epoch + 1) for epoch in range(9)]
    assert at(1) == [(epoch + 1, 0) for epoch in range(9)]
    turns = at(3)
    assert all(pixels == logits for pixels, logits in turns)
    assert sorted(turns[:3]) == [(1, 1), (2, 2), (3, 3)]
    assert turns[:3] * 3 == turns
    assert len({tuple(at(3, seed=seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize("draws", ["epochs", "online"])
def test_without_augmentation_every_epoch_shows_the_clean_images(tmp_path, data, weights, draws):
    run = small.student(small.teacher(), how={"draws": draws})
    folder = weights if draws == "online" else store(run, tmp_path, data, weights)
    noted = learn(run, tmp_path, data, folder)
    trained = [images for images in noted.pixels if len(images) != 15]  # 15 are val's
    source, steps = train_split(data), len(trained) // 3
    for epoch in range(3):
        ids = epoch_batches(run.own_seed, epoch, len(source), run.recipe.batch_size)
        shown = [batch.inputs for batch in source.batches(ids)]
        mine = trained[epoch * steps : (epoch + 1) * steps]
        assert all(torch.equal(a, b) for a, b in zip(shown, mine, strict=True))


def test_a_few_draws_store_that_many_and_serve_any_epoch(tmp_path, data, weights):
    teacher = small.teacher(**AUGMENTED)
    run = small.student(teacher, how={"draws": 2}, epochs=3, **AUGMENTED)
    folder = store(run, tmp_path, data, weights)
    noted = learn(run, tmp_path, data, folder)
    split = train_split(data)
    tables = {draw: read_table(folder / "logits.parquet", draw, split) for draw in (1, 2)}
    steps = len(noted.taught) // 3
    for epoch in range(3):
        draw = draws_at(epoch, 2, run.own_seed)[1]
        ids = epoch_batches(run.own_seed, epoch, len(split), run.recipe.batch_size)[0]
        assert torch.equal(noted.taught[epoch * steps], tables[draw][ids])


def test_float16_logits_teach_nearly_the_same(tmp_path, data, weights):
    teacher = small.teacher(**AUGMENTED)
    full, half = (small.student(teacher, how={"dtype": dtype}, **AUGMENTED) for dtype in ("float32", "float16"))
    losses = [learn(run, tmp_path, data, store(run, tmp_path, data, weights)).losses for run in (full, half)]
    assert losses[0] != losses[1]
    assert np.allclose(*losses, rtol=0.01, atol=1e-3)


def test_logits_of_other_data_are_one_line(tmp_path, data, weights):
    cached, _ = pair()
    path = store(cached, tmp_path, data, weights) / "logits.parquet"
    for count in (112, 100):
        other = train_split(small.prepared(tmp_path, train=count))
        with pytest.raises(UserError, match=r"draw 1 holds 109 rows, not each of 1\d\d training samples"):
            read_table(path, 1, other)
    split = train_split(data)
    with pytest.raises(UserError, match=r"logits\.parquet: labels are not those of the training data"):
        read_table(path, 1, replace(split, labels_n=2 - split.labels_n))
    with pytest.raises(UserError, match=r"logits\.parquet: holds 3 classes, not 2"):
        read_table(path, 1, replace(split, classes=["ant", "bee"]))
    with pytest.raises(UserError, match=r"logits\.parquet.*99"):
        read_table(path, 99, split)


def test_logits_of_another_teacher_are_one_line(tmp_path, data, weights):
    """A file copied from another job's folder, its digest taken anew, still says whose it is."""
    cached, _ = pair()
    mine = store(cached, tmp_path, data, weights)
    of_other = small.student(small.teacher(seed=1, **AUGMENTED), "resnet8", 2, **AUGMENTED | {"epochs": 4})
    others = store(of_other, tmp_path / "other", data, weights)
    assert mine.name != others.name
    (mine / "logits.parquet").write_bytes((others / "logits.parquet").read_bytes())
    seal(mine, ["logits.parquet"], {"address": mine.name[-10:]})
    with pytest.raises(UserError, match=r"logits\.parquet: holds the logits of another teacher; make it anew: rm -rf "):
        learn(cached, tmp_path, data, mine)


def test_a_damaged_teacher_is_told(tmp_path, data, weights):
    cached, online = pair()
    folder = store(cached, tmp_path, data, weights)
    small.flip(folder / "logits.parquet", 2000)
    with pytest.raises(UserError, match="logits.parquet: .*have changed since they were written"):
        learn(cached, tmp_path, data, folder)
    copy = Path(shutil.copytree(weights, tmp_path / weights.name))
    small.flip(copy / "model.safetensors")
    with pytest.raises(UserError, match="model.safetensors: damaged"):
        learn(online, tmp_path, data, copy)


def test_the_teachers_best_epoch_teaches_where_its_recipe_says_so(tmp_path, data, weights):
    """Which of a training's two weights files counts is no part of the training."""
    best = small.teacher(**AUGMENTED, select="best")
    assert small.CATALOGUE.train(best).address == small.CATALOGUE.train(small.teacher(**AUGMENTED)).address
    run = small.student(best, how={"draws": "online"}, **AUGMENTED)
    job = small.CATALOGUE.train(run)
    assert job.spec["teacher"]["weights"] == "best.safetensors"
    assert small.CATALOGUE.teacher_logits(small.student(best, **AUGMENTED)).spec["weights"] == "best.safetensors"
    work = small.work(job, tmp_path, {"data": data, "teacher": weights})
    (weights / "model.safetensors").rename(tmp_path / "aside")
    try:
        small.run(work, "train")
    finally:
        (tmp_path / "aside").rename(weights / "model.safetensors")
