"""The losses against torch, scipy, brute force, closed forms and their invariants."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr, softmax

from lskd.supervision.losses import cross_entropy, kd, logit_mse, smoothed_cross_entropy

SEEDS = st.integers(0, 2**31)
TEMPERATURES = [0.5, 1.0, 2.0, 3.0, 16.0, 64.0]


def batch(seed: int = 0, n: int = 6, k: int = 5, scale: float = 3.0, dtype: torch.dtype = torch.float64):
    """Student's logits, teacher's logits and labels."""
    draw = torch.Generator().manual_seed(seed)
    student_nk, teacher_nk = torch.randn(2, n, k, generator=draw, dtype=torch.float64) * scale
    return student_nk.to(dtype), teacher_nk.to(dtype), torch.randint(k, (n,), generator=draw)


def all_losses(student_nk, teacher_nk, labels_n):
    """A value of every loss, by name."""
    return {
        "cross_entropy": cross_entropy(student_nk, labels_n),
        "uniform": smoothed_cross_entropy(student_nk, labels_n, 0.1),
        "others": smoothed_cross_entropy(student_nk, labels_n, 0.1, "others"),
        "kd": kd(student_nk, teacher_nk, labels_n, temperature=4.0, soft_weight=0.7),
        "kd, student unsoftened": kd(student_nk, teacher_nk, labels_n, temperature=4.0, soften_student=False),
        "logit_mse": logit_mse(student_nk, teacher_nk, labels_n, soft_weight=0.6),
    }


NAMES = sorted(all_losses(*batch()))


def loop_cross_entropy(logits_nk: np.ndarray, q_nk: np.ndarray) -> float:
    """The mean over rows of -sum_k q_k log p_k, one term at a time."""
    total = 0.0
    for z_k, q_k in zip(logits_nk.tolist(), q_nk.tolist(), strict=True):
        norm = math.log(math.fsum(math.exp(z) for z in z_k))
        total -= math.fsum(q * (z - norm) for z, q in zip(z_k, q_k, strict=True))
    return total / len(logits_nk)


@given(SEEDS, st.integers(1, 9), st.integers(2, 9))
def test_cross_entropy_is_a_plain_loop(seed, n, k):
    logits_nk, _, labels_n = batch(seed, n, k)
    expected = loop_cross_entropy(logits_nk.numpy(), np.eye(k)[labels_n.numpy()])
    assert cross_entropy(logits_nk, labels_n).item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(SEEDS, st.integers(2, 9), st.floats(0, 0.99))
def test_uniform_smoothing_is_torchs(seed, k, alpha):
    logits_nk, _, labels_n = batch(seed, k=k)
    expected = F.cross_entropy(logits_nk, labels_n, label_smoothing=alpha)
    assert smoothed_cross_entropy(logits_nk, labels_n, alpha).item() == pytest.approx(expected.item(), rel=1e-10)


@given(SEEDS, st.integers(2, 9), st.floats(0, 0.99))
def test_smoothing_of_the_others_is_shens_equation_1(seed, k, alpha):
    logits_nk, _, labels_n = batch(seed, k=k)
    q_nk = np.full((len(labels_n), k), alpha / (k - 1))
    q_nk[np.arange(len(labels_n)), labels_n] = 1 - alpha
    found = smoothed_cross_entropy(logits_nk, labels_n, alpha, "others").item()
    assert found == pytest.approx(loop_cross_entropy(logits_nk.numpy(), q_nk), rel=1e-10)


@given(SEEDS, st.integers(2, 9), st.floats(0, 0.9))
def test_the_two_forms_differ_by_k_over_k_minus_1(seed, k, alpha):
    logits_nk, _, labels_n = batch(seed, k=k)
    others = smoothed_cross_entropy(logits_nk, labels_n, alpha * (k - 1) / k, "others")
    assert smoothed_cross_entropy(logits_nk, labels_n, alpha, "uniform").item() == pytest.approx(others.item())


@pytest.mark.parametrize("form", ["uniform", "others"])
def test_no_smoothing_is_cross_entropy(form):
    logits_nk, _, labels_n = batch()
    found = smoothed_cross_entropy(logits_nk, labels_n, 0.0, form)
    assert found.item() == pytest.approx(cross_entropy(logits_nk, labels_n).item(), rel=1e-14)


def scipy_kd(student_nk, teacher_nk, labels_n, temperature, w, t_squared, soften, reduction) -> float:
    p_nk, q_nk = softmax(teacher_nk / temperature, 1), softmax(student_nk / (temperature if soften else 1), 1)
    kl_nk = rel_entr(p_nk, q_nk)
    soft = kl_nk.mean() if reduction == "mean" else kl_nk.sum(1).mean()
    hard = -log_softmax(student_nk, 1)[np.arange(len(labels_n)), labels_n].mean()
    return (1 - w) * hard + w * soft * (temperature**2 if t_squared else 1)


@pytest.mark.parametrize("reduction", ["batchmean", "mean"])
@pytest.mark.parametrize("soften", [True, False])
@pytest.mark.parametrize("t_squared", [True, False])
@pytest.mark.parametrize("w", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_kd_is_scipys(temperature, w, t_squared, soften, reduction):
    student_nk, teacher_nk, labels_n = batch(n=7, k=4)
    options = {"soft_weight": w, "t_squared": t_squared, "soften_student": soften, "reduction": reduction}
    found = kd(student_nk, teacher_nk, labels_n, temperature=temperature, **options).item()
    arrays = (tensor.numpy() for tensor in (student_nk, teacher_nk, labels_n))
    assert found == pytest.approx(scipy_kd(*arrays, temperature, w, t_squared, soften, reduction), rel=1e-9)


def test_defaults_are_hintons_soft_term():
    student_nk, teacher_nk, labels_n = batch()
    arrays = (tensor.numpy() for tensor in (student_nk, teacher_nk, labels_n))
    expected = scipy_kd(*arrays, 3.0, 1.0, True, True, "batchmean")
    assert kd(student_nk, teacher_nk, labels_n, temperature=3.0).item() == pytest.approx(expected)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_kd_of_equal_logits_is_zero_with_no_gradient(temperature):
    teacher_nk, _, labels_n = batch(dtype=torch.float32)
    student_nk = (teacher_nk + 1.5).requires_grad_()
    loss = kd(student_nk, teacher_nk, labels_n, temperature=temperature)
    loss.backward()
    assert abs(loss.item()) < 1e-6 and student_nk.grad.abs().max() < 1e-5


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("soften", [True, False])
def test_gradient_of_kd_is_student_minus_teacher(temperature, soften):
    student_nk, teacher_nk, labels_n = batch()
    student_nk.requires_grad_()
    kd(student_nk, teacher_nk, labels_n, temperature=temperature, soften_student=soften).backward()
    other = temperature if soften else 1
    gap_nk = (student_nk / other).softmax(1) - (teacher_nk / temperature).softmax(1)
    expected_nk = temperature**2 / other * gap_nk / len(labels_n)
    assert torch.allclose(student_nk.grad, expected_nk, rtol=1e-8, atol=1e-12)


def test_gradient_of_cross_entropy_is_p_minus_q():
    logits_nk, _, labels_n = batch()
    logits_nk.requires_grad_()
    smoothed_cross_entropy(logits_nk, labels_n, 0.2).backward()
    q_nk = 0.8 * F.one_hot(labels_n, 5) + 0.2 / 5
    assert torch.allclose(logits_nk.grad, (logits_nk.softmax(1) - q_nk) / len(labels_n))


def test_kd_at_high_temperature_is_logit_matching():
    """T^2 KL K -> half the squared difference of centred logits (Hinton 2015, section 2.1)."""
    student_nk, teacher_nk, labels_n = batch()
    student_nk, teacher_nk = (z_nk - z_nk.mean(1, keepdim=True) for z_nk in (student_nk, teacher_nk))
    limit = logit_mse(student_nk, teacher_nk, labels_n).item()
    gaps = [abs(kd(student_nk, teacher_nk, labels_n, temperature=t).item() * 5 - limit) for t in (1e2, 1e3, 1e4)]
    assert gaps[2] < 1e-3 * limit and gaps[0] > 5 * gaps[1] > 25 * gaps[2]


@given(SEEDS, st.floats(0, 1))
def test_logit_mse_is_a_plain_loop(seed, w):
    student_nk, teacher_nk, labels_n = batch(seed)
    halves = [
        sum((s - t) ** 2 for s, t in zip(s_k, t_k, strict=True)) / 2
        for s_k, t_k in zip(student_nk.tolist(), teacher_nk.tolist(), strict=True)
    ]
    hard = loop_cross_entropy(student_nk.numpy(), np.eye(5)[labels_n.numpy()])
    expected = (1 - w) * hard + w * sum(halves) / len(halves)
    found = logit_mse(student_nk, teacher_nk, labels_n, soft_weight=w).item()
    assert found == pytest.approx(expected, rel=1e-10)


@given(SEEDS, st.floats(-50, 50), st.floats(-50, 50))
def test_shift_of_logits_changes_nothing(seed, a, b):
    student_nk, teacher_nk, labels_n = batch(seed)
    before, after = all_losses(student_nk, teacher_nk, labels_n), all_losses(student_nk + a, teacher_nk + b, labels_n)
    for name in set(NAMES) - {"logit_mse"}:
        assert after[name].item() == pytest.approx(before[name].item(), rel=1e-9, abs=1e-11), name


@given(SEEDS, st.permutations(range(5)), st.permutations(range(6)))
def test_order_of_classes_and_samples_changes_nothing(seed, classes, samples):
    student_nk, teacher_nk, labels_n = batch(seed)
    moved_n = torch.tensor(classes).argsort()[labels_n]
    before = all_losses(student_nk, teacher_nk, labels_n)
    after = all_losses(student_nk[samples][:, classes], teacher_nk[samples][:, classes], moved_n[samples])
    for name in NAMES:
        assert after[name].item() == pytest.approx(before[name].item(), rel=1e-12), name


@given(SEEDS, st.floats(0.5, 64))
def test_kd_is_never_negative(seed, temperature):
    student_nk, teacher_nk, labels_n = batch(seed, dtype=torch.float32)
    assert kd(student_nk, teacher_nk, labels_n, temperature=temperature).item() >= 0


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name):
    student_nk, teacher_nk, labels_n = batch(n=3, k=4)
    assert torch.autograd.gradcheck(
        lambda z_nk: all_losses(z_nk, teacher_nk, labels_n)[name], student_nk.requires_grad_()
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_dtype_is_computed_in_float32_at_least(name, autocast, dtype):
    student_nk, teacher_nk, labels_n = batch(dtype=dtype)
    student_nk.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = all_losses(student_nk, teacher_nk, labels_n)[name]
    found.backward()
    exact = all_losses(student_nk.detach().double(), teacher_nk.double(), labels_n)[name].item()
    assert found.shape == () and found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert found.item() == pytest.approx(exact, rel=1e-6)
    assert student_nk.grad.dtype == dtype and student_nk.grad.isfinite().all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 5.0])
@pytest.mark.parametrize("temperature", [0.5, 64.0])
def test_kd_keeps_its_digits_where_the_rows_are_nearly_uniform(temperature, scale):
    student_nk, teacher_nk, labels_n = batch(n=64, k=1000, scale=scale, dtype=torch.float32)
    exact_nk = student_nk.double().requires_grad_()
    exact = kd(exact_nk, teacher_nk.double(), labels_n, temperature=temperature)
    exact.backward()
    found = kd(student_nk.requires_grad_(), teacher_nk, labels_n, temperature=temperature)
    found.backward()
    assert found.item() == pytest.approx(exact.item(), rel=1e-6)
    assert (student_nk.grad - exact_nk.grad).norm() < 1e-6 * exact_nk.grad.norm()


@pytest.mark.parametrize("name", NAMES)
def test_extreme_logits_stay_finite(name):
    student_nk = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 1e4]], requires_grad=True)
    teacher_nk = torch.tensor([[-1e4, 1e4, 0.0], [1e4, 0.0, 0.0]])
    loss = all_losses(student_nk, teacher_nk, torch.tensor([1, 0]))[name]
    loss.backward()
    assert loss.isfinite() and student_nk.grad.isfinite().all()


def test_names_of_no_variant_are_refused():
    student_nk, teacher_nk, labels_n = batch()
    with pytest.raises(KeyError):
        smoothed_cross_entropy(student_nk, labels_n, 0.1, "other")
    with pytest.raises(KeyError):
        kd(student_nk, teacher_nk, labels_n, temperature=1.0, reduction="none")
