"""Normalised knowledge distillation: the label's own soft target, and the others' made to sum to 1 (Yang 2023)."""

from typing import TYPE_CHECKING

from lskd.study.options import Option
from lskd.supervision.precision import precise
from lskd.supervision.shared import CE_WEIGHT, TEMPERATURE, Factor, by_label, split_by_label

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
OPTIONS = (
    TEMPERATURE,
    Option("others_weight", Factor, 1.5, "gamma, of the classes other than the label", short="others", axis=True),
    CE_WEIGHT,
)


def loss(
    student_logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    teacher_logits_nk: "torch.Tensor",
    *,
    temperature: float,
    others_weight: float = 1.5,
    ce_weight: float = 1.0,
) -> "torch.Tensor":
    """ce_weight CE(y, z_s) - t_y log s_y - gamma T^2 sum over i != y of t'_i log s'_i (Yang 2023).

    t, s = softmax(z) of teacher and student at T = 1; t', s' = softmax(z / T) over the classes other than y. A
    cross-entropy, as in the paper: its gradient is that of KL. Of mixed targets each class's part is taken.
    """
    import torch.nn.functional as F

    student_nk = precise(student_logits_nk)
    samples_m, labels_m, shares_m = by_label(targets)
    student_mk, teacher_mk = (z_nk.double()[samples_m] for z_nk in (student_nk, teacher_logits_nk))
    label_m1 = labels_m[:, None]
    log_s_m = F.log_softmax(student_mk, dim=1).gather(1, label_m1)[:, 0]
    t_m = F.softmax(teacher_mk, dim=1).gather(1, label_m1)[:, 0]
    log_s_others_mk = F.log_softmax(split_by_label(student_mk, labels_m)[1] / temperature, dim=1)
    t_others_mk = F.softmax(split_by_label(teacher_mk, labels_m)[1] / temperature, dim=1)
    loss_m = -t_m * log_s_m - others_weight * temperature**2 * (t_others_mk * log_s_others_mk).sum(1)
    soft = (shares_m * loss_m).sum() / len(targets)
    return ce_weight * F.cross_entropy(student_nk, targets) + soft.to(student_nk.dtype)
