"""Tf-KD_reg against loops over the formulas and the published code, and the label smoothing that each form is."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lskd.supervision import labels, tf_kd_reg
from tests.supervision.test_losses import SEEDS, batch

PROBABILITIES = st.floats(0.02, 0.999)
DEGREES = st.sampled_from([0.5, 1.0, 3.0, 20.0, 40.0])


def softened(p_k: list[float], temperature: float) -> list[float]:
    """Probabilities to the power 1/T, made to sum to 1."""
    powers = [p ** (1 / temperature) for p in p_k]
    return [power / math.fsum(powers) for power in powers]


def softmax(z_k: list[float]) -> list[float]:
    """By its definition; logits here are small."""
    powers = [math.exp(z) for z in z_k]
    return [power / math.fsum(powers) for power in powers]


def designed(classes: int, label: int, a: float) -> list[float]:
    """Equation S.4."""
    return [a if k == label else (1 - a) / (classes - 1) for k in range(classes)]


def divergence(p_k: list[float], q_k: list[float]) -> float:
    return math.fsum(p * math.log(p / q) for p, q in zip(p_k, q_k, strict=True))


@given(SEEDS, st.integers(2, 9), DEGREES, st.floats(0, 1), PROBABILITIES, st.floats(0, 100))
def test_the_form_of_the_text_is_equation_s5(seed, k, temperature, w, a, m):
    logits_nk, _, labels_n = batch(seed, k=k)
    rows = []
    for z_k, label in zip(logits_nk.tolist(), labels_n.tolist(), strict=True):
        student_k = softmax([z / temperature for z in z_k])
        soft = divergence(softened(designed(k, label, a), temperature), student_k)
        rows.append((1 - w) * -math.log(softmax(z_k)[label]) + w * m * soft)
    options = {"temperature": temperature, "soft_weight": w, "label_probability": a, "multiplier": m}
    assert tf_kd_reg.loss(logits_nk, labels_n, **options).item() == pytest.approx(np.mean(rows), rel=1e-8, abs=1e-12)


@given(SEEDS, st.integers(2, 9), DEGREES, st.floats(0, 1), PROBABILITIES, st.floats(0, 100))
def test_the_form_of_the_code_is_the_published_programs(seed, k, temperature, w, a, m):
    """Softmax of probabilities, a student at T = 1, and torch's KLDivLoss by default, over batch and classes."""
    logits_nk, _, labels_n = batch(seed, k=k)
    p_nk = torch.tensor([softmax([p / temperature for p in designed(k, y, a)]) for y in labels_n], dtype=torch.float64)
    soft = torch.nn.KLDivLoss(reduction="mean")(F.log_softmax(logits_nk, dim=1), p_nk)
    expected = (1 - w) * F.cross_entropy(logits_nk, labels_n) + w * m * soft
    options = {"temperature": temperature, "soft_weight": w, "label_probability": a, "multiplier": m, "form": "code"}
    value = tf_kd_reg.loss(logits_nk, labels_n, **options).item()
    assert value == pytest.approx(expected.item(), rel=1e-8, abs=1e-12)


def entropy(p_k: list[float]) -> float:
    return -math.fsum(p * math.log(p) for p in p_k)


@given(SEEDS, st.integers(2, 9), DEGREES, PROBABILITIES)
def test_the_virtual_teachers_term_of_the_text_is_label_smoothing_less_a_constant(seed, k, temperature, a):
    """Of the logits at T, onto the others, alpha the virtual teacher's softened doubt."""
    logits_nk, _, labels_n = batch(seed, k=k)
    p_k = softened(designed(k, 0, a), temperature)
    smooth = labels.loss(logits_nk / temperature, labels_n, label_smoothing=math.fsum(p_k[1:]), smoothing="others")
    value = tf_kd_reg.loss(logits_nk, labels_n, temperature=temperature, label_probability=a).item()
    assert value == pytest.approx(smooth.item() - entropy(p_k), rel=1e-8, abs=1e-12)


@given(SEEDS, st.integers(2, 9), st.floats(0, 1), PROBABILITIES)
def test_at_t_1_the_text_is_label_smoothing_of_w_times_the_doubt(seed, k, w, a):
    logits_nk, _, labels_n = batch(seed, k=k)
    smooth = labels.loss(logits_nk, labels_n, label_smoothing=w * (1 - a), smoothing="others").item()
    value = tf_kd_reg.loss(logits_nk, labels_n, temperature=1.0, soft_weight=w, label_probability=a).item()
    assert value == pytest.approx(smooth - w * entropy(designed(k, 0, a)), rel=1e-8, abs=1e-12)


@given(SEEDS, st.integers(2, 9), DEGREES, st.floats(0.01, 0.99), PROBABILITIES, st.floats(0.1, 100))
def test_the_code_is_label_smoothing_at_another_learning_rate(seed, k, temperature, w, a, m):
    logits_nk, _, labels_n = batch(seed, k=k)
    doubt = math.fsum(softmax([p / temperature for p in designed(k, 0, a)])[1:])
    scale = 1 - w + w * m / k
    options = {"temperature": temperature, "soft_weight": w, "label_probability": a, "multiplier": m, "form": "code"}
    gradients = []
    for factor, loss, arguments in (
        (1.0, tf_kd_reg.loss, options),
        (scale, labels.loss, {"label_smoothing": w * m * doubt / (k * scale), "smoothing": "others"}),
    ):
        leaf_nk = logits_nk.clone().requires_grad_()
        (factor * loss(leaf_nk, labels_n, **arguments)).backward()
        gradients.append(leaf_nk.grad)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_the_papers_resnet18_on_cifar100_smooths_by_a_tenth():
    """Their code: T 20, w 0.1, multiplier 100, 100 classes: 0.0989 onto the others, at the learning rate it says."""
    on_label, on_other = tf_kd_reg.virtual_teacher(100, 20.0, 0.99, "code")
    assert 99 * on_other == pytest.approx(1 - on_label)
    assert 0.1 * 100 * 99 * on_other / 100 == pytest.approx(0.09895, abs=5e-6)


@pytest.mark.parametrize("a", [1e-9, 1 - 1e-9])
@pytest.mark.parametrize("temperature", [1e-4, 1e4])
@pytest.mark.parametrize("form", ["text", "code"])
def test_extreme_virtual_teachers_give_finite_losses(a, temperature, form):
    logits_nk, _, labels_n = batch()
    options = {"temperature": temperature, "label_probability": a, "form": form}
    assert tf_kd_reg.loss(logits_nk, labels_n, **options).isfinite()
    on_label, on_other = tf_kd_reg.virtual_teacher(5, temperature, a, form)
    assert on_label + 4 * on_other == pytest.approx(1)
