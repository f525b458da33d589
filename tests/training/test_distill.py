"""Cached distillation is online distillation (acceptance 4), and what a wrong file of logits says."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lskd.data.sources import load_source
from lskd.errors import UserError
from lskd.inference import teacher_logits
from lskd.io.seal import seal
from lskd.io.store import open_logits
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.execute import resolve
from lskd.jobs.results import Results
from lskd.metrics.calibration import fit_temperature
from lskd.study.config import Data, Model, Supervision
from lskd.study.options import spec
from lskd.study.runs import Run
from lskd.training.distill import draws_at, read_table
from lskd.training.loop import loss_options
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
    return load_source(data / "data.safetensors", "train", CPU)


def store(student, root, data, weights, batches=None, catalogue=small.CATALOGUE):
    """The sealed folder of a teacher's logits."""
    work = small.work(catalogue.teacher_logits(student), root, {"data": data, "weights": weights})
    teacher_logits.store(work, CPU, batches)
    return small.sealed(work.folder, "teacher_logits")


class Noted:
    """A student's build and loss that note what they are given."""

    def __init__(self, work):
        self.pixels, self.taught, self.targets, self.losses = [], [], [], []
        self._build, self._loss = work.functions["model"], work.functions["loss"]
        work.functions |= {"model": self.build, "loss": self.loss}

    def build(self, *arguments, **options):
        network = self._build(*arguments, **options)
        network.register_forward_pre_hook(lambda module, given: self.pixels.append(given[0].clone()))
        return network

    def loss(self, student_nk, targets, teacher_nk, **options):
        value = self._loss(student_nk, targets, teacher_nk, **options)
        self.taught.append(teacher_nk.clone())
        self.targets.append(targets.clone())
        self.losses.append(value.item())
        return value


def learn(run, root, data, teacher, catalogue=small.CATALOGUE, **inputs) -> Noted:
    """Train a student; its sealed folder is `folder` of what was noted."""
    work = small.work(catalogue.train(run), root, {"data": data, "teacher": teacher} | inputs)
    noted = Noted(work)
    noted.folder = small.run(work, "train")
    return noted


def curve(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def pair(how=None, model="resnet8", width=2, **fields):
    teacher = small.teacher(**AUGMENTED)
    fields = AUGMENTED | {"epochs": 4} | fields
    cached = small.student(teacher, model, width, {"draws": "epochs"} | (how or {}), **fields)
    return cached, small.student(teacher, model, width, (how or {}) | {"draws": "online"}, **fields)


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


LOSSES = [
    {"way": "kd", "temperature": 2.0, "teacher_temperature": 3.0},
    *({"way": way, "temperature": 2.0} for way in ("dkd", "dist", "nkd", "wsld", "wttm", "standardized_kd")),
    {"way": "wttm", "temperature": 4.0, "weighted": False},
]


@pytest.mark.parametrize("how", LOSSES)
@pytest.mark.parametrize("fields", [{}, {"mixup": 0.3}])
def test_each_loss_teaches_pure_and_blended_images(tmp_path, data, weights, how, fields):
    run = small.student(small.teacher(**AUGMENTED), how=how, epochs=2, **fields)
    noted = learn(run, tmp_path, data, store(run, tmp_path, data, weights))
    assert sum(noted.losses[-3:]) < sum(noted.losses[:3])
    assert noted.targets[0].dim() == (2 if fields else 1)


TRANSFORMS = [
    {"transform": "erase", "keep": 0.5},
    {"transform": "shuffle"},
    {"transform": "randomize"},
    {"transform": "calibrate"},
]


def predictions(run, root, data, weights):
    """The sealed folder of what a student's teacher says of the clean images."""
    work = small.work(small.CATALOGUE.predict(run.teacher), root, {"data": data, "weights": weights})
    return small.run(work, "predict")


@pytest.mark.parametrize("how", TRANSFORMS)
def test_a_student_is_taught_the_transformed_logits_of_each_draw(tmp_path, data, weights, how):
    """Recomputed from the store and the spec alone, as a metric would."""
    cached, _ = pair({"draws": 2} | how, "mlp", 16)
    folder = store(cached, tmp_path, data, weights)
    inputs = (
        {"teacher predict": predictions(cached, tmp_path, data, weights)} if how["transform"] == "calibrate" else {}
    )
    job = small.CATALOGUE.train(cached)
    assert set(job.inputs) == {"data", "teacher", *inputs}
    noted = learn(cached, tmp_path, data, folder, **inputs)
    options = {name: value for name, value in job.spec["transform"].items() if name != "name"}
    if inputs:
        _, val_labels_n, val_nk = open_logits(inputs["teacher predict"] / "val.logits.parquet").read_draw(0)
        options["fitted"] = fit_temperature(val_labels_n, val_nk.astype(float))
    source, step = train_split(data), 0
    for epoch in range(4):
        _, draw = draws_at(epoch, 2, cached.spec["seed"])
        _, labels_n, logits_nk = open_logits(folder / "logits.parquet").read_draw(draw)
        transform, rng = resolve(job.functions["transform"]), np.random.default_rng(cached.spec["seed"])
        expected_nk = torch.from_numpy(transform(logits_nk, labels_n, rng, **options))
        for ids_n in epoch_batches(cached.spec["seed"], epoch, len(source), cached.recipe.batch_size):
            assert torch.equal(noted.taught[step], expected_nk[ids_n])
            step += 1
    assert step == len(noted.taught)


def test_all_that_is_kept_teaches_to_the_bit_what_no_transform_does(tmp_path, data, weights):
    plain, (kept, _) = pair(None, "mlp", 16)[0], pair({"transform": "erase", "keep": 1.0}, "mlp", 16)
    folder = store(plain, tmp_path, data, weights)
    one, two = (learn(run, tmp_path, data, folder) for run in (plain, kept))
    assert one.folder != two.folder
    first, second = (load_file(noted.folder / "model.safetensors") for noted in (one, two))
    assert one.losses == two.losses and all(torch.equal(first[name], second[name]) for name in first)


def test_a_teacher_without_an_error_on_val_cannot_be_calibrated(tmp_path, data, weights):
    cached, _ = pair({"transform": "calibrate"}, "mlp", 16)
    folder, said = store(cached, tmp_path, data, weights), predictions(cached, tmp_path, data, weights)
    inputs = {"data": data, "teacher": folder, "teacher predict": said}
    work = small.work(small.CATALOGUE.train(cached), tmp_path, inputs)
    work.functions["fit"] = lambda labels_n, logits_nk: fit_temperature(logits_nk.argmax(1), logits_nk)
    with pytest.raises(UserError, match="transform calibrate has nothing to fit, as the teacher makes no error on val"):
        small.run(work, "train")


def test_damaged_predictions_calibrate_nothing(tmp_path, data, weights):
    cached, _ = pair({"transform": "calibrate"}, "mlp", 16)
    said = predictions(cached, tmp_path, data, weights)
    small.flip(said / "val.logits.parquet")
    with pytest.raises(UserError, match=r"val\.logits\.parquet"):
        learn(cached, tmp_path, data, store(cached, tmp_path, data, weights), **{"teacher predict": said})


def test_the_loss_gets_every_option_of_its_own_and_no_other():
    supervision = Supervision(way="kd", temperature=3.0, soft_weight=0.5, t_squared=False, draws=2, dtype="float16")
    assert loss_options(spec(supervision)) == {
        "temperature": 3.0,
        "soft_weight": 0.5,
        "t_squared": False,
        "soften_student": True,
        "reduction": "batchmean",
    }
    assert loss_options(spec(Supervision(way="logit_mse", draws=2))) == {"soft_weight": 1.0}
    labels = Supervision(label_smoothing=0.1, smoothing="others")
    assert loss_options(spec(labels)) == {"label_smoothing": 0.1, "smoothing": "others"}


SHAPE = (3, 8, 8)


class TwoSizes:
    """A data set of 8 x 8 pixels for students, and of 16 x 16 for their teacher, each pixel of the one four."""

    def __init__(self, root: Path):
        self.root, self.catalogue = root, Catalogue({}, Results(root / "results"))
        tensors = small.noisy(109, SHAPE)
        larger = {name: doubled(each) if name.endswith("images") else each for name, each in tensors.items()}
        for name in small.CLASSES:  # planning looks at a folder of images; what is read stands below
            (root / "birds" / name).mkdir(parents=True)
            for i in range(3):
                (root / "birds" / name / f"{i}.png").write_bytes(small.png(tensors["train_images"][i]))
        self.data, self.teacher_data = self.stored(tensors), self.stored(larger)
        self.teacher = self.teacher_of()
        work = small.work(self.catalogue.train(self.teacher), root, {"data": self.teacher_data[False]})
        self.weights = small.run(work, "train")

    def stored(self, tensors) -> dict[bool, Path]:
        """The folders of data jobs of these images: in memory, and streamed (True)."""
        shape = tensors["train_images"].shape[1:]
        images = {split: [small.png(each) for each in tensors[f"{split}_images"]] for split in ("train", "val", "test")}
        labels = {name: each for name, each in tensors.items() if name.endswith("labels")}
        folders = {is_streamed: self.root / f"data-{shape[1]:08}0{is_streamed:d}" for is_streamed in (False, True)}
        small.stored(folders[False], tensors, shape, tensors["train_images"])
        small.stored(folders[True], labels, shape, tensors["train_images"], images)
        return folders

    def data_of(self, image_size: int, is_streamed: bool) -> Data:
        keys = {"dataset": "imagefolder", "root": str(self.root / "birds"), "name": f"birds{image_size}"}
        return Data(**keys, image_size=image_size, stream=is_streamed)

    def teacher_of(self, is_streamed: bool = False) -> Run:
        supervision, model = Supervision(label_smoothing=0.1), Model(name="resnet8", width=4)
        return Run(self.data_of(16, is_streamed), model, "short", small.recipe(), supervision, 0)

    def student(self, draws, streamed=(False, False), **fields) -> Run:
        """A student; `streamed` tells whether its images and whether its teacher's are."""
        recipe = small.recipe(**{"epochs": 4} | AUGMENTED | fields)
        supervision, model = Supervision(way="kd", temperature=2.0, draws=draws), Model(name="resnet8", width=2)
        teacher = self.teacher_of(streamed[1]) if streamed[1] else self.teacher
        return Run(self.data_of(8, streamed[0]), model, "short", recipe, supervision, 0, teacher)

    def learn(self, run: Run, batches=None) -> Noted:
        own, teachers = self.data[run.data.stream], self.teacher_data[run.teacher.data.stream]
        if run.supervision.draws == "online":
            return learn(run, self.root, own, self.weights, self.catalogue, **{"teacher data": teachers})
        folder = store(run, self.root, teachers, self.weights, batches, self.catalogue)
        return learn(run, self.root, own, folder, self.catalogue)


def doubled(images_nchw):
    return images_nchw.repeat(2, 2).repeat(2, 3)


@pytest.fixture(scope="module")
def two_sizes(tmp_path_factory):
    return TwoSizes(tmp_path_factory.mktemp("sizes"))


def test_the_jobs_of_a_teacher_of_larger_images_say_so(two_sizes):
    cached, online = (two_sizes.catalogue.train(two_sizes.student(draws)) for draws in ("epochs", "online"))
    assert set(online.inputs) == {"data", "teacher", "teacher data"}
    assert online.spec["teacher"]["scale"] == 2.0
    assert set(cached.inputs) == {"data", "teacher"}
    stored = cached.inputs["teacher"]
    assert stored.spec["scale"] == 2.0 and stored.title.endswith("draws4-crop1-flip-float32-for-birds8")
    assert stored.inputs["data"] is online.inputs["teacher data"] is not online.inputs["data"]


@pytest.mark.parametrize("fields", [{}, {"mixup": 0.4}])
def test_a_teacher_of_larger_images_sees_the_same_pixels_online_and_stored(two_sizes, fields):
    cached, online = (two_sizes.student(draws, **fields) for draws in ("epochs", "online"))

    def batches(draw: int) -> list[torch.Tensor]:
        return epoch_batches(cached.own_seed, draw - 1, 109, cached.recipe.batch_size)

    one, two = two_sizes.learn(cached, batches), two_sizes.learn(online)
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.taught, two.taught, strict=True))
    assert one.losses == two.losses


@pytest.mark.parametrize("streamed", [(True, False), (False, True), (True, True)])
def test_a_student_and_its_teacher_may_both_stream_or_one_of_them(two_sizes, streamed):
    fields = {"mixup": 0.4, "epochs": 2}
    expected = two_sizes.learn(two_sizes.student("online", **fields))
    for draws in ("online", "epochs"):
        noted = two_sizes.learn(two_sizes.student(draws, streamed, **fields))
        assert all(torch.equal(a, b) for a, b in zip(noted.pixels, expected.pixels, strict=True))
        for mine, theirs in zip(noted.taught, expected.taught, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    assert noted.losses == pytest.approx(expected.losses, rel=1e-5)


def test_a_teacher_of_larger_images_sees_its_students_crop_at_its_own_size(two_sizes):
    """Its pixels are the student's, each four: its crop is the student's, twice as far."""
    run = two_sizes.student("online")
    work = small.work(two_sizes.catalogue.train(run), two_sizes.root / "seen", {})
    folders = two_sizes.data[False], two_sizes.weights, two_sizes.teacher_data[False]
    work.inputs = dict(zip(("data", "teacher", "teacher data"), folders, strict=True))
    seen = []
    build = work.functions["teacher_model"]

    def noting(*arguments, **options):
        network = build(*arguments, **options)
        network.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()))
        return network

    work.functions["teacher_model"] = noting
    noted = Noted(work)
    small.run(work, "train")
    shown = [images for images in noted.pixels if len(images) != 15]  # 15 are val's
    assert len(seen) == len(shown) > 0
    for larger, images in zip(seen, shown, strict=True):
        assert torch.allclose(larger, images.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-5)


def test_a_teacher_of_other_samples_is_refused(two_sizes, tmp_path):
    tensors = small.noisy(109, (3, 16, 16))
    tensors["train_labels"] = tensors["train_labels"][::-1].copy()
    other = small.stored(tmp_path / "data-0000000016", tensors, (3, 16, 16), tensors["train_images"])
    run = two_sizes.student("online")
    with pytest.raises(UserError, match="labels are not those of the training data"):
        learn(run, tmp_path, two_sizes.data[False], two_sizes.weights, two_sizes.catalogue, **{"teacher data": other})
