"""Weighted soft labels: less distillation where a student is nearer the label than its teacher (Zhou 2021)."""

from typing import TYPE_CHECKING

from lskd.supervision.precision import precise
from lskd.supervision.shared import CE_WEIGHT, KD_WEIGHT, TEMPERATURE, by_label

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
OPTIONS = (TEMPERATURE, KD_WEIGHT, CE_WEIGHT)


def loss(
    student_logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    teacher_logits_nk: "torch.Tensor",
    *,
    temperature: float,
    kd_weight: float = 1.0,
    ce_weight: float = 1.0,
) -> "torch.Tensor":
    """ce_weight CE(y, z_s) + kd_weight T^2 mean of w CE(softmax(z_t/T), softmax(z_s/T)) (Zhou 2021).

    w = 1 - exp(-log s_y / log t_y), with s, t = softmax(z) of student and teacher at T = 1: near 0 for a student far
    nearer the label than its teacher, near 1 for one far off. No gradient flows through w, and 1e-7 is added to
    -log t_y, both as in their code. Of mixed targets each class's part is taken.
    """
    import torch
    import torch.nn.functional as F

    student_nk = precise(student_logits_nk)
    exact_nk, teacher_nk = student_nk.double(), teacher_logits_nk.double()
    samples_m, labels_m, shares_m = by_label(targets)
    with torch.no_grad():
        far_m, teacher_far_m = (
            F.cross_entropy(z_nk[samples_m], labels_m, reduction="none") for z_nk in (exact_nk, teacher_nk)
        )
        weight_m = -torch.expm1(-far_m / (teacher_far_m + 1e-7))
    t_nk, log_s_nk = F.softmax(teacher_nk / temperature, 1), F.log_softmax(exact_nk / temperature, 1)
    soft_n = -(t_nk * log_s_nk).sum(1)
    soft = temperature**2 * (shares_m * weight_m * soft_n[samples_m]).sum() / len(targets)
    return ce_weight * F.cross_entropy(student_nk, targets) + kd_weight * soft.to(student_nk.dtype)
