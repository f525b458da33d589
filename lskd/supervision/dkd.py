"""Decoupled knowledge distillation: how sure of the label, and what of the others, weighted apart (Zhao 2022)."""

from typing import TYPE_CHECKING

from lskd.study.options import Option
from lskd.supervision.divergence import kl
from lskd.supervision.precision import precise
from lskd.supervision.shared import CE_WEIGHT, TEMPERATURE, Factor, by_label, split_by_label

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
OPTIONS = (
    TEMPERATURE,
    Option("target_weight", Factor, 1.0, "alpha, of the label against all others (TCKD)", short="target", axis=True),
    Option("nontarget_weight", Factor, 8.0, "beta, of the others among themselves (NCKD)", short="non", axis=True),
    CE_WEIGHT,
)


def loss(
    student_logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    teacher_logits_nk: "torch.Tensor",
    *,
    temperature: float,
    target_weight: float = 1.0,
    nontarget_weight: float = 8.0,
    ce_weight: float = 1.0,
) -> "torch.Tensor":
    """ce_weight CE(y, z_s) + T^2 (alpha TCKD + beta NCKD) (Zhao 2022, eq. 7; T^2 as in their code).

    At T, with b = (p_y, 1 - p_y) and p' the others' probabilities made to sum to 1: TCKD = KL(b_t || b_s), NCKD =
    KL(p'_t || p'_s). Hinton's KD is TCKD + (1 - p_y of the teacher) NCKD (eq. 6). Of mixed targets each class's part
    is taken. Their warm-up of the term, the first epochs' share of its weight, is left out.
    """
    import torch
    import torch.nn.functional as F

    student_nk = precise(student_logits_nk)
    samples_m, labels_m, shares_m = by_label(targets)
    log_binary, log_others = [], []
    for logits_nk in (student_nk, teacher_logits_nk):
        label_m1, others_mk = split_by_label(logits_nk.double()[samples_m] / temperature, labels_m)
        log_binary.append(F.log_softmax(torch.cat([label_m1, others_mk.logsumexp(1, keepdim=True)], 1), dim=1))
        log_others.append(F.log_softmax(others_mk, dim=1))
    tckd_m, nckd_m = (kl(teacher, student).sum(1) for student, teacher in (log_binary, log_others))
    soft = (shares_m * (target_weight * tckd_m + nontarget_weight * nckd_m)).sum() / len(targets)
    return ce_weight * F.cross_entropy(student_nk, targets) + (temperature**2 * soft).to(student_nk.dtype)
