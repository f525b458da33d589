"""Knowledge distillation: a student matches its teacher's softened predictions (Hinton 2015), in each form."""

from typing import TYPE_CHECKING, Literal

from lskd.study.options import Option, Temperature
from lskd.supervision import labels
from lskd.supervision.divergence import kl
from lskd.supervision.precision import precise
from lskd.supervision.shared import HARD_SMOOTHING, SOFT_WEIGHT, T_SQUARED, TEMPERATURE

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
TASKS = ("images", "translation")
FORM = "full"  # of a translator's stored logits
OPTIONS = (
    TEMPERATURE,
    Option(
        "teacher_temperature",
        Temperature | None,
        None,
        "T of the teacher's logits alone, while temperature is the student's; the same unless given",
        off=None,
        short="Tt",
        axis=True,
    ),
    SOFT_WEIGHT,
    T_SQUARED,
    HARD_SMOOTHING,
    Option("soften_student", bool, True, "the student's logits are divided by T too", short={False: "hardstudent"}),
    Option(
        "reduction",
        Literal["batchmean", "mean"],
        "batchmean",
        "KL averaged over the batch, or over batch and classes (mean; Yuan's code)",
        short={"mean": "mean"},
    ),
)


def loss(
    student_logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    teacher_logits_nk: "torch.Tensor",
    *,
    temperature: float,
    teacher_temperature: float | None = None,
    soft_weight: float = 1.0,
    t_squared: bool = True,
    soften_student: bool = True,
    reduction: Literal["batchmean", "mean"] = "batchmean",
    hard_smoothing: float = 0.0,
) -> "torch.Tensor":
    """(1 - w) CE(y, z_s) + w s KL(softmax(z_t/T_t) || softmax(z_s/T')), Hinton 2015 with each published variant.

    s = T^2 if `t_squared` (Hinton: gradients keep their size as T grows) else 1. T' = T if `soften_student` else 1
    (Mueller 2019, A.1). T_t = `teacher_temperature`, or T where that is None. reduction "batchmean" averages KL over
    the batch, "mean" over batch and classes (Yuan's code). Another reduction raises KeyError. `hard_smoothing` smooths
    y, in the uniform form.
    """
    import torch.nn.functional as F

    student_nk = precise(student_logits_nk)
    terms = {"batchmean": len(student_nk), "mean": student_nk.numel()}[reduction]
    # float64: nearly uniform rows cancel; at T=64 and K=1000, float32 is off by up to 2 % (logits of size 0.1)
    log_student_nk = F.log_softmax(student_nk.double() / (temperature if soften_student else 1), dim=1)
    log_teacher_nk = F.log_softmax(teacher_logits_nk.double() / (teacher_temperature or temperature), dim=1)
    soft = (kl(log_teacher_nk, log_student_nk).sum() / terms).to(student_nk.dtype)
    if t_squared:
        soft = soft * temperature**2
    if soft_weight == 1:
        return soft
    hard = labels.loss(student_nk, targets, label_smoothing=hard_smoothing)
    return (1 - soft_weight) * hard + soft_weight * soft
