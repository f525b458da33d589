"""Cached distillation is online distillation (acceptance 4), and what a wrong file of logits says."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from lskd.config import Distill
from lskd.data.prepared import load_split
from lskd.distill import distill, read_table, views_at
from lskd.errors import UserError
from lskd.runs import views_spec
from lskd.schedule import epoch_batches
from lskd.train import train
from lskd.views import views
from tests import small

AUGMENTED = {"crop_padding": 1, "flip": True}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.prepared(tmp_path_factory.mktemp("data") / "data.safetensors", train=109)


@pytest.fixture(scope="module")
def weights(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("teacher")
    run = small.teacher(**AUGMENTED)
    train(small.job(run, folder, data), small.builder(run), small.loss(run))
    return folder / "model.safetensors"


def store(student, data, weights, path, batches=None):
    views(views_spec(student), "code", data, weights, path, small.builder(student.teacher), CPU, batches)
    return path


class Noted:
    """A student's build and loss that note what they are given."""

    def __init__(self, run):
        self.run, self.pixels, self.taught, self.losses = run, [], [], []

    def build(self, *arguments, **options):
        network = small.builder(self.run)(*arguments, **options)
        network.register_forward_pre_hook(lambda module, given: self.pixels.append(given[0].clone()))
        return network

    def loss(self, student_nk, teacher_nk, labels_n, **options):
        value = small.loss(self.run)(student_nk, teacher_nk, labels_n, **options)
        self.taught.append(teacher_nk.clone())
        self.losses.append(value.item())
        return value


def learn(run, out, data, teacher_file) -> Noted:
    noted = Noted(run)
    distill(small.job(run, out, data, teacher_file), noted.build, noted.loss, small.builder(run.teacher))
    return noted


def pair(how=None, model="resnet8", width=2, **fields):
    teacher = small.teacher(**AUGMENTED)
    fields = AUGMENTED | {"epochs": 4} | fields
    cached = small.student(teacher, model, width, {"views": "epochs"} | (how or {}), **fields)
    return cached, small.student(teacher, model, width, (how or {}) | {"views": "online"}, **fields)


@pytest.mark.parametrize("how", [{"soft_weight": 0.7}, {"loss": "logit_mse"}])
def test_cached_is_online_pixels_to_the_bit_losses_to_rounding(tmp_path, data, weights, how):
    cached, online = pair(how)
    one = learn(cached, tmp_path / "cached", data, store(cached, data, weights, tmp_path / "views.parquet"))
    two = learn(online, tmp_path / "online", data, weights)
    assert len(one.pixels) == len(two.pixels) > 0
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    for mine, theirs in zip(one.taught, two.taught, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    assert one.losses == pytest.approx(two.losses, rel=1e-5)
    curves = [pq.read_table(tmp_path / name / "history.parquet") for name in ("cached", "online")]
    for column in ("train_loss", "val_loss"):
        assert curves[0][column].to_pylist() == pytest.approx(curves[1][column].to_pylist(), rel=1e-5)


def test_cached_is_online_to_the_bit_where_the_batches_are_the_same(tmp_path, data, weights):
    cached, online = pair()
    samples = len(load_split(data, "train").labels_n)

    def batches(view: int) -> list[torch.Tensor]:
        return epoch_batches(cached.seed, view - 1, samples, cached.recipe.batch_size)

    one = learn(cached, tmp_path / "cached", data, store(cached, data, weights, tmp_path / "v.parquet", batches))
    two = learn(online, tmp_path / "online", data, weights)
    assert all(torch.equal(a, b) for a, b in zip(one.taught, two.taught, strict=True))
    assert one.losses == two.losses
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("cached", "online"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_one_clean_view_teaches_augmented_pixels(tmp_path, data, weights):
    run, online = (small.student(small.teacher(), how={"views": views}, **AUGMENTED) for views in (1, "online"))
    file = store(run, data, weights, tmp_path / "views.parquet")
    one, two = learn(run, tmp_path / "a", data, file), learn(online, tmp_path / "b", data, weights)
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    split = load_split(data, "train")
    table = read_table(file, 0, split)
    first = epoch_batches(run.seed, 0, len(split.labels_n), run.recipe.batch_size)[0]
    assert torch.equal(one.taught[0], table[first])


def test_views_of_each_epoch():
    augmented, plain = small.recipe(epochs=9, **AUGMENTED), small.recipe(epochs=9)

    def at(views, recipe=augmented, seed=0):
        return [views_at(epoch, Distill(temperature=1.0, views=views), recipe, seed) for epoch in range(9)]

    assert at("epochs") == at("online") == [(epoch + 1, epoch + 1) for epoch in range(9)]
    assert at(1) == [(epoch + 1, 0) for epoch in range(9)]
    assert at("epochs", plain) == [(0, 0)] * 9
    turns = at(3)
    assert all(pixels == logits for pixels, logits in turns)
    assert sorted(turns[:3]) == [(1, 1), (2, 2), (3, 3)]
    assert turns[:3] * 3 == turns
    assert len({tuple(at(3, seed=seed)) for seed in range(20)}) > 1


def test_a_few_views_store_that_many_and_serve_any_epoch(tmp_path, data, weights):
    teacher = small.teacher(**AUGMENTED)
    run = small.student(teacher, how={"views": 2}, epochs=3, **AUGMENTED)
    file = store(run, data, weights, tmp_path / "views.parquet")
    noted = learn(run, tmp_path / "run", data, file)
    split = load_split(data, "train")
    tables = {view: read_table(file, view, split) for view in (1, 2)}
    steps = len(noted.taught) // 3
    for epoch in range(3):
        view = views_at(epoch, run.supervision, run.recipe, run.seed)[1]
        ids = epoch_batches(run.seed, epoch, len(split.labels_n), run.recipe.batch_size)[0]
        assert torch.equal(noted.taught[epoch * steps], tables[view][ids])


def test_float16_logits_teach_nearly_the_same(tmp_path, data, weights):
    teacher = small.teacher(**AUGMENTED)
    full, half = (small.student(teacher, how={"dtype": dtype}, **AUGMENTED) for dtype in ("float32", "float16"))
    losses = []
    for name, run in (("full", full), ("half", half)):
        file = store(run, data, weights, tmp_path / f"{name}.parquet")
        losses.append(learn(run, tmp_path / name, data, file).losses)
    assert losses[0] != losses[1]
    assert np.allclose(*losses, rtol=0.01, atol=1e-3)


def test_logits_of_other_data_are_one_line(tmp_path, data, weights):
    cached, _ = pair()
    file = store(cached, data, weights, tmp_path / "views.parquet")
    for other in (small.prepared(tmp_path / "more", train=112), small.prepared(tmp_path / "less", train=100)):
        with pytest.raises(UserError, match=r"view 1 holds 109 rows, not each of 1\d\d training samples"):
            read_table(file, 1, load_split(other, "train"))
    split = load_split(data, "train")
    with pytest.raises(UserError, match=r"labels or classes are not those"):
        read_table(file, 1, type(split)(**vars(split) | {"labels_n": 2 - split.labels_n}))
    with pytest.raises(UserError, match=r"views\.parquet.*99"):
        read_table(file, 99, split)
