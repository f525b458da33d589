"""The losses against torch, scipy, brute force, closed forms and their invariants."""

import inspect
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr, softmax

from lskd.study import registry
from lskd.study.options import REQUIRED
from lskd.supervision import (
    dist,
    dkd,
    labels,
    logit_mse,
    maxsup,
    nkd,
    online_smoothing,
    squared_error,
    standardized_kd,
    tf_kd_reg,
    wsld,
    wttm,
)
from lskd.supervision import kd as distillation
from lskd.supervision.kd import loss as kd

SEEDS = st.integers(0, 2**31)
TEMPERATURES = [0.5, 1.0, 2.0, 3.0, 16.0, 64.0]


def batch(seed: int = 0, n: int = 6, k: int = 5, scale: float = 3.0, dtype: torch.dtype = torch.float64):
    """Student's logits, teacher's logits and labels."""
    draw = torch.Generator().manual_seed(seed)
    student_nk, teacher_nk = torch.randn(2, n, k, generator=draw, dtype=torch.float64) * scale
    return student_nk.to(dtype), teacher_nk.to(dtype), torch.randint(k, (n,), generator=draw)


def cross_entropy(logits_nk, targets):
    return labels.loss(logits_nk, targets)


def smoothed(logits_nk, targets, alpha, form="uniform"):
    return labels.loss(logits_nk, targets, label_smoothing=alpha, smoothing=form)


def all_losses(student_nk, teacher_nk, targets):
    """A value of every loss, by name."""
    return {
        "cross_entropy": cross_entropy(student_nk, targets),
        "uniform": smoothed(student_nk, targets, 0.1),
        "others": smoothed(student_nk, targets, 0.1, "others"),
        "kd": kd(student_nk, targets, teacher_nk, temperature=4.0, soft_weight=0.7),
        "kd, student unsoftened": kd(student_nk, targets, teacher_nk, temperature=4.0, soften_student=False),
        "kd, smoothed": kd(student_nk, targets, teacher_nk, temperature=4.0, soft_weight=0.7, hard_smoothing=0.2),
        "kd, a T each": kd(student_nk, targets, teacher_nk, temperature=4.0, teacher_temperature=2.0),
        "logit_mse": logit_mse.loss(student_nk, targets, teacher_nk, soft_weight=0.6),
        "dkd": dkd.loss(student_nk, targets, teacher_nk, temperature=4.0),
        "dist": dist.loss(student_nk, targets, teacher_nk, temperature=4.0, intra_weight=2.0),
        "nkd": nkd.loss(student_nk, targets, teacher_nk, temperature=2.0),
        "wsld": wsld.loss(student_nk, targets, teacher_nk, temperature=2.0, kd_weight=2.5),
        "wttm": wttm.loss(student_nk, targets, teacher_nk, temperature=5.0, kd_weight=4.0),
        "ttm": wttm.loss(student_nk, targets, teacher_nk, temperature=5.0, weighted=False),
        "standardized_kd": standardized_kd.loss(student_nk, targets, teacher_nk, temperature=2.0, ce_weight=0.1),
        "tf_kd_reg": tf_kd_reg.loss(student_nk, targets, temperature=4.0, soft_weight=0.6, label_probability=0.8),
        "tf_kd_reg, code": tf_kd_reg.loss(student_nk, targets, temperature=0.5, soft_weight=0.3, form="code"),
        "maxsup": maxsup.loss(student_nk, targets, suppression=0.2),
        "squared_error": squared_error.loss(student_nk, targets, label_weight=3.0, label_value=10.0),
        "online_smoothing": online_smoothing.loss(student_nk, targets, {}, hard_weight=0.4),
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
    assert smoothed(logits_nk, labels_n, alpha).item() == pytest.approx(expected.item(), rel=1e-10)


@given(SEEDS, st.integers(2, 9), st.floats(0, 0.99))
def test_smoothing_of_the_others_is_shens_equation_1(seed, k, alpha):
    logits_nk, _, labels_n = batch(seed, k=k)
    q_nk = np.full((len(labels_n), k), alpha / (k - 1))
    q_nk[np.arange(len(labels_n)), labels_n] = 1 - alpha
    value = smoothed(logits_nk, labels_n, alpha, "others").item()
    assert value == pytest.approx(loop_cross_entropy(logits_nk.numpy(), q_nk), rel=1e-10)


@given(SEEDS, st.integers(2, 9), st.floats(0, 0.9))
def test_the_two_forms_differ_by_k_over_k_minus_1(seed, k, alpha):
    logits_nk, _, labels_n = batch(seed, k=k)
    others = smoothed(logits_nk, labels_n, alpha * (k - 1) / k, "others")
    assert smoothed(logits_nk, labels_n, alpha, "uniform").item() == pytest.approx(others.item())


@pytest.mark.parametrize("form", ["uniform", "others"])
def test_no_smoothing_is_cross_entropy(form):
    logits_nk, _, labels_n = batch()
    value = smoothed(logits_nk, labels_n, 0.0, form)
    assert value.item() == pytest.approx(cross_entropy(logits_nk, labels_n).item(), rel=1e-14)


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
    value = kd(student_nk, labels_n, teacher_nk, temperature=temperature, **options).item()
    arrays = (tensor.numpy() for tensor in (student_nk, teacher_nk, labels_n))
    assert value == pytest.approx(scipy_kd(*arrays, temperature, w, t_squared, soften, reduction), rel=1e-9)


@given(SEEDS, st.floats(0, 0.95), st.floats(0, 0.99))
def test_a_smoothed_hard_term_of_kd_is_torchs(seed, w, alpha):
    student_nk, teacher_nk, labels_n = batch(seed)
    arrays = (tensor.numpy() for tensor in (student_nk, teacher_nk, labels_n))
    soft = scipy_kd(*arrays, 3.0, 1.0, True, True, "batchmean")
    hard = F.cross_entropy(student_nk, labels_n, label_smoothing=alpha).item()
    options = {"temperature": 3.0, "soft_weight": w, "hard_smoothing": alpha}
    value = kd(student_nk, labels_n, teacher_nk, **options).item()
    assert value == pytest.approx((1 - w) * hard + w * soft, rel=1e-9)


def test_defaults_are_hintons_soft_term():
    student_nk, teacher_nk, labels_n = batch()
    arrays = (tensor.numpy() for tensor in (student_nk, teacher_nk, labels_n))
    expected = scipy_kd(*arrays, 3.0, 1.0, True, True, "batchmean")
    assert kd(student_nk, labels_n, teacher_nk, temperature=3.0).item() == pytest.approx(expected)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_kd_of_equal_logits_is_zero_with_no_gradient(temperature):
    teacher_nk, _, labels_n = batch(dtype=torch.float32)
    student_nk = (teacher_nk + 1.5).requires_grad_()
    loss = kd(student_nk, labels_n, teacher_nk, temperature=temperature)
    loss.backward()
    assert abs(loss.item()) < 1e-6 and student_nk.grad.abs().max() < 1e-5


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("soften", [True, False])
def test_gradient_of_kd_is_student_minus_teacher(temperature, soften):
    student_nk, teacher_nk, labels_n = batch()
    student_nk.requires_grad_()
    kd(student_nk, labels_n, teacher_nk, temperature=temperature, soften_student=soften).backward()
    other = temperature if soften else 1
    gap_nk = (student_nk / other).softmax(1) - (teacher_nk / temperature).softmax(1)
    expected_nk = temperature**2 / other * gap_nk / len(labels_n)
    assert torch.allclose(student_nk.grad, expected_nk, rtol=1e-8, atol=1e-12)


def test_gradient_of_cross_entropy_is_p_minus_q():
    logits_nk, _, labels_n = batch()
    logits_nk.requires_grad_()
    smoothed(logits_nk, labels_n, 0.2).backward()
    q_nk = 0.8 * F.one_hot(labels_n, 5) + 0.2 / 5
    assert torch.allclose(logits_nk.grad, (logits_nk.softmax(1) - q_nk) / len(labels_n))


def test_kd_at_high_temperature_is_logit_matching():
    """T^2 KL K -> half the squared difference of centred logits (Hinton 2015, section 2.1)."""
    student_nk, teacher_nk, labels_n = batch()
    student_nk, teacher_nk = (z_nk - z_nk.mean(1, keepdim=True) for z_nk in (student_nk, teacher_nk))
    limit = logit_mse.loss(student_nk, labels_n, teacher_nk).item()
    gaps = [abs(kd(student_nk, labels_n, teacher_nk, temperature=t).item() * 5 - limit) for t in (1e2, 1e3, 1e4)]
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
    value = logit_mse.loss(student_nk, labels_n, teacher_nk, soft_weight=w).item()
    assert value == pytest.approx(expected, rel=1e-10)


@given(SEEDS, st.floats(-50, 50), st.floats(-50, 50))
def test_shift_of_logits_changes_nothing(seed, a, b):
    student_nk, teacher_nk, labels_n = batch(seed)
    before, after = all_losses(student_nk, teacher_nk, labels_n), all_losses(student_nk + a, teacher_nk + b, labels_n)
    for name in set(NAMES) - {"logit_mse", "squared_error"}:
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
    assert kd(student_nk, labels_n, teacher_nk, temperature=temperature).item() >= 0


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"wsld"}))  # whose weights carry no gradient
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
        value = all_losses(student_nk, teacher_nk, labels_n)[name]
    value.backward()
    exact = all_losses(student_nk.detach().double(), teacher_nk.double(), labels_n)[name].item()
    assert value.shape == () and value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert value.item() == pytest.approx(exact, rel=1e-6)
    assert student_nk.grad.dtype == dtype and student_nk.grad.isfinite().all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 5.0])
@pytest.mark.parametrize("temperature", [0.5, 64.0])
def test_kd_keeps_its_digits_where_the_rows_are_nearly_uniform(temperature, scale):
    student_nk, teacher_nk, labels_n = batch(n=64, k=1000, scale=scale, dtype=torch.float32)
    exact_nk = student_nk.double().requires_grad_()
    exact = kd(exact_nk, labels_n, teacher_nk.double(), temperature=temperature)
    exact.backward()
    value = kd(student_nk.requires_grad_(), labels_n, teacher_nk, temperature=temperature)
    value.backward()
    assert value.item() == pytest.approx(exact.item(), rel=1e-6)
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
        smoothed(student_nk, labels_n, 0.1, "other")
    with pytest.raises(KeyError):
        kd(student_nk, labels_n, teacher_nk, temperature=1.0, reduction="none")
    with pytest.raises(KeyError):
        tf_kd_reg.loss(student_nk, labels_n, temperature=1.0, form="paper")


MODULES = (labels, maxsup, online_smoothing, squared_error, tf_kd_reg, logit_mse)
MODULES += (distillation, dkd, dist, nkd, wsld, wttm, standardized_kd)
WAYS = {module.__name__.rpartition(".")[2]: module for module in MODULES}


def loss_of(name, student_nk, targets, teacher_nk, **options):
    """A way's loss, called as the training does."""
    module = WAYS[name]
    above = {"teacher_logits_nk": teacher_nk} if module.NEEDS_TEACHER else {}
    above |= {"state": {}} if hasattr(module, "end_epoch") else {}
    required = {option.name: 3.0 for option in module.OPTIONS if option.default is REQUIRED}
    return module.loss(student_nk, targets, **above, **required | options)


def test_the_registry_has_these_ways():
    assert {name: f"{module.__name__}:loss" for name, module in WAYS.items()} == {
        name: way.entry
        for name, way in registry.supervisions().items()
        if registry.IMAGES in way.tasks and way.form in ("", "full")  # of listed classes: test_kd_top_k.py
    }


@pytest.mark.parametrize("name", WAYS)
def test_a_way_names_the_options_of_its_loss_with_their_defaults(name):
    parameters = inspect.signature(WAYS[name].loss).parameters
    keywords = {key: each.default for key, each in parameters.items() if each.kind is each.KEYWORD_ONLY}
    options = {option.name: option.default for option in WAYS[name].OPTIONS}
    assert set(keywords) == set(options)
    for key, default in options.items():
        assert keywords[key] is inspect.Parameter.empty if default is REQUIRED else keywords[key] == default
    assert ("teacher_logits_nk" in parameters) == WAYS[name].NEEDS_TEACHER
    assert ("state" in parameters) == hasattr(WAYS[name], "end_epoch") == bool(registry.supervisions()[name].end_epoch)


def mixed(seed: int, n: int = 6, k: int = 5):
    """Two labels of each sample, the share of the first, and the distribution of both."""
    draw = torch.Generator().manual_seed(seed)
    first_n, second_n = torch.randint(k, (2, n), generator=draw)
    share_n = torch.rand(n, generator=draw, dtype=torch.float64)
    targets_nk = share_n[:, None] * F.one_hot(first_n, k) + (1 - share_n[:, None]) * F.one_hot(second_n, k)
    return first_n, second_n, share_n, targets_nk


@given(SEEDS)
def test_one_hot_targets_are_labels(seed):
    student_nk, teacher_nk, labels_n = batch(seed)
    by_label = all_losses(student_nk, teacher_nk, labels_n)
    one_hot = all_losses(student_nk, teacher_nk, F.one_hot(labels_n, 5).double())
    for name in NAMES:
        assert one_hot[name].item() == pytest.approx(by_label[name].item(), rel=1e-12), name


@given(SEEDS)
def test_the_loss_of_mixed_targets_is_the_mixture_of_both_losses(seed):
    """Sample by sample: every loss here is linear in the targets; one of a batch's correlations has no samples."""
    names = set(NAMES) - {"dist"}
    student_nk, teacher_nk, _ = batch(seed)
    first_n, second_n, share_n, targets_nk = mixed(seed)
    both = all_losses(student_nk, teacher_nk, targets_nk)
    expected = dict.fromkeys(names, 0.0)
    for i in range(len(share_n)):
        row = slice(i, i + 1)
        of_first, of_second = (
            all_losses(student_nk[row], teacher_nk[row], each_n[row]) for each_n in (first_n, second_n)
        )
        share = share_n[i].item()
        for name in names:
            value = share * of_first[name].item() + (1 - share) * of_second[name].item()
            expected[name] += value / len(share_n)
    for name in names:
        assert both[name].item() == pytest.approx(expected[name], rel=1e-10), name


@given(SEEDS, st.floats(0, 0.99))
def test_mixed_targets_are_smoothed_as_torch_does(seed, alpha):
    logits_nk, _, _ = batch(seed)
    targets_nk = mixed(seed)[3]
    expected = F.cross_entropy(logits_nk, targets_nk, label_smoothing=alpha)
    assert smoothed(logits_nk, targets_nk, alpha).item() == pytest.approx(expected.item(), rel=1e-10)


@given(SEEDS, st.floats(0.01, 0.99))
def test_mixed_targets_smoothed_onto_the_others_are_a_plain_loop(seed, alpha):
    logits_nk, _, _ = batch(seed)
    first_n, second_n, share_n, _ = mixed(seed)
    q_nk = np.zeros((6, 5))
    for i, (first, second, share) in enumerate(zip(first_n, second_n, share_n.tolist(), strict=True)):
        for label, weight in ((first, share), (second, 1 - share)):
            for k in range(5):
                q_nk[i, k] += weight * (1 - alpha if k == label else alpha / 4)
    value = smoothed(logits_nk, mixed(seed)[3], alpha, "others").item()
    assert value == pytest.approx(loop_cross_entropy(logits_nk.numpy(), q_nk), rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", NAMES)
def test_mixed_targets_of_float32_go_with_every_dtype(name, dtype):
    """Targets are float32, whatever the precision of the forward pass."""
    student_nk, teacher_nk, _ = batch(dtype=dtype)
    targets_nk = mixed(3)[3].float()
    value = all_losses(student_nk.requires_grad_(), teacher_nk, targets_nk)[name]
    value.backward()
    exact = all_losses(student_nk.detach().double(), teacher_nk.double(), targets_nk.double())[name].item()
    assert value.dtype == torch.float32 and value.item() == pytest.approx(exact, rel=1e-6)
    assert student_nk.grad.isfinite().all()


@pytest.mark.parametrize("name", WAYS)
def test_mixed_and_hard_targets_have_the_same_gradient_where_they_are_the_same(name):
    student_nk, teacher_nk, labels_n = batch()
    options = {"kd": {"soft_weight": 0.4}, "labels": {"label_smoothing": 0.2}}.get(name, {})
    gradients = []
    for targets in (labels_n, F.one_hot(labels_n, 5).double()):
        leaf_nk = student_nk.clone().requires_grad_()
        loss_of(name, leaf_nk, targets, teacher_nk, **options).backward()
        gradients.append(leaf_nk.grad)
    assert torch.allclose(*gradients, rtol=1e-12, atol=1e-15)
