"""Logits along a training against direct forward passes."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from lskd.errors import UserError
from tests import small
from tests.inference.conftest import RUN, direct


def work_of(root, data, weights, classes=("ant", "cat"), run=RUN):
    """A job of few samples and draws."""
    job = small.CATALOGUE.snapshots(run, list(classes))
    work = small.work(job, root, {"data": data, "weights": weights})
    return replace(work, spec=job.spec | {"samples": 20, "draws": 2})


def test_they_are_the_networks_along_training(folders, tmp_path):
    data, weights, _ = folders
    work = work_of(tmp_path, data, weights)
    path = small.run(work, "snapshots") / "snapshots.parquet"
    rows = pq.read_table(path).to_pylist()
    assert {(row["epoch"], row["draw"]) for row in rows} == {(e, v) for e in (0, 1, 3) for v in (1, 2)}
    assert len(rows) == 3 * 2 * 20
    assert {label: sum(row["label"] == label for row in rows) for label in (0, 2)} == {0: 60, 2: 60}
    expected = direct(data, weights / "model.safetensors", "train", 2, crop_padding=1, flip=True)
    last = [row for row in rows if row["epoch"] == 3 and row["draw"] == 2]
    assert len({row["sample"] for row in last}) == 20
    for row in last:
        np.testing.assert_allclose(row["logits"], expected[row["sample"]], rtol=1e-4, atol=1e-5)
    assert json.loads(pq.read_schema(path).metadata[b"lskd"]) == work.origin


def test_blending_is_no_part_of_them(folders):
    """They are of images of two classes; a blended one would be of none."""
    run = small.teacher(crop_padding=1, flip=True, mixup=0.4, snapshot_epochs=[0, 1, 3])
    job, plain = (small.CATALOGUE.snapshots(each, ["ant", "cat"]) for each in (run, RUN))
    assert job.spec["augment"] == {"crop_padding": 1, "flip": True}
    assert job.functions == plain.functions
    assert job.address != plain.address  # of other weights


def test_without_snapshots_or_class_it_is_one_line(folders, tmp_path):
    data, weights, _ = folders
    work = work_of(tmp_path, data, weights, ("cat", "cow"))
    with pytest.raises(UserError, match=r"classes: found 'cow'; this data set has ant, bee, cat"):
        work.functions["run"](work)
    bare = small.teacher()
    work = work_of(tmp_path, data, small.trained(bare, tmp_path, data), run=bare)
    with pytest.raises(UserError, match=r"snapshots\.safetensors: holds no snapshot; give the run's recipe some"):
        work.functions["run"](work)
