"""The field's losses of students against NumPy, written from the papers' formulas, and the identities that tie them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr, softmax

from lskd.supervision import dist, dkd, nkd, standardized_kd, wsld, wttm
from lskd.supervision.kd import loss as kd
from tests.supervision.test_losses import batch

SEEDS = st.integers(0, 2**31)
DEGREES = st.floats(0.5, 32)
SHAPES = {"n": st.integers(1, 7), "k": st.integers(2, 9)}


def arrays(seed, n, k):
    """The same as tensors and as arrays: student's and teacher's logits, labels."""
    tensors = batch(seed, n, k)
    return tensors, [tensor.numpy() for tensor in tensors]


def hard(student_nk, labels_n) -> float:
    return -log_softmax(student_nk, 1)[np.arange(len(labels_n)), labels_n].mean()


@given(SEEDS, DEGREES, st.floats(0, 4), st.floats(0, 8), *SHAPES.values())
def test_dkd_is_zhaos_equation_7(seed, t, alpha, beta, n, k):
    (student, teacher, labels), (student_nk, teacher_nk, labels_n) = arrays(seed, n, k)
    rows = []
    for z_s, z_t, y in zip(student_nk / t, teacher_nk / t, labels_n, strict=True):
        p_s, p_t = softmax(z_s), softmax(z_t)
        b_s, b_t = [p_s[y], np.delete(p_s, y).sum()], [p_t[y], np.delete(p_t, y).sum()]
        others_s, others_t = np.delete(p_s, y) / b_s[1], np.delete(p_t, y) / b_t[1]
        rows.append(alpha * rel_entr(b_t, b_s).sum() + beta * rel_entr(others_t, others_s).sum())
    expected = 0.3 * hard(student_nk, labels_n) + t**2 * np.mean(rows)
    options = {"target_weight": alpha, "nontarget_weight": beta, "ce_weight": 0.3}
    assert dkd.loss(student, labels, teacher, temperature=t, **options).item() == pytest.approx(expected, rel=1e-8)


@given(SEEDS, DEGREES, st.integers(2, 9))
def test_dkd_weighted_by_what_the_teacher_leaves_to_the_others_is_kd(seed, t, k):
    student, teacher, labels = batch(seed, 1, k)
    left = 1 - (teacher / t).softmax(1)[0, labels[0]].item()
    value = dkd.loss(student, labels, teacher, temperature=t, nontarget_weight=left, ce_weight=0.0).item()
    assert value == pytest.approx(kd(student, labels, teacher, temperature=t).item(), rel=1e-7, abs=1e-12)


@given(SEEDS, DEGREES, st.integers(2, 7), st.integers(3, 9))
def test_dist_is_one_less_numpys_correlation(seed, t, n, k):
    (student, teacher, labels), (student_nk, teacher_nk, labels_n) = arrays(seed, n, k)
    p_s, p_t = softmax(student_nk / t, 1), softmax(teacher_nk / t, 1)
    inter = np.mean([1 - np.corrcoef(p_s[i], p_t[i])[0, 1] for i in range(n)])
    intra = np.mean([1 - np.corrcoef(p_s[:, j], p_t[:, j])[0, 1] for j in range(k)])
    expected = hard(student_nk, labels_n) + t**2 * (2 * inter + 3 * intra)
    value = dist.loss(student, labels, teacher, temperature=t, inter_weight=2.0, intra_weight=3.0).item()
    assert value == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_dist_asks_for_no_match_but_for_the_same_relations():
    """A student whose predictions are its teacher's half way to uniform has nothing to learn (Huang 2022)."""
    _, teacher, labels = batch()
    student = (teacher.softmax(1) / 2 + 0.1).log()
    loss = {"targets": labels, "teacher_logits_nk": teacher, "temperature": 1.0}
    assert dist.loss(student, **loss, ce_weight=0.0).item() == pytest.approx(0, abs=1e-12)
    assert kd(student, **loss).item() > 0.1


def test_a_batch_of_one_has_no_correlation_over_samples():
    student, teacher, labels = batch(n=1)
    student.requires_grad_()
    value = dist.loss(student, labels, teacher, temperature=1.0, inter_weight=0.0, ce_weight=0.0)
    value.backward()
    assert value.item() == 1 and not student.grad.abs().max()


@given(SEEDS, DEGREES, st.floats(0, 4), *SHAPES.values())
def test_nkd_is_yangs_formula(seed, t, gamma, n, k):
    (student, teacher, labels), (student_nk, teacher_nk, labels_n) = arrays(seed, n, k)
    rows = []
    for z_s, z_t, y in zip(student_nk, teacher_nk, labels_n, strict=True):
        s, others_s, others_t = softmax(z_s), np.delete(softmax(z_s / t), y), np.delete(softmax(z_t / t), y)
        others_s, others_t = others_s / others_s.sum(), others_t / others_t.sum()
        rows.append(-softmax(z_t)[y] * np.log(s[y]) - gamma * t**2 * (others_t * np.log(others_s)).sum())
    expected = hard(student_nk, labels_n) + np.mean(rows)
    value = nkd.loss(student, labels, teacher, temperature=t, others_weight=gamma).item()
    assert value == pytest.approx(expected, rel=1e-8)


@given(SEEDS, DEGREES, *SHAPES.values())
def test_wsld_is_zhous_formula(seed, t, n, k):
    (student, teacher, labels), (student_nk, teacher_nk, labels_n) = arrays(seed, n, k)
    rows = []
    for z_s, z_t, y in zip(student_nk, teacher_nk, labels_n, strict=True):
        weight = 1 - np.exp(-log_softmax(z_s)[y] / (log_softmax(z_t)[y] - 1e-7))
        rows.append(weight * -(softmax(z_t / t) * log_softmax(z_s / t)).sum())
    expected = hard(student_nk, labels_n) + 2.5 * t**2 * np.mean(rows)
    value = wsld.loss(student, labels, teacher, temperature=t, kd_weight=2.5).item()
    assert value == pytest.approx(expected, rel=1e-8)


def test_the_weights_of_wsld_are_given_no_gradient_and_lie_between_0_and_1():
    student, teacher, labels = batch()
    student.requires_grad_()
    wsld.loss(student, labels, teacher, temperature=2.0, ce_weight=0.0).backward()
    gap_nk = (student / 2).softmax(1) - (teacher / 2).softmax(1)
    far_n, teacher_far_n = (F.cross_entropy(z_nk, labels, reduction="none") for z_nk in (student, teacher))
    weight_n = 1 - (-far_n / teacher_far_n).exp()
    assert torch.allclose(student.grad, 2 * weight_n[:, None] * gap_nk / len(labels), rtol=1e-5)
    sure = torch.tensor([[50.0, 0.0], [0.0, 0.0]], dtype=torch.float64)  # a student far nearer the label, and far off
    value = wsld.loss(sure, torch.tensor([0, 0]), sure.flip(0), temperature=1.0, ce_weight=0.0).item()
    assert value == pytest.approx((0 + 1 * np.log(2)) / 2, abs=1e-9)


@given(SEEDS, DEGREES, st.booleans(), *SHAPES.values())
def test_wttm_is_zheng_and_yangs_formula(seed, t, weighted, n, k):
    (student, teacher, labels), (student_nk, teacher_nk, labels_n) = arrays(seed, n, k)
    rows = []
    for z_s, z_t in zip(student_nk, teacher_nk, strict=True):
        powers = softmax(z_t) ** (1 / t)
        norm = powers.sum()
        rows.append((norm if weighted else 1) * rel_entr(powers / norm, softmax(z_s)).sum())
    expected = hard(student_nk, labels_n) + 4 * np.mean(rows)
    value = wttm.loss(student, labels, teacher, temperature=t, kd_weight=4.0, weighted=weighted).item()
    assert value == pytest.approx(expected, rel=1e-8)


@given(SEEDS, DEGREES)
def test_ttm_is_kd_with_an_unsoftened_student(seed, t):
    student, teacher, labels = batch(seed)
    value = wttm.loss(student, labels, teacher, temperature=t, weighted=False, ce_weight=0.0).item()
    plain = kd(student, labels, teacher, temperature=t, soften_student=False, t_squared=False).item()
    assert value == pytest.approx(plain, rel=1e-9)
    at_1 = wttm.loss(student, labels, teacher, temperature=1.0, ce_weight=0.0).item()
    assert at_1 == pytest.approx(kd(student, labels, teacher, temperature=1.0).item(), rel=1e-9)


@given(SEEDS, st.floats(1.2, 16))
def test_ttm_is_t_times_kd_less_a_renyi_entropy(seed, t):
    """T KL(p_t^T || q_s^T) - (1 - T) H_{1/T}(q), plus what the teacher alone decides (Zheng & Yang 2024, section 3)."""
    student, teacher, labels = batch(seed)
    p_nk, q_nk, gamma = softmax(teacher.numpy() / t, 1), softmax(student.numpy(), 1), 1 / t
    renyi = np.log((q_nk**gamma).sum(1)) / (1 - gamma)
    entropy = -(p_nk * np.log(p_nk)).sum(1)
    softened = kd(student, labels, teacher, temperature=t, t_squared=False).item()
    expected = t * softened + ((t - 1) * entropy - t * (1 - gamma) * renyi).mean()
    value = wttm.loss(student, labels, teacher, temperature=t, weighted=False, ce_weight=0.0).item()
    assert value == pytest.approx(expected, rel=1e-8)


@given(SEEDS, DEGREES, *SHAPES.values())
def test_standardised_kd_is_kd_of_z_scores(seed, t, n, k):
    (student, teacher, labels), (student_nk, teacher_nk, labels_n) = arrays(seed, n, k)
    z_s, z_t = ((z - z.mean(1, keepdims=True)) / z.std(1, keepdims=True) / t for z in (student_nk, teacher_nk))
    soft = t**2 * rel_entr(softmax(z_t, 1), softmax(z_s, 1)).sum(1).mean()
    expected = 0.1 * hard(student_nk, labels_n) + 9 * soft
    value = standardized_kd.loss(student, labels, teacher, temperature=t, ce_weight=0.1, kd_weight=9.0).item()
    assert value == pytest.approx(expected, rel=1e-6)


@given(SEEDS, st.floats(0.01, 100), st.floats(-9, 9))
def test_standardised_kd_knows_neither_size_nor_shift_of_logits(seed, scale, shift):
    student, teacher, labels = batch(seed)
    before, after = (
        standardized_kd.loss(z_nk, labels, teacher, temperature=2.0, ce_weight=0.0).item()
        for z_nk in (student, scale * student + shift)
    )
    assert after == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("module", [dkd, dist, nkd, wsld, wttm, standardized_kd])
@pytest.mark.parametrize("student", [torch.zeros(2, 3), torch.tensor([[6e4, -6e4, 0.0], [-6e4, 6e4, 6e4]])])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_equal_and_extreme_logits_have_finite_gradients(module, student, dtype):
    teacher = torch.tensor([[-6e4, 6e4, 0.0], [0.0, 0.0, 0.0]], dtype=dtype)
    student = student.to(dtype).requires_grad_()
    loss = module.loss(student, torch.tensor([0, 1]), teacher, temperature=0.5)
    loss.backward()
    assert loss.isfinite() and loss.dtype == torch.float32
    assert student.grad.isfinite().all()


@given(SEEDS, DEGREES, DEGREES)
def test_a_teacher_at_a_temperature_of_its_own_is_one_of_other_logits(seed, t, own):
    student, teacher, labels = batch(seed)
    value = kd(student, labels, teacher, temperature=t, teacher_temperature=own).item()
    assert value == pytest.approx(kd(student, labels, teacher * t / own, temperature=t).item(), rel=1e-8, abs=1e-12)
    assert kd(student, labels, teacher, temperature=t, teacher_temperature=t) == kd(
        student, labels, teacher, temperature=t
    )
