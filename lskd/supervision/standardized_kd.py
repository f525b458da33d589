"""Logit standardisation: each row of logits has mean 0 and deviation 1 before it is softened (Sun 2024)."""

from typing import TYPE_CHECKING

from lskd.supervision.divergence import kl
from lskd.supervision.precision import precise
from lskd.supervision.shared import CE_WEIGHT, KD_WEIGHT, TEMPERATURE

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
OPTIONS = (TEMPERATURE, KD_WEIGHT, CE_WEIGHT)
CONSTANT = 1e-24  # a variance that rounding alone can make


def loss(
    student_logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    teacher_logits_nk: "torch.Tensor",
    *,
    temperature: float,
    kd_weight: float = 1.0,
    ce_weight: float = 1.0,
) -> "torch.Tensor":
    """ce_weight CE(y, z_s) + kd_weight T^2 KL(softmax(Z(z_t)/T) || softmax(Z(z_s)/T)) (Sun 2024, algorithm 1).

    Z(z) = (z - mean z) / sd z over the K classes, sd with 1/K as in the paper (their code's has 1/(K - 1), the same
    as here at T sqrt(K/(K-1))). So each image has a temperature of its own, and how large logits are is not taught.
    """
    import torch.nn.functional as F

    student_nk = precise(student_logits_nk)
    log_s_nk, log_t_nk = (
        F.log_softmax(standardized(z_nk.double()) / temperature, 1) for z_nk in (student_nk, teacher_logits_nk)
    )
    soft = temperature**2 * kl(log_t_nk, log_s_nk).sum() / len(student_nk)
    return ce_weight * F.cross_entropy(student_nk, targets) + kd_weight * soft.to(student_nk.dtype)


def standardized(logits_nk: "torch.Tensor") -> "torch.Tensor":
    """Rows [N, K], float64, less their mean, divided by their deviation; 0, without a gradient, where that is 0."""
    import torch

    centred_nk = logits_nk - logits_nk.mean(1, keepdim=True)
    variance_n1 = centred_nk.square().mean(1, keepdim=True)
    return torch.where(variance_n1 > CONSTANT, centred_nk * variance_n1.clamp_min(CONSTANT).rsqrt(), 0)
