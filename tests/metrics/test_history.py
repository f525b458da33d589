import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from lskd.errors import UserError
from lskd.metrics.history import measure
from lskd.metrics.inputs import RunData
from lskd.supervision import kd
from tests.metrics.made import folder, sealed, study


def test_each_column_becomes_rows(tmp_path):
    path = folder(tmp_path, "runs", "a")
    rows = [{"epoch": 0, "step": 4, "train_loss": 2.5}, {"epoch": 1, "step": 8, "train_loss": 1.5}]
    (path / "history.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert measure([RunData({"run": "a"}, {"train": sealed(path)})], {}) == [
        {"run": "a", "epoch": 0, "metric": "step", "value": 4.0},
        {"run": "a", "epoch": 1, "metric": "step", "value": 8.0},
        {"run": "a", "epoch": 0, "metric": "train_loss", "value": 2.5},
        {"run": "a", "epoch": 1, "metric": "train_loss", "value": 1.5},
    ]


@pytest.mark.parametrize(
    ("variant", "is_plain"),
    [("", True), ("online", True), ("draws5-float16", True), ("noT2", False), ("mean-float16", False), ("dkd", False)],
)
def test_the_cross_entropy_of_plain_distillation_has_the_teachers_entropy(tmp_path, variant, is_plain):
    student = next(run for run in study(tmp_path, ts=(3.0,)) if run.teacher)
    path = folder(tmp_path, "runs", "a")
    (path / "history.jsonl").write_text('{"epoch": 1, "train_loss": 2.5}\n{"epoch": 2, "train_loss": 1.5}\n')
    row = student.row | {"variant": variant, "soft_weight": 0.7}
    rows = measure([replace(student, row=row, folders={"train": sealed(path)})], {})
    cross_entropies = {row["epoch"]: row["value"] for row in rows if row["metric"] == "train_cross_entropy"}
    _, logits_nk = student.teacher.logits("train")
    more = 0.7 * 9 * entropy(softmax(logits_nk / 3, axis=1), axis=1).mean()
    assert cross_entropies == (pytest.approx({1: 2.5 + more, 2: 1.5 + more}) if is_plain else {})


def test_plain_distillations_loss_and_the_entropy_are_a_cross_entropy(tmp_path):
    """The identity that the curves rest on, with the loss that trains."""
    teacher_nk, student_nk = np.random.default_rng(1).normal(size=(2, 40, 5))
    labels_n = torch.zeros(40, dtype=torch.int64)
    loss = kd.loss(
        torch.from_numpy(student_nk), labels_n, torch.from_numpy(teacher_nk), temperature=3.0, soft_weight=1.0
    )
    p_nk, log_q_nk = softmax(teacher_nk / 3, axis=1), log_softmax(student_nk / 3, axis=1)
    assert loss.item() + 9 * entropy(p_nk, axis=1).mean() == pytest.approx(-9 * (p_nk * log_q_nk).sum(1).mean())


def test_a_missing_or_damaged_file_is_told(tmp_path):
    path = folder(tmp_path, "runs", "a")
    (path / "history.jsonl").write_text('{"epoch": 1, "step": 4}\n')
    run = RunData({"run": "a"}, {"train": sealed(path)})
    (path / "history.jsonl").write_text('{"epoch": 1, "step": 5}\n')
    with pytest.raises(UserError, match=r"history\.jsonl: damaged"):
        measure([run], {})
    (path / "history.jsonl").unlink()
    with pytest.raises(UserError, match=r"history\.jsonl: cannot be read"):
        measure([run], {})
