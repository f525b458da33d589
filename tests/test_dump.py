"""What dump, views and probe write, against direct forward passes."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lskd.config import Labels, Model, canonical
from lskd.data.augment import augment, normalise
from lskd.data.prepared import load_split
from lskd.dump import SPLITS, dump
from lskd.errors import UserError
from lskd.network import load_model
from lskd.probe import probe
from lskd.runs import Run, views_spec
from lskd.schedule import pixel_key
from lskd.store import open_features, open_logits
from lskd.train import train
from lskd.views import views
from tests import small

CPU = torch.device("cpu")
RUN = small.teacher(crop_padding=1, flip=True, snapshot_epochs=[0, 1, 3])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A trained and dumped run's folder, its data beside it."""
    out = tmp_path_factory.mktemp("run")
    data = small.prepared(out / "data.safetensors")
    train(small.job(RUN, out, data), small.builder(RUN), small.loss(RUN))
    dump({"run": RUN.spec}, "code", data, out / "model.safetensors", out, small.builder(RUN), CPU)
    return out


def network(made, run=RUN):
    split = load_split(made / "data.safetensors", "train")
    return load_model(small.builder(run), run.spec["model"], split, CPU, made / "model.safetensors")


def direct(made, split: str, view: int, **drawn):
    found = load_split(made / "data.safetensors", split)
    ids = torch.arange(len(found.labels_n))
    images = augment(found.images_nchw, ids, view, pixel_key(RUN.spec), **drawn)
    return network(made)(normalise(images, found.mean_c, found.std_c)).numpy()


@pytest.mark.parametrize("split", SPLITS)
def test_dumped_logits_and_features_are_the_networks(made, split):
    samples_n, labels_n, logits_nk = open_logits(made / f"logits/{split}.parquet").read_view(0)
    assert samples_n.tolist() == list(range(len(samples_n)))
    assert labels_n.tolist() == load_split(made / "data.safetensors", split).labels_n.tolist()
    np.testing.assert_allclose(logits_nk, direct(made, split, 0), rtol=1e-5, atol=1e-5)
    if split == "test":
        assert not (made / "features/test.parquet").exists()
        return
    features = list(open_features(made / f"features/{split}.parquet").batches())
    head = load_file(made / "head.safetensors")
    features_nh = np.concatenate([batch[2] for batch in features])
    assert np.concatenate([batch[0] for batch in features]).tolist() == samples_n.tolist()
    again_nk = features_nh @ head["weight"].numpy().T + head["bias"].numpy()
    np.testing.assert_allclose(logits_nk, again_nk, rtol=1e-5, atol=1e-5)


def test_any_tool_reads_the_files(made):
    table = pq.read_table(made / "logits/test.parquet")
    assert table.column_names == ["sample", "view", "label", "logits"]
    assert len(table) == 18


def test_dumped_files_say_what_they_are(made):
    said = [open_logits(made / f"logits/{split}.parquet").metadata for split in SPLITS]
    said += [open_features(made / f"features/{split}.parquet").metadata for split in SPLITS[:2]]
    with safe_open(made / "head.safetensors", "pt") as file:
        said.append(file.metadata())
    assert [one["spec"] for one in said] == [canonical({"run": RUN.spec})] * 6
    assert set(json.loads(said[0]["inputs"])) == {"data", "weights"}


def test_views_are_those_that_the_student_sees(made, tmp_path):
    student = small.student(RUN, how={"views": 3}, crop_padding=1, flip=True)
    data, out = made / "data.safetensors", tmp_path / "views.parquet"
    views(views_spec(student), "code", data, made / "model.safetensors", out, small.builder(RUN), CPU)
    stored = open_logits(out)
    assert stored.views == (1, 2, 3)
    for view in stored.views:
        expected = direct(made, "train", view, crop_padding=1, flip=True)
        np.testing.assert_allclose(stored.read_view(view)[2], expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(stored.read_view(1)[2], stored.read_view(2)[2])


def test_one_view_in_half_precision(made, tmp_path):
    student = small.student(RUN, how={"views": 1, "dtype": "float16"}, crop_padding=1)
    data, out = made / "data.safetensors", tmp_path / "views.parquet"
    views(views_spec(student), "code", data, made / "model.safetensors", out, small.builder(RUN), CPU)
    stored = open_logits(out)
    assert (stored.views, stored.dtype) == ((0,), "float16")
    np.testing.assert_array_equal(stored.read_view(0)[2], direct(made, "train", 0).astype(np.float16))


def test_probe_is_the_networks_along_training(made, tmp_path):
    spec = {"run": RUN.spec, "classes": ["cat", "ant"], "samples": 20, "views": 2}
    data, out = made / "data.safetensors", tmp_path / "probe.parquet"
    probe(spec, "code", data, made / "snapshots.safetensors", out, small.builder(RUN), CPU)
    rows = pq.read_table(out).to_pylist()
    assert {(row["epoch"], row["view"]) for row in rows} == {(e, v) for e in (0, 1, 3) for v in (1, 2)}
    assert len(rows) == 3 * 2 * 20
    assert {label: sum(row["label"] == label for row in rows) for label in (0, 2)} == {0: 60, 2: 60}
    expected = direct(made, "train", 2, crop_padding=1, flip=True)
    last = [row for row in rows if row["epoch"] == 3 and row["view"] == 2]
    assert len({row["sample"] for row in last}) == 20
    for row in last:
        np.testing.assert_allclose(row["logits"], expected[row["sample"]], rtol=1e-4, atol=1e-5)
    assert json.loads(pq.read_schema(out).metadata[b"lskd"])["code"] == "code"


def test_probe_without_snapshots_or_class_is_one_line(made, tmp_path):
    spec = {"run": RUN.spec, "classes": ["cat", "cow"], "samples": 20, "views": 2}
    data, out = made / "data.safetensors", tmp_path / "probe.parquet"
    with pytest.raises(UserError, match=r"classes: found 'cow'; this data set has ant, bee, cat"):
        probe(spec, "code", data, made / "snapshots.safetensors", out, small.builder(RUN), CPU)
    bare = small.teacher()
    train(small.job(bare, tmp_path, data), small.builder(bare), small.loss(bare))
    with pytest.raises(UserError, match="holds no snapshot"):
        probe(spec, "code", data, tmp_path / "snapshots.safetensors", out, small.builder(RUN), CPU)


def test_weights_of_another_model_are_one_line(made):
    wider = small.teacher(width=5)
    with pytest.raises(UserError, match=r"model\.safetensors: these weights do not fit the model"):
        network(made, wider)
    (made / "cut").mkdir(exist_ok=True)
    (made / "cut" / "model.safetensors").write_bytes((made / "model.safetensors").read_bytes()[:500])
    split = load_split(made / "data.safetensors", "train")
    with pytest.raises(UserError, match="missing or damaged weights"):
        load_model(small.builder(RUN), RUN.spec["model"], split, CPU, made / "cut" / "model.safetensors")


def test_a_torchvision_model_trains_and_dumps(tmp_path):
    run = Run(RUN.data, Model(name="shufflenet_v2_x0_5"), "short", small.recipe(epochs=1), Labels(), 0)
    data = small.prepared(tmp_path / "data.safetensors", train=20, shape=(3, 32, 32))
    train(small.job(run, tmp_path, data), small.builder(run), small.loss(run))
    dump({"run": run.spec}, "code", data, tmp_path / "best.safetensors", tmp_path, small.builder(run), CPU)
    assert open_logits(tmp_path / "logits/test.parquet").width == 3
