"""What predict writes, against direct forward passes."""

import json
from dataclasses import replace
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lskd.data.augment import CLEAN
from lskd.data.streamed import streamed
from lskd.errors import UserError
from lskd.inference.predict import SPLITS
from lskd.io.store import open_features, open_logits
from lskd.study.config import Model, Supervision
from lskd.study.runs import Run
from tests import small
from tests.inference.conftest import RUN, direct, network, predicted


@pytest.mark.parametrize("split", SPLITS)
def test_logits_and_features_are_the_networks(folders, split):
    data, weights, predictions = folders
    samples_n, labels_n, logits_nk = open_logits(predictions / f"{split}.logits.parquet").read_draw(0)
    assert samples_n.tolist() == list(range(len(samples_n)))
    assert labels_n.tolist() == small.noisy()[f"{split}_labels"].tolist()
    np.testing.assert_allclose(logits_nk, direct(data, weights / "model.safetensors", split, 0), rtol=1e-5, atol=1e-5)
    if split == "test":
        assert not (predictions / "test.features.parquet").exists()
        return
    features = list(open_features(predictions / f"{split}.features.parquet").batches())
    head = load_file(predictions / "head.safetensors")
    features_nh = np.concatenate([batch[2] for batch in features])
    assert np.concatenate([batch[0] for batch in features]).tolist() == samples_n.tolist()
    again_nk = features_nh @ head["weight"].numpy().T + head["bias"].numpy()
    np.testing.assert_allclose(logits_nk, again_nk, rtol=1e-5, atol=1e-5)


def test_any_tool_reads_the_files(folders):
    table = pq.read_table(folders[2] / "test.logits.parquet")
    assert table.column_names == ["sample", "draw", "label", "logits"]
    assert len(table) == 18


def test_files_say_what_they_are(folders):
    predictions = folders[2]
    job = small.CATALOGUE.predict(RUN)
    origins = [open_logits(predictions / f"{split}.logits.parquet").metadata for split in SPLITS]
    origins += [open_features(predictions / f"{split}.features.parquet").metadata for split in SPLITS[:2]]
    with safe_open(predictions / "head.safetensors", "pt") as file:
        origins.append(json.loads(file.metadata()["lskd"]))
    assert origins == [{"title": RUN.title, "address": job.address, "spec": job.spec}] * 6


def test_twice_the_same_bytes(folders, tmp_path):
    data, weights, predictions = folders
    again = predicted(RUN, tmp_path, data, weights)
    for path in again.iterdir():
        assert path.read_bytes() == (predictions / path.name).read_bytes(), path.name


def test_a_run_that_is_used_at_its_best_epoch_is_read_there(folders, tmp_path):
    data, weights, _ = folders
    best = small.teacher(crop_padding=1, flip=True, snapshot_epochs=[0, 1, 3], select="best")
    job = small.CATALOGUE.predict(best)
    assert job.spec["weights"] == "best.safetensors"
    assert job.address != small.CATALOGUE.predict(RUN).address
    logits_nk = open_logits(predicted(best, tmp_path, data, weights) / "val.logits.parquet").read_draw(0)[2]
    expected_nk = direct(data, weights / "best.safetensors", "val", 0)
    np.testing.assert_allclose(logits_nk, expected_nk, rtol=1e-5, atol=1e-5)


def test_a_snapshot_is_read_at_its_epoch(folders, tmp_path):
    data, weights, predictions = folders
    first, last = (
        open_logits(predicted(replace(RUN, epoch=epoch), tmp_path, data, weights) / "test.logits.parquet").read_draw(0)
        for epoch in (0, 3)
    )
    whole = open_logits(predictions / "test.logits.parquet").read_draw(0)
    np.testing.assert_array_equal(last[2], whole[2])
    assert not np.allclose(first[2], whole[2])


def test_channels_last_moves_numbers_by_rounding(folders, tmp_path):
    data, weights, predicted = folders
    work = small.work(small.CATALOGUE.predict(RUN), tmp_path, {"data": data, "weights": weights}, channels_last=True)
    layouts, conv2d = set(), torch.nn.functional.conv2d

    def noted(images, weight, *rest):
        layouts.add(weight.is_contiguous(memory_format=torch.channels_last))
        return conv2d(images, weight, *rest)

    with mock.patch("torch.nn.functional.conv2d", noted):
        last = small.run(work, "predict")
    assert layouts == {True}
    one, other = (open_logits(folder / "test.logits.parquet").read_draw(CLEAN)[2] for folder in (predicted, last))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_damaged_and_other_weights_are_one_line(folders, tmp_path):
    data, weights, _ = folders
    wider = small.teacher(width=5)
    with pytest.raises(UserError, match=r"model\.safetensors: these weights do not fit the model"):
        network(data, weights / "model.safetensors", wider)
    cut = tmp_path / "model.safetensors"
    cut.write_bytes((weights / "model.safetensors").read_bytes()[:500])
    with pytest.raises(UserError, match="missing or damaged weights"):
        network(data, cut)
    damaged = small.trained(RUN, tmp_path, data)
    small.flip(damaged / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors: damaged, .*; make it anew: rm -rf "):
        predicted(RUN, tmp_path, data, damaged)


def test_a_torchvision_model_trains_and_predicts(tmp_path):
    run = Run(RUN.data, Model(name="shufflenet_v2_x0_5"), "short", small.recipe(epochs=1), Supervision(), 0)
    data = small.prepared(tmp_path, train=20, shape=(3, 32, 32))
    predictions = predicted(run, tmp_path, data, small.trained(run, tmp_path, data))
    assert open_logits(predictions / "test.logits.parquet").width == 3


@pytest.mark.parametrize("arch", ["timm/resnet10t", "timm/vit_tiny_patch16_224"])
def test_a_timm_model_trains_and_predicts(tmp_path, arch):
    run = Run(RUN.data, Model(name=arch), "short", small.recipe(epochs=1), Supervision(), 0)
    assert run.title == f"digits/{arch.replace('/', '-')}/short/ls0/seed0"
    data = small.prepared(tmp_path, train=20, shape=(3, 32, 32))
    predictions = predicted(run, tmp_path, data, small.trained(run, tmp_path, data))
    assert open_logits(predictions / "test.logits.parquet").width == 3


def test_streamed_images_give_the_same_weights_and_logits(tmp_path):
    resident, encoded = small.streamed(tmp_path)
    run = small.teacher(crop_padding=1, flip=True, mixup=0.4)
    jobs = [small.CATALOGUE.train(run), small.CATALOGUE.predict(run)]
    trained = [small.trained(run, tmp_path / "resident", resident)]
    trained.append(with_stream(jobs[0], tmp_path / "streamed", {"data": encoded}, "train"))
    one, two = (load_file(folder / "model.safetensors") for folder in trained)
    assert all(torch.equal(one[name], two[name]) for name in one)
    first = predicted(run, tmp_path / "resident", resident, trained[0])
    second = with_stream(jobs[1], tmp_path / "streamed", {"data": encoded, "weights": trained[1]}, "predict")
    for split in SPLITS:
        logits = [open_logits(folder / f"{split}.logits.parquet").read_draw(0)[2] for folder in (first, second)]
        np.testing.assert_array_equal(*logits)


def with_stream(job, root, inputs, stage):
    """The folder of a job as that of streamed data is run."""
    work = small.work(job, root, inputs, workers=3)
    work.functions["stream"] = streamed
    return small.run(work, stage)
