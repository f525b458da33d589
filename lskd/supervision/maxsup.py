"""Max suppression: the largest logit is penalised, whose class it may be, and not the label's (Zhou 2025)."""

from typing import TYPE_CHECKING

from lskd.study.options import Option, Smoothing
from lskd.supervision.precision import precise

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = False
OPTIONS = (
    Option(
        "suppression",
        Smoothing,
        0.1,
        "alpha of the penalty; smoothing of that alpha would push down the label's logit instead",
        short="a",
        axis=True,
        always_named=True,
    ),
)


def loss(logits_nk: "torch.Tensor", targets: "torch.Tensor", *, suppression: float = 0.1) -> "torch.Tensor":
    """CE(y, z) + alpha mean of (max_k z_k - mean_k z_k) (Zhou 2025, "MaxSup").

    Where the label's logit is the largest it is label smoothing, whose loss is CE(y, z) + alpha (z_y - mean_k z_k).
    Equally large logits share the gradient. Their code lets alpha rise from 0.1 to 0.2; here it is constant.
    """
    import torch.nn.functional as F

    logits_nk = precise(logits_nk)
    return F.cross_entropy(logits_nk, targets) + suppression * (logits_nk.amax(1) - logits_nk.mean(1)).mean()
