"""KL(p || q) of given probabilities p and a student's q = softmax(z / T), with its gradient, for many classes.

N rows, K classes, J classes that are listed. log_softmax and its backward pass walk over [N, K] about six times, which
for K of some thousands costs more than the arithmetic. Here rows are taken in blocks that stay in a CPU's cache, and a
block's gradient is made beside its value, weights and the labels' term included, so that backward has nothing to do.

All in float32, and right where q is nearly p (large T), as KL is summed in the form of Bregman's divergence

    KL(p || q) = sum_k p_k (r_k - 1 - log r_k),  r = q / p,

which holds as both sum to 1: no term is negative, so nothing cancels, and an error e of r moves a term by p (1 - 1/r) e
alone, which is of second order near r = 1. Against float64, KL of size 1e-5 at T = 64 and K = 4000 is right to 1e-5 of
itself (a test holds that), where sum p log p - sum p log q in float32 is off by more than all of it. The gradient
(q - p) / T is as exact as softmax in float32: within 5e-7 of the larger of p and q.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

TINY = 1e-37  # below which a probability counts as this: float32 is exact to 1e-38
BLOCK = {"cpu": 1 << 18, "cuda": 1 << 26}  # elements of a block: 1 MB, for a core's cache; what a GPU has room for

Rows = Callable[[slice], torch.Tensor]
"""From a part of the batch's rows to their probabilities, float32 [n, K] on the student's device."""


@dataclass(frozen=True)
class Hard:
    """The labels' term beside the teacher's: `weight` CE(y, softmax(z)), y int64 [N] smoothed in the uniform form."""

    labels_n: torch.Tensor
    weight: float
    smoothing: float = 0.0


def dense_kl(
    student_nk: torch.Tensor, p_of: Rows, temperature: float, factor: float = 1.0, hard: Hard | None = None
) -> torch.Tensor:
    """factor KL(p || softmax(z / T)) + `hard`, the mean over rows, in nats; logits float32 [N, K], p by `p_of`."""
    return _DenseKL.apply(student_nk, p_of, temperature, factor, hard)


def listed_kl(
    student_nk: torch.Tensor,
    classes_nj: torch.Tensor,
    p_nj: torch.Tensor,
    rest_n: torch.Tensor,
    temperature: float,
    factor: float = 1.0,
    hard: Hard | None = None,
) -> torch.Tensor:
    """factor KL_J + `hard`, KL_J between what p and q = softmax(z / T) say of J listed classes and of the rest as one.

    Per row KL_J = sum_j p_j log(p_j / q_j) + p_rest log(p_rest / q_rest), q_rest the sum of q over all classes not
    listed. classes int64 [N, J], each once in a row; p float32 [N, J] and p_rest [N] sum to 1. Where p_rest is 0 the
    listed classes hold all of p, and this is KL(p || q) itself. Nothing [N, K] is made of p.
    """
    return _ListedKL.apply(student_nk, (classes_nj, p_nj, rest_n), temperature, factor, hard)


class _DenseKL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, student_nk: torch.Tensor, p_of: Rows, temperature: float, factor: float, hard: Hard | None
    ) -> torch.Tensor:
        gradient_nk, loss_n = torch.empty_like(student_nk), student_nk.new_empty(len(student_nk))
        scale = factor / (temperature * max(1, len(student_nk)))
        for part in _blocks(student_nk):
            p_nk, q_nk = p_of(part), torch.softmax(student_nk[part] / temperature, 1)
            torch.sub(q_nk, p_nk, out=gradient_nk[part]).mul_(scale)
            loss_n[part] = _terms(p_nk, q_nk).sum(1).mul_(factor)
            if hard:
                loss_n[part] += _hard(student_nk[part], hard, part, gradient_nk[part], len(student_nk))
        ctx.save_for_backward(gradient_nk)
        return loss_n.mean()

    @staticmethod
    def backward(ctx: Any, *of_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return _scaled(ctx, *of_loss), None, None, None, None


class _ListedKL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        student_nk: torch.Tensor,
        taught: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        temperature: float,
        factor: float,
        hard: Hard | None,
    ) -> torch.Tensor:
        gradient_nk, loss_n = torch.empty_like(student_nk), student_nk.new_empty(len(student_nk))
        scale = factor / (temperature * max(1, len(student_nk)))
        for part in _blocks(student_nk):
            listed_nj, p_nj, rest_p_n = (each[part] for each in taught)
            block_nk, power_nk = student_nk[part], gradient_nk[part]
            torch.sub(block_nk, block_nk.amax(1, keepdim=True), out=power_nk)
            power_nk.div_(temperature).exp_()
            q_nj = power_nk.gather(1, listed_nj)
            rest_q_n = power_nk.scatter_(1, listed_nj, 0.0).sum(1)  # not 1 - sum q_j, which cancels
            sum_n = rest_q_n + q_nj.sum(1)
            q_nj /= sum_n[:, None]
            rest_q_n /= sum_n
            loss_n[part] = _terms(p_nj, q_nj.clone()).sum(1) + _terms(rest_p_n, rest_q_n.clone())
            loss_n[part] *= factor
            # d/dz_k = q_k - p_k of a listed class, q_k (1 - p_rest / q_rest) of another one
            share_n = 1 - torch.where(rest_q_n > 0, rest_p_n / rest_q_n, 0)
            power_nk.mul_((share_n * scale / sum_n)[:, None])
            power_nk.scatter_(1, listed_nj, q_nj.sub_(p_nj).mul_(scale))
            if hard:
                loss_n[part] += _hard(block_nk, hard, part, gradient_nk[part], len(student_nk))
        ctx.save_for_backward(gradient_nk)
        return loss_n.mean()

    @staticmethod
    def backward(ctx: Any, *of_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return _scaled(ctx, *of_loss), None, None, None, None


def _hard(block_nk: torch.Tensor, hard: Hard, part: slice, gradient_nk: torch.Tensor, rows: int) -> torch.Tensor:
    """The labels' term of a block, [n]; its gradient is added to the block's."""
    labels_n1, scale = hard.labels_n[part][:, None], hard.weight / rows
    log_q_nk = torch.log_softmax(block_nk, 1)
    each = hard.smoothing / log_q_nk.shape[1]
    value_n = (1 - hard.smoothing) * log_q_nk.gather(1, labels_n1).squeeze(1)
    if each:
        value_n += each * log_q_nk.sum(1)
        gradient_nk.sub_(each * scale)
    gradient_nk.add_(log_q_nk.exp_(), alpha=scale)
    on_label_n1 = torch.full_like(labels_n1, (hard.smoothing - 1) * scale, dtype=gradient_nk.dtype)
    gradient_nk.scatter_add_(1, labels_n1, on_label_n1)
    return value_n.mul_(-hard.weight)


def _terms(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """p (r - 1 - log r), r = q / p, elementwise; overwrites q."""
    p = p.clamp_min(TINY)
    ratio = q.div_(p).clamp_min_(TINY)
    return (ratio - 1).sub_(ratio.log_()).mul_(p)


def _blocks(student_nk: torch.Tensor) -> Iterator[slice]:
    rows = max(1, BLOCK[student_nk.device.type] // max(1, student_nk.shape[1]))
    return (slice(first, first + rows) for first in range(0, len(student_nk), rows))


def _scaled(ctx: Any, of_loss: torch.Tensor) -> torch.Tensor:
    (gradient_nk,) = ctx.saved_tensors
    if of_loss.device.type == "cpu" and of_loss == 1:  # nothing to walk over [N, K] for
        return gradient_nk
    return gradient_nk * of_loss
