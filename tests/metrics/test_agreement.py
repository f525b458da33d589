import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.metrics import accuracy_score

from lskd.errors import UserError
from lskd.metrics.agreement import kl_divergence, measure, top1_agreement
from lskd.metrics.inputs import RunData
from tests.metrics.made import drawn, quick, study


def test_agreement_and_kl_are_scikit_learns_scipys_and_torchs():
    teacher_nk, student_nk = drawn(1, 100, 6)[1], drawn(2, 100, 6)[1]
    agreed = accuracy_score(teacher_nk.argmax(1), student_nk.argmax(1))
    assert top1_agreement(teacher_nk, student_nk) == pytest.approx(agreed, abs=1e-12)
    found = kl_divergence(teacher_nk, student_nk)
    assert found == pytest.approx(entropy(softmax(teacher_nk, 1), softmax(student_nk, 1), axis=1).mean(), abs=1e-9)
    logs = [F.log_softmax(torch.from_numpy(z), 1) for z in (student_nk, teacher_nk)]
    assert found == pytest.approx(float(F.kl_div(*logs, reduction="batchmean", log_target=True)), abs=1e-9)


def test_confident_disagreement_stays_finite():
    assert kl_divergence(np.array([[1e3, 0.0]]), np.array([[0.0, 1e3]])) == pytest.approx(1e3)


@quick
@given(st.integers(0, 2**32 - 1))
def test_order_names_and_shift_do_not_matter(seed):
    teacher_nk, student_nk = drawn(seed, 30, 5)[1], drawn(seed + 1, 30, 5)[1]
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(30), draw.permutation(5)
    for measured in (top1_agreement, kl_divergence):
        expected = pytest.approx(measured(teacher_nk, student_nk), abs=1e-9)
        assert measured(teacher_nk[order], student_nk[order]) == expected
        assert measured(teacher_nk[:, names], student_nk[:, names]) == expected
        assert measured(teacher_nk + draw.normal(size=(30, 1)), student_nk + draw.normal(size=(30, 1))) == expected
    assert kl_divergence(teacher_nk, student_nk) >= 0
    assert kl_divergence(teacher_nk, teacher_nk) == 0


def test_measure_compares_students_alone(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs, {})
    students = [run for run in runs if run.teacher]
    assert len(rows) == len(students) * 2 * 2
    first = {row["metric"]: row["value"] for row in rows[:2]}
    teacher_nk, student_nk = students[0].teacher.logits("val")[1], students[0].logits("val")[1]
    assert first["agreement_top1"] == top1_agreement(teacher_nk, student_nk)
    assert first["kl_teacher_student"] == kl_divergence(teacher_nk, student_nk)


def test_other_images_are_told(tmp_path):
    student = next(run for run in study(tmp_path) if run.teacher)
    stranger = study(tmp_path / "other", each=11)[0]
    with pytest.raises(UserError, match="not those of its teacher"):
        measure([RunData(student.row, student.folders, stranger)], {})
