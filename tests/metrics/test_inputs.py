import math
from dataclasses import replace

import numpy as np
import pytest

from lskd.errors import UserError
from lskd.metrics.inputs import RunData
from lskd.metrics.measure import runs_of
from tests import small
from tests.metrics.made import CLASSES, folder, sealed, study, write_outputs


def predictions(root) -> RunData:
    """A run without any files."""
    return RunData({}, {"predict": folder(root, "predictions", "run")})


def test_logits_come_in_the_order_of_samples(tmp_path):
    samples_n, labels_n = np.array([2, 0, 1]), np.array([1, 0, 2])
    logits_nk = np.arange(9).reshape(3, 3).astype(np.float32)
    run = predictions(tmp_path)
    write_outputs(run.folders["predict"], "val", samples_n, labels_n, logits_nk, logits_nk)
    labels_n, logits_nk = run.logits("val")
    assert labels_n.tolist() == [0, 2, 1]
    assert logits_nk.tolist() == [[3, 4, 5], [6, 7, 8], [0, 1, 2]]
    assert (labels_n.dtype, logits_nk.dtype) == (np.int64, np.float64)


def test_the_last_layer_links_features_and_logits(tmp_path):
    run = study(tmp_path)[3]
    weight_kh, bias_k = run.head()
    labels_n, features_nh = (np.concatenate(parts) for parts in zip(*run.features("train"), strict=True))
    logits = run.logits("train")
    assert labels_n.tolist() == logits[0].tolist()
    np.testing.assert_allclose(features_nh @ weight_kh.T + bias_k, logits[1], atol=1e-4)


def test_classes_are_those_of_the_data(tmp_path):
    assert study(tmp_path)[1].classes == CLASSES


READERS = {
    "val.logits.parquet": lambda run: run.logits("val"),
    "val.features.parquet": lambda run: list(run.features("val")),
    "head.safetensors": RunData.head,
    "history.jsonl": RunData.history,
    "snapshots.parquet": RunData.snapshots,
    "data.safetensors": lambda run: run.classes,
}


def whole(root) -> RunData:
    """A run with every file that is read."""
    run = study(root)[0]
    history, snapshots = (folder(root, room, "run") for room in ("runs", "snapshots"))
    (history / "history.jsonl").write_text('{"epoch": 1, "val_top1": 0.5}\n')
    (snapshots / "snapshots.parquet").write_bytes((run.folders["predict"] / "val.logits.parquet").read_bytes())
    return replace(run, folders=run.folders | {"train": sealed(history), "snapshots": sealed(snapshots)})


@pytest.mark.parametrize("name", READERS)
def test_what_is_missing_damaged_or_of_another_job_is_one_line(tmp_path, name):
    run = whole(tmp_path)
    READERS[name](replace(run))
    path = next(path / name for path in run.folders.values() if (path / name).exists())
    content = path.read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(UserError, match=match) as caught:
            READERS[name](replace(run))
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(" && snakemake")

    small.flip(path, len(content) // 2)
    refused(f"{name}: damaged")
    path.write_bytes(content[:-1])
    refused(f"{name}: damaged")
    path.unlink()
    refused(f"{name}: cannot be read")
    sealed(path.parent)
    path.write_bytes(content)
    refused(f"{name}: is not among the files")
    (path.parent / "record.json").unlink()
    refused("record.json: cannot be read")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_run_is_told(tmp_path, bad):
    values = np.array([[1.0, bad], [0.0, 1.0]], dtype=np.float32)
    run = predictions(tmp_path)
    write_outputs(run.folders["predict"], "val", np.arange(2), np.arange(2), values, values)
    with pytest.raises(UserError, match="diverged"):
        run.logits("val")
    with pytest.raises(UserError, match="diverged"):
        list(run.features("val"))


def test_runs_of_a_job_find_their_folders_by_role(tmp_path):
    teacher, student = study(tmp_path)[:2]
    rows = [run.row | {"temperature": None if run is teacher else 1.0} for run in (teacher, student)]
    inputs = {
        "data made": teacher.folders["data"],
        f"predict {teacher.row['run']}": teacher.folders["predict"],
        f"predict {student.row['run']}": student.folders["predict"],
    }
    one, two = runs_of(rows, inputs)
    assert (one.folders, two.folders) == (teacher.folders, student.folders)
    assert math.isnan(one.row["temperature"]) and two.row["temperature"] == 1.0
    assert one.teacher is None and two.teacher.folders == teacher.folders
    (alone,) = runs_of(rows[1:], inputs)  # a figure of students alone reads their teachers too
    assert alone.teacher.folders == teacher.folders
    assert alone.teacher.logits("val")[1].shape == teacher.logits("val")[1].shape
