"""Tf-KD_reg: a virtual teacher that is right with a given probability and knows no class from another (Yuan 2020)."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lskd.study.options import Option
from lskd.supervision.precision import precise
from lskd.supervision.shared import SOFT_WEIGHT, TEMPERATURE, Factor

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = False
Probability = Annotated[float, Field(gt=0, lt=1)]
OPTIONS = (
    TEMPERATURE,
    SOFT_WEIGHT,
    Option(
        "label_probability", Probability, 0.99, "a, of the label; the other classes share 1 - a", short="a", axis=True
    ),
    Option(
        "form",
        Literal["text", "code"],
        "text",
        "the loss of the paper's text (eq. S.5), or that of its public code",
        short={"code": "code"},
    ),
    Option("multiplier", Factor, 1.0, "of the virtual teacher's term; their code has 1, 50 or 100", short="x"),
)


def loss(
    logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    *,
    temperature: float,
    soft_weight: float = 1.0,
    label_probability: float = 0.99,
    form: Literal["text", "code"] = "text",
    multiplier: float = 1.0,
) -> "torch.Tensor":
    """(1 - w) CE(y, z) + w m KL(p || q), with a virtual teacher's p, in one of two forms (Yuan 2020).

    d = a on the label and (1 - a)/(K - 1) on each other class (supplement, eq. S.4).
    text: p is proportional to d^(1/T), q = softmax(z / T); no T^2 (eq. S.5).
    code: p = softmax(d / T), nearly uniform; q = softmax(z); KL is also divided by K. That is label smoothing onto the
    other classes, whose gradient is multiplied by s = 1 - w + w m / K and whose alpha is w m (1 - p_y) / (K s).
    Of mixed targets each class's part is taken. Another form raises KeyError.
    """
    import torch.nn.functional as F

    logits_nk = precise(logits_nk)
    classes = logits_nk.shape[1]
    on_label, on_other = virtual_teacher(classes, temperature, label_probability, form)
    student_temperature, terms = {"text": (temperature, 1), "code": (1, classes)}[form]
    log_q_nk = F.log_softmax(logits_nk.double() / student_temperature, dim=1)  # KL of nearly uniform rows cancels
    if targets.dim() == 1:
        log_q_label_n = log_q_nk.gather(1, targets[:, None]).squeeze(1)
    else:
        log_q_label_n = (targets * log_q_nk).sum(1)
    crossed_n = (on_label - on_other) * log_q_label_n + on_other * log_q_nk.sum(1)
    soft = multiplier * (negative_entropy(classes, on_label, on_other) - crossed_n.mean()) / terms
    return (1 - soft_weight) * F.cross_entropy(logits_nk, targets) + soft_weight * soft.to(logits_nk.dtype)


def virtual_teacher(classes: int, temperature: float, label_probability: float, form: str) -> tuple[float, float]:
    """The softened probabilities p of the label and of each other of K classes."""
    of_label, of_other = label_probability, (1 - label_probability) / (classes - 1)
    if form == "text":
        of_label, of_other = math.log(of_label), math.log(of_other)
    largest = max(of_label, of_other)
    label, other = (math.exp((each - largest) / temperature) for each in (of_label, of_other))
    total = label + (classes - 1) * other
    return label / total, other / total


def negative_entropy(classes: int, on_label: float, on_other: float) -> float:
    """sum_k p_k ln p_k, with 0 ln 0 = 0."""
    return sum(n * p * math.log(p) for n, p in ((1, on_label), (classes - 1, on_other)) if p > 0)
