"""Squared error of the logits against the labels, rescaled for many classes (Hui & Belkin 2021)."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lskd.study.options import Option
from lskd.supervision.precision import precise

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = False
Positive = Annotated[float, Field(gt=0, le=1e4, allow_inf_nan=False)]
OPTIONS = (
    Option("label_weight", Positive, 1.0, "k, weight of the label's square among the classes'", short="k"),
    Option("label_value", Positive, 1.0, "M, what the label's logit is to be; the others' is 0", short="M"),
)


def loss(
    logits_nk: "torch.Tensor", targets: "torch.Tensor", *, label_weight: float = 1.0, label_value: float = 1.0
) -> "torch.Tensor":
    """1/K (k (z_y - M)^2 + sum over i != y of z_i^2), averaged over the batch (Hui & Belkin 2021).

    No softmax: with k = M = 1 it is the mean squared error against one-hot labels. Of mixed targets each class's part
    is taken. Not in nats.
    """
    import torch.nn.functional as F

    logits_nk = precise(logits_nk)
    if targets.dim() == 1:
        targets = F.one_hot(targets, logits_nk.shape[1]).to(logits_nk.dtype)
    squares_nk = logits_nk.square()
    as_label_nk = label_weight * (logits_nk - label_value).square()
    return (targets * as_label_nk + (1 - targets) * squares_nk).mean()
