"""Cached distillation is online distillation (acceptance 4), and what a wrong file of logits says."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from lskd.data.prepared import load_split
from safetensors.torch import load_file

from lskd.errors import UserError
from lskd.inference import teacher_logits
from lskd.io.seal import seal
from lskd.study import config
from lskd.study.config import Distill
from lskd.training.distill import draws_at, loss_options, read_table
from lskd.training.schedules import epoch_batches
from tests import small

AUGMENTED = {"crop_padding": 1, "flip": True}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.prepared(tmp_path_factory.mktemp("data"), train=109)


@pytest.fixture(scope="module")
def weights(tmp_path_factory, data):
    return small.trained(small.teacher(**AUGMENTED), tmp_path_factory.mktemp("teacher"), data)


def train_split(data):
    return load_split(data / "data.safetensors", "train")


def store(student, root, data, weights, batches=None):
    """The sealed folder of a teacher's logits."""
    work = small.work(small.CATALOGUE.teacher_logits(student), root, {"data": data, "weights": weights})
    teacher_logits.store(work, CPU, batches)
    return small.sealed(work.folder, "teacher_logits")


class Noted:
    """A student's build and loss that note what they are given."""

    def __init__(self, work):
        self.pixels, self.taught, self.losses = [], [], []
        self._build, self._loss = work.functions["model"], work.functions["loss"]
        work.functions |= {"model": self.build, "loss": self.loss}

    def build(self, *arguments, **options):
        network = self._build(*arguments, **options)
        network.register_forward_pre_hook(lambda module, given: self.pixels.append(given[0].clone()))
        return network

    def loss(self, student_nk, teacher_nk, labels_n, **options):
        value = self._loss(student_nk, teacher_nk, labels_n, **options)
        self.taught.append(teacher_nk.clone())
        self.losses.append(value.item())
        return value


def learn(run, root, data, teacher) -> Noted:
    """Train a student; its sealed folder is `folder` of what was noted."""
    work = small.work(small.CATALOGUE.train(run), root, {"data": data, "teacher": teacher})
    noted = Noted(work)
    noted.folder = small.run(work, "train")
    return noted


def curve(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def pair(how=None, model="resnet8", width=2, **fields):
    teacher = small.teacher(**AUGMENTED)
    fields = AUGMENTED | {"epochs": 4} | fields
    cached = small.student(teacher, model, width, {"views": "epochs"} | (how or {}), **fields)
    return cached, small.student(teacher, model, width, (how or {}) | {"views": "online"}, **fields)


@pytest.mark.parametrize("how", [{"soft_weight": 0.7}, {"loss": "logit_mse"}])
def test_cached_is_online_pixels_to_the_bit_losses_to_rounding(tmp_path, data, weights, how):
    cached, online = pair(how)
    one = learn(cached, tmp_path, data, store(cached, tmp_path, data, weights))
    two = learn(online, tmp_path, data, weights)
    assert len(one.pixels) == len(two.pixels) > 0
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    for mine, theirs in zip(one.taught, two.taught, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    assert one.losses == pytest.approx(two.losses, rel=1e-5)
    for mine, theirs in zip(curve(one.folder), curve(two.folder), strict=True):
        for column in ("train_loss", "val_loss"):
            assert mine[column] == pytest.approx(theirs[column], rel=1e-5)


def test_cached_is_online_to_the_bit_where_the_batches_are_the_same(tmp_path, data, weights):
    cached, online = pair()
    samples = len(train_split(data).labels_n)

    def batches(view: int) -> list[torch.Tensor]:
        return epoch_batches(cached.seed, view - 1, samples, cached.recipe.batch_size)

    one = learn(cached, tmp_path, data, store(cached, tmp_path, data, weights, batches))
    two = learn(online, tmp_path, data, weights)
    assert all(torch.equal(a, b) for a, b in zip(one.taught, two.taught, strict=True))
    assert one.losses == two.losses
    first, second = (load_file(noted.folder / "model.safetensors") for noted in (one, two))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_one_clean_view_teaches_augmented_pixels(tmp_path, data, weights):
    run, online = (small.student(small.teacher(), how={"views": views}, **AUGMENTED) for views in (1, "online"))
    folder = store(run, tmp_path, data, weights)
    one, two = learn(run, tmp_path, data, folder), learn(online, tmp_path, data, weights)
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    split = train_split(data)
    table = read_table(folder / "logits.parquet", 0, split)
    first = epoch_batches(run.seed, 0, len(split.labels_n), run.recipe.batch_size)[0]
    assert torch.equal(one.taught[0], table[first])


def test_draws_of_each_epoch():
    augmented, plain = (config.spec(small.recipe(epochs=9, **fields)) for fields in (AUGMENTED, {}))

    def at(views, recipe=augmented, seed=0):
        return [draws_at(epoch, views, recipe, seed) for epoch in range(9)]

    assert at("epochs") == at("online") == [(epoch + 1, epoch + 1) for epoch in range(9)]
    assert at(1) == [(epoch + 1, 0) for epoch in range(9)]
    assert at("epochs", plain) == [(0, 0)] * 9
    turns = at(3)
    assert all(pixels == logits for pixels, logits in turns)
    assert sorted(turns[:3]) == [(1, 1), (2, 2), (3, 3)]
    assert turns[:3] * 3 == turns
    assert len({tuple(at(3, seed=seed)) for seed in range(20)}) > 1


def test_a_few_draws_store_that_many_and_serve_any_epoch(tmp_path, data, weights):
    teacher = small.teacher(**AUGMENTED)
    run = small.student(teacher, how={"views": 2}, epochs=3, **AUGMENTED)
    folder = store(run, tmp_path, data, weights)
    noted = learn(run, tmp_path, data, folder)
    split = train_split(data)
    tables = {draw: read_table(folder / "logits.parquet", draw, split) for draw in (1, 2)}
    steps = len(noted.taught) // 3
    for epoch in range(3):
        draw = draws_at(epoch, 2, run.spec["recipe"], run.seed)[1]
        ids = epoch_batches(run.seed, epoch, len(split.labels_n), run.recipe.batch_size)[0]
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
        with pytest.raises(UserError, match=r"view 1 holds 109 rows, not each of 1\d\d training samples"):
            read_table(path, 1, other)
    split = train_split(data)
    with pytest.raises(UserError, match=r"labels or classes are not those"):
        read_table(path, 1, type(split)(**vars(split) | {"labels_n": 2 - split.labels_n}))
    with pytest.raises(UserError, match=r"labels or classes are not those"):
        read_table(path, 1, type(split)(**vars(split) | {"classes": ["ant", "bee"]}))
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
    run = small.student(best, how={"views": "online"}, **AUGMENTED)
    job = small.CATALOGUE.train(run)
    assert job.spec["teacher"]["weights"] == "best.safetensors"
    assert small.CATALOGUE.teacher_logits(small.student(best, **AUGMENTED)).spec["weights"] == "best.safetensors"
    work = small.work(job, tmp_path, {"data": data, "teacher": weights})
    (weights / "model.safetensors").rename(tmp_path / "aside")
    try:
        small.run(work, "train")
    finally:
        (tmp_path / "aside").rename(weights / "model.safetensors")


def test_the_loss_gets_every_option_of_its_own_and_no_other():
    how = config.spec(Distill(temperature=3.0, soft_weight=0.5, t_squared=False, views=2, dtype="float16"))
    assert loss_options(how) == {
        "temperature": 3.0,
        "soft_weight": 0.5,
        "t_squared": False,
        "soften_student": True,
        "reduction": "batchmean",
    }
    assert loss_options(config.spec(Distill(loss="logit_mse", temperature=1.0))) == {"soft_weight": 1.0}
