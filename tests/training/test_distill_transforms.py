"""Each loss that a student may learn by, and the transforms of its teacher's logits."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lskd.errors import UserError
from lskd.io.store import open_logits
from lskd.jobs.execute import resolve
from lskd.metrics.calibration import fit_temperature
from lskd.study.config import Supervision
from lskd.study.options import spec
from lskd.training.distill import draws_at
from lskd.training.loop import loss_options
from lskd.training.schedules import epoch_batches
from tests import small
from tests.training.taught import AUGMENTED, learn, pair, store, train_split

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
