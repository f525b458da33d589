"""Every published variant of label smoothing and distillation, under its own name.

N samples, K classes; logits are raw; log is natural. All functions return the mean over the batch, in nats, and compute
in float32 at least. The functions share nothing but `_precise`, so that an edit of one touches only runs that use it.
An option's value that is not named here raises KeyError. Where a paper minimises the cross-entropy of teacher and
student (Mueller, section 4; Shen, eq. 4), `kd` is that less the teacher's entropy: other values, the same gradient.

Which paper means what by distillation:
| paper | call |
|---|---|
| Hinton 2015 | `kd(temperature=T, soft_weight=w)` |
| Mueller 2019, fig. 5 | `kd(temperature=T, soft_weight=1, soften_student=False, t_squared=False)` |
| Mueller 2019, MNIST | `logit_mse(soft_weight=0.6)` |
| Shen 2021 | `kd(temperature=1, soft_weight=1)`; table 9: soft_weight 0.7, 0.5, 0.3 |
| Yuan 2020 (their code) | `kd(temperature=T, soft_weight=a, reduction="mean")` |
| Chandrasegaran 2022 (their code) | `kd(temperature=T, soft_weight=1)` |
"""

from typing import Literal

import torch
import torch.nn.functional as F


def cross_entropy(logits_nk: torch.Tensor, labels_n: torch.Tensor) -> torch.Tensor:
    """-log softmax(z)[y], the loss of hard labels."""
    return F.cross_entropy(_precise(logits_nk), labels_n)


def smoothed_cross_entropy(
    logits_nk: torch.Tensor,
    labels_n: torch.Tensor,
    label_smoothing: float,
    form: Literal["uniform", "others"] = "uniform",
) -> torch.Tensor:
    """Cross-entropy with smoothed labels q: -sum_k q_k log softmax(z)_k.

    form "uniform": q = (1 - a) onehot(y) + a/K (Mueller 2019, section 1.1; PyTorch's label_smoothing).
    form "others": q = 1 - a on the label and a/(K-1) on each other class (Shen 2021, eq. 1); equal to "uniform" with
    a' = a K/(K-1).
    """
    log_p_nk = F.log_softmax(_precise(logits_nk), dim=1)
    classes = log_p_nk.shape[1]
    rest = label_smoothing / {"uniform": classes, "others": classes - 1}[form]
    label = 1 - label_smoothing + (rest if form == "uniform" else 0.0)
    on_label_n = log_p_nk.gather(1, labels_n[:, None]).squeeze(1)
    return -((label - rest) * on_label_n + rest * log_p_nk.sum(1)).mean()


def kd(
    student_logits_nk: torch.Tensor,
    teacher_logits_nk: torch.Tensor,
    labels_n: torch.Tensor,
    *,
    temperature: float,
    soft_weight: float = 1.0,
    t_squared: bool = True,
    soften_student: bool = True,
    reduction: Literal["batchmean", "mean"] = "batchmean",
) -> torch.Tensor:
    """(1 - w) CE(y, z_s) + w s KL(softmax(z_t/T) || softmax(z_s/T')), Hinton 2015 with each published variant.

    s = T^2 if `t_squared` (Hinton: gradients keep their size as T grows) else 1. T' = T if `soften_student` else 1
    (Mueller 2019, A.1). reduction "batchmean" averages KL over the batch, "mean" over batch and classes (Yuan's code).
    """
    student_nk = _precise(student_logits_nk)
    terms = {"batchmean": len(student_nk), "mean": student_nk.numel()}[reduction]
    # float64: nearly uniform rows cancel; at T=64 and K=1000, float32 is off by up to 2 % (logits of size 0.1)
    log_student_nk = F.log_softmax(student_nk.double() / (temperature if soften_student else 1), dim=1)
    log_teacher_nk = F.log_softmax(teacher_logits_nk.double() / temperature, dim=1)
    soft = (F.kl_div(log_student_nk, log_teacher_nk, reduction="sum", log_target=True) / terms).to(student_nk.dtype)
    if t_squared:
        soft = soft * temperature**2
    if soft_weight == 1:
        return soft
    return (1 - soft_weight) * F.cross_entropy(student_nk, labels_n) + soft_weight * soft


def logit_mse(
    student_logits_nk: torch.Tensor,
    teacher_logits_nk: torch.Tensor,
    labels_n: torch.Tensor,
    *,
    soft_weight: float = 1.0,
) -> torch.Tensor:
    """(1 - w) CE(y, z_s) + w/2 sum_k (z_s - z_t)_k^2: the logits themselves are matched (Mueller 2019, A.5).

    The squares are summed over classes and averaged over the batch.
    """
    student_nk, teacher_nk = _precise(student_logits_nk), _precise(teacher_logits_nk)
    soft = 0.5 * (student_nk - teacher_nk).square().sum(1).mean()
    if soft_weight == 1:
        return soft
    return (1 - soft_weight) * F.cross_entropy(student_nk, labels_n) + soft_weight * soft


def _precise(logits_nk: torch.Tensor) -> torch.Tensor:
    """Half precision is too coarse for a softmax at T=64."""
    return logits_nk if logits_nk.dtype == torch.float64 else logits_nk.float()
