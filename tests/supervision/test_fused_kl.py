"""The fused KL against float64 loops over rows and classes, and where it is only an approximation."""

import math

import pytest
import torch

from lskd.supervision import fused_kl, labels
from lskd.supervision.fused_kl import dense_kl, listed_kl


def draw(rows, classes, gap, seed=0):
    """A student's and a teacher's logits, `gap` apart."""
    generator = torch.Generator().manual_seed(seed)
    student_nk = 3 * torch.randn(rows, classes, generator=generator)
    return student_nk, student_nk + gap * torch.randn(rows, classes, generator=generator)


def brute(student_nk, p_nk, temperature):
    """KL in float64, term by term."""
    total = 0.0
    for z_k, p_k in zip(student_nk.double(), p_nk.double(), strict=True):
        log_q_k = (z_k / temperature) - torch.logsumexp(z_k / temperature, 0)
        total += math.fsum(p * (math.log(p) - q) for p, q in zip(p_k.tolist(), log_q_k.tolist(), strict=True) if p)
    return total / len(student_nk)


def exact(student_nk, teacher_nk, temperature):
    """KL's value and gradient in float64."""
    z_nk = student_nk.double().requires_grad_()
    log_q_nk, log_p_nk = (torch.log_softmax(each_nk.double() / temperature, 1) for each_nk in (z_nk, teacher_nk))
    value = (log_p_nk.exp() * (log_p_nk - log_q_nk)).sum(1).mean()
    value.backward()
    return value.item(), z_nk.grad


def dense(student_nk, teacher_nk, temperature):
    z_nk = student_nk.clone().requires_grad_()
    value = dense_kl(z_nk, lambda part: torch.softmax(teacher_nk[part] / temperature, 1), temperature)
    value.backward()
    return value.item(), z_nk.grad


def listed(student_nk, classes_nj, p_nj, rest_n, temperature):
    z_nk = student_nk.clone().requires_grad_()
    value = listed_kl(z_nk, classes_nj, p_nj, rest_n, temperature)
    value.backward()
    return value.item(), z_nk.grad


def of_top(teacher_nk, k, temperature):
    p_nk = torch.softmax(teacher_nk.double() / temperature, 1)
    classes_nj = teacher_nk.topk(k, 1).indices
    p_nj = p_nk.gather(1, classes_nj)
    rest_n = p_nk.scatter(1, classes_nj, 0.0).sum(1)
    return classes_nj, p_nj.float(), rest_n.float()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 64.0])
def test_dense_is_a_loop_over_classes(temperature):
    student_nk, teacher_nk = draw(7, 40, 2.0)
    value, _ = dense(student_nk, teacher_nk, temperature)
    p_nk = torch.softmax(teacher_nk.double() / temperature, 1)
    assert value == pytest.approx(brute(student_nk, p_nk, temperature), rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 3.0, 64.0])
@pytest.mark.parametrize("gap", [0.1, 1.0, 5.0])
def test_dense_has_float64s_value_and_gradient_for_nearly_uniform_rows_too(temperature, gap):
    student_nk, teacher_nk = draw(40, 4000, gap)
    value, gradient_nk = dense(student_nk, teacher_nk, temperature)
    right, right_nk = exact(student_nk, teacher_nk, temperature)
    assert right > 1e-7
    assert value == pytest.approx(right, rel=1e-5)
    of_p = 5e-7 * torch.softmax(teacher_nk / temperature, 1).max().item() / (temperature * len(student_nk))
    assert (gradient_nk - right_nk).norm() < 1e-4 * right_nk.norm()
    assert (gradient_nk - right_nk).abs().max() < 1e-6 * right_nk.abs().max() + of_p


def test_rows_do_not_depend_on_the_block(monkeypatch):
    student_nk, teacher_nk = draw(50, 30, 1.0)
    whole = dense(student_nk, teacher_nk, 2.0)
    monkeypatch.setitem(fused_kl.BLOCK, "cpu", 4 * 30)
    parts = dense(student_nk, teacher_nk, 2.0)
    assert whole[0] == parts[0]
    assert torch.equal(whole[1], parts[1])


def test_extreme_logits_give_finite_values():
    student_nk = torch.tensor([[500.0, -500.0, 0.0], [0.0, 0.0, 0.0]])
    teacher_nk = torch.tensor([[-500.0, 500.0, 0.0], [500.0, -500.0, 0.0]])
    value, gradient_nk = dense(student_nk, teacher_nk, 1.0)
    assert math.isfinite(value)
    assert torch.allclose(gradient_nk[1], torch.tensor([1 / 3 - 1, 1 / 3, 1 / 3]) / 2)
    value, gradient_nk = listed(student_nk, *of_top(teacher_nk, 1, 1.0), 1.0)
    assert math.isfinite(value)
    assert gradient_nk.isfinite().all()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 64.0])
def test_all_classes_listed_are_the_dense_form(temperature):
    student_nk, teacher_nk = draw(9, 50, 1.0)
    value, gradient_nk = listed(student_nk, *of_top(teacher_nk, 50, temperature), temperature)
    right, right_nk = exact(student_nk, teacher_nk, temperature)
    assert value == pytest.approx(right, rel=1e-4)
    assert (gradient_nk - right_nk).abs().max() < 1e-5 * right_nk.abs().max()


@pytest.mark.parametrize("temperature", [1.0, 3.0, 64.0])
@pytest.mark.parametrize("has_rest", [True, False])
def test_listed_is_a_float64_loop_over_classes(temperature, has_rest):
    student_nk, teacher_nk = draw(11, 300, 1.0)
    p_nk = torch.softmax(teacher_nk.double() / temperature, 1)
    classes_nj = teacher_nk.topk(8, 1).indices
    p_nj = p_nk.gather(1, classes_nj)
    rest_n = p_nk.scatter(1, classes_nj, 0.0).sum(1)
    if not has_rest:
        p_nj, rest_n = p_nj / p_nj.sum(1, keepdim=True), torch.zeros_like(rest_n)
    value, gradient_nk = listed(student_nk, classes_nj, p_nj.float(), rest_n.float(), temperature)
    z_nk = student_nk.double().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for z_k, classes_j, p_j, rest in zip(z_nk, classes_nj, p_nj, rest_n, strict=True):
        q_k = torch.softmax(z_k / temperature, 0)
        others = [place for place in range(300) if place not in classes_j.tolist()]
        for place, p in zip(classes_j, p_j, strict=True):
            total = total + p * (p.log() - q_k[place].log())
        if has_rest:
            total = total + rest * (rest.log() - q_k[others].sum().log())
    (total / 11).backward()
    assert value == pytest.approx(total.item() / 11, rel=1e-5)
    assert (gradient_nk - z_nk.grad).abs().max() < 1e-5 * z_nk.grad.abs().max()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 64.0])
@pytest.mark.parametrize("k", [4, 32])
def test_a_listed_rest_is_below_the_full_kl_within_its_bound(temperature, k):
    from lskd.supervision.kd_top_k import most_error

    student_nk, teacher_nk = draw(20, 400, 1.5)
    classes_nj, p_nj, rest_n = of_top(teacher_nk, k, temperature)
    apart = []
    for row in range(20):
        part = slice(row, row + 1)
        full = exact(student_nk[part], teacher_nk[part], temperature)[0]
        value = listed(student_nk[part], classes_nj[part], p_nj[part], rest_n[part], temperature)[0]
        bound = most_error(student_nk[part], classes_nj[part], p_nj[part], rest_n[part], temperature).item()
        apart.append(full - value)
        assert -1e-6 <= full - value <= bound
    assert max(apart) > 1e-5  # it is an approximation


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("is_dense", [True, False])
def test_the_labels_term_is_that_of_labels(smoothing, is_dense):
    student_nk, teacher_nk = draw(9, 50, 1.0)
    labels_n = torch.arange(9) * 5
    hard = fused_kl.Hard(labels_n, 0.3, smoothing)
    z_nk, right_nk = (student_nk.clone().requires_grad_() for _ in range(2))
    listed_, p_of = of_top(teacher_nk, 4, 2.0), lambda part: torch.softmax(teacher_nk[part] / 2.0, 1)
    if is_dense:
        mine, soft = dense_kl(z_nk, p_of, 2.0, 2.8, hard), dense_kl(right_nk, p_of, 2.0)
    else:
        mine, soft = listed_kl(z_nk, *listed_, 2.0, 2.8, hard), listed_kl(right_nk, *listed_, 2.0)
    right = 2.8 * soft + 0.3 * labels.loss(right_nk, labels_n, label_smoothing=smoothing)
    mine.backward()
    right.backward()
    assert mine.item() == pytest.approx(right.item(), rel=1e-6)
    torch.testing.assert_close(z_nk.grad, right_nk.grad, rtol=1e-5, atol=1e-8)


def test_weights_of_the_loss_reach_the_gradient():
    student_nk, teacher_nk = draw(5, 20, 1.0)
    z_nk = student_nk.clone().requires_grad_()
    (3 * dense_kl(z_nk, lambda part: torch.softmax(teacher_nk[part], 1), 1.0)).backward()
    assert torch.allclose(z_nk.grad, 3 * dense(student_nk, teacher_nk, 1.0)[1])
