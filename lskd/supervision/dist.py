"""DIST: a student's predictions correlate with its teacher's, by sample and by class (Huang 2022)."""

from typing import TYPE_CHECKING

from lskd.study.options import Option
from lskd.supervision.precision import precise
from lskd.supervision.shared import CE_WEIGHT, TEMPERATURE, Factor

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
OPTIONS = (
    TEMPERATURE,
    Option("inter_weight", Factor, 1.0, "beta, of the correlation over classes", short="inter", axis=True),
    Option("intra_weight", Factor, 1.0, "gamma, of the correlation over the batch", short="intra", axis=True),
    CE_WEIGHT,
)

CONSTANT = 1e-30  # product of two squared norms that rounding alone can make


def loss(
    student_logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    teacher_logits_nk: "torch.Tensor",
    *,
    temperature: float,
    inter_weight: float = 1.0,
    intra_weight: float = 1.0,
    ce_weight: float = 1.0,
) -> "torch.Tensor":
    """ce_weight CE(y, z_s) + T^2 (beta inter + gamma intra) (Huang 2022; T^2 as in their code).

    inter = mean over samples of 1 - Pearson(p_s, p_t) over classes; intra = mean over classes of the same over the
    batch, so it depends on what else is in the batch. p = softmax(z / T).
    """
    import torch.nn.functional as F

    student_nk = precise(student_logits_nk)
    p_nk, q_nk = (F.softmax(z_nk.double() / temperature, dim=1) for z_nk in (student_nk, teacher_logits_nk))
    inter, intra = (1 - pearson(p_nk, q_nk, axis).mean() for axis in (1, 0))
    soft = temperature**2 * (inter_weight * inter + intra_weight * intra)
    return ce_weight * F.cross_entropy(student_nk, targets) + soft.to(student_nk.dtype)


def pearson(one_nk: "torch.Tensor", other_nk: "torch.Tensor", axis: int) -> "torch.Tensor":
    """The correlation of two float64 tensors along an axis; 0, without a gradient, where one of them is constant."""
    import torch

    one_nk, other_nk = (each_nk - each_nk.mean(axis, keepdim=True) for each_nk in (one_nk, other_nk))
    sizes = one_nk.square().sum(axis) * other_nk.square().sum(axis)
    correlations = (one_nk * other_nk).sum(axis) * sizes.clamp_min(CONSTANT).rsqrt()
    return torch.where(sizes > CONSTANT, correlations, 0)
