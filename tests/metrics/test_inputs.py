import numpy as np
import pytest

from lskd.errors import UserError
from lskd.metrics.inputs import RunData
from tests.metrics.made import CLASSES, study, write_outputs


def test_logits_come_in_the_order_of_samples(tmp_path):
    samples_n, labels_n = np.array([2, 0, 1]), np.array([1, 0, 2])
    logits_nk = np.arange(9).reshape(3, 3).astype(np.float32)
    write_outputs(tmp_path, "val", samples_n, labels_n, logits_nk, logits_nk)
    found = RunData({}, tmp_path).logits("val")
    assert found[0].tolist() == [0, 2, 1]
    assert found[1].tolist() == [[3, 4, 5], [6, 7, 8], [0, 1, 2]]
    assert (found[0].dtype, found[1].dtype) == (np.int64, np.float64)


def test_the_last_layer_links_features_and_logits(tmp_path):
    run = study(tmp_path)[3]
    weight_kh, bias_k = run.head()
    labels_n, features_nh = (np.concatenate(parts) for parts in zip(*run.features("train"), strict=True))
    logits = run.logits("train")
    assert labels_n.tolist() == logits[0].tolist()
    np.testing.assert_allclose(features_nh @ weight_kh.T + bias_k, logits[1], atol=1e-4)


def test_classes_are_found_above_a_students_deep_folder(tmp_path):
    assert study(tmp_path)[1].classes == CLASSES


def test_what_is_missing_is_told_in_one_line(tmp_path):
    run = RunData({}, tmp_path / "run")
    for read, name in (
        (lambda: run.logits("val"), "val.parquet"),
        (lambda: list(run.features("val")), "val.parquet"),
        (run.head, "head.safetensors"),
        (run.history, "history.parquet"),
        (run.probe, "probe.parquet"),
        (lambda: run.classes, "data.safetensors"),
    ):
        with pytest.raises(UserError, match=name) as caught:
            read()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_run_is_told(tmp_path, bad):
    values = np.array([[1.0, bad], [0.0, 1.0]], dtype=np.float32)
    write_outputs(tmp_path, "val", np.arange(2), np.arange(2), values, values)
    run = RunData({}, tmp_path)
    with pytest.raises(UserError, match="diverged"):
        run.logits("val")
    with pytest.raises(UserError, match="diverged"):
        list(run.features("val"))
