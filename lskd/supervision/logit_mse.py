"""Logit matching: a student learns its teacher's logits themselves (Mueller 2019, A.5)."""

from typing import TYPE_CHECKING

from lskd.study.options import Option, Weight
from lskd.supervision.precision import precise

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
OPTIONS = (Option("soft_weight", Weight, 1.0, "w of the teacher; 1 - w of the labels", short="w", axis=True),)


def loss(
    student_logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    teacher_logits_nk: "torch.Tensor",
    *,
    soft_weight: float = 1.0,
) -> "torch.Tensor":
    """(1 - w) CE(y, z_s) + w/2 sum_k (z_s - z_t)_k^2: the logits themselves are matched (Mueller 2019, A.5).

    The squares are summed over classes and averaged over the batch.
    """
    import torch.nn.functional as F

    student_nk, teacher_nk = precise(student_logits_nk), precise(teacher_logits_nk)
    soft = 0.5 * (student_nk - teacher_nk).square().sum(1).mean()
    if soft_weight == 1:
        return soft
    return (1 - soft_weight) * F.cross_entropy(student_nk, targets) + soft_weight * soft
