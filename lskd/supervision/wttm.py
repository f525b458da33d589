"""Transformed teacher matching, and its weighted form: T for the teacher alone (Zheng & Yang 2024)."""

from typing import TYPE_CHECKING

from lskd.study.options import Option
from lskd.supervision.divergence import kl
from lskd.supervision.precision import precise
from lskd.supervision.shared import CE_WEIGHT, KD_WEIGHT, TEMPERATURE

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
OPTIONS = (
    TEMPERATURE,
    KD_WEIGHT,
    Option(
        "weighted",
        bool,
        True,
        "each sample by its teacher's smoothness U (WTTM), or all alike (TTM)",
        short={False: "ttm"},
    ),
    CE_WEIGHT,
)


def loss(
    student_logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    teacher_logits_nk: "torch.Tensor",
    *,
    temperature: float,
    kd_weight: float = 1.0,
    weighted: bool = True,
    ce_weight: float = 1.0,
) -> "torch.Tensor":
    """ce_weight CE(y, z_s) + kd_weight mean of U KL(softmax(z_t/T) || softmax(z_s)) (Zheng & Yang 2024, section 4).

    U = sum_k t_k^(1/T) with t = softmax(z_t): the norm of the power transform by gamma = 1/T that makes of t the
    softened teacher; 1 at T = 1, and the greater the smoother the teacher. Without `weighted`, U = 1: TTM (section 3),
    which is `kd` with soften_student and t_squared false, T^2 KD and a Renyi entropy of the student.
    """
    import torch.nn.functional as F

    student_nk = precise(student_logits_nk)
    teacher_nk = teacher_logits_nk.double()
    log_s_nk, log_t_nk = F.log_softmax(student_nk.double(), 1), F.log_softmax(teacher_nk / temperature, 1)
    soft_n = kl(log_t_nk, log_s_nk).sum(1)
    if weighted:
        soft_n = (F.log_softmax(teacher_nk, 1) / temperature).logsumexp(1).exp() * soft_n
    return ce_weight * F.cross_entropy(student_nk, targets) + kd_weight * soft_n.mean().to(student_nk.dtype)
