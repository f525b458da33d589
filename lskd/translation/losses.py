"""KD from whole distributions over a vocabulary: the loss of `lskd.supervision.kd`, fused, in float32.

N tokens, V the vocabulary.
"""

from typing import Literal

import torch

from lskd.supervision.fused_kl import Hard, Rows, dense_kl
from lskd.supervision.precision import precise


def kd(
    student_logits_nv: torch.Tensor,
    tokens_n: torch.Tensor,
    p_of: Rows,
    *,
    temperature: float,
    teacher_temperature: float | None = None,
    soft_weight: float = 1.0,
    t_squared: bool = True,
    soften_student: bool = True,
    reduction: Literal["batchmean", "mean"] = "batchmean",
    hard_smoothing: float = 0.0,
) -> torch.Tensor:
    """(1 - w) CE(y, z_s) + w s KL(p || softmax(z_s/T')), each option as in `lskd.supervision.kd.loss`.

    `p_of` gives the teacher's softmax(z_t / T_t) of some of the rows, float32 [n, V], as `softened` makes it; so
    `teacher_temperature` is done with already. `hard_smoothing` smooths the labels' term in the uniform form.
    """
    factor = soft_weight * (temperature**2 if t_squared else 1.0)
    factor /= {"batchmean": 1, "mean": student_logits_nv.shape[1]}[reduction]
    hard = Hard(tokens_n, 1 - soft_weight, hard_smoothing) if soft_weight < 1 else None
    return dense_kl(precise(student_logits_nv), p_of, temperature if soften_student else 1.0, factor, hard)


def softened(logits_nv: torch.Tensor, temperature: float) -> torch.Tensor:
    """softmax(z / T) in float32: of stored logits once, where a map is made of them, and of an online teacher's."""
    return torch.softmax(logits_nv.float() / temperature, 1)
