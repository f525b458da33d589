"""Labels: cross-entropy, or cross-entropy with smoothed labels (Mueller 2019, section 1.1; Shen 2021, eq. 1)."""

from typing import TYPE_CHECKING, Literal

from lskd.study.options import Option, Smoothing
from lskd.supervision.precision import precise

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = False
TASKS = ("images", "translation")
OPTIONS = (
    Option(
        "label_smoothing",
        Smoothing,
        0.0,
        "alpha, the probability that is taken from the label",
        short="ls",
        axis=True,
        always_named=True,
    ),
    Option(
        "smoothing",
        Literal["uniform", "others"],
        "uniform",
        "alpha/K on each class (uniform; Mueller), or alpha/(K-1) on each other class (others; Shen)",
        short={"others": "others"},
    ),
)


def loss(
    logits_nk: "torch.Tensor",
    targets: "torch.Tensor",
    *,
    label_smoothing: float = 0.0,
    smoothing: Literal["uniform", "others"] = "uniform",
) -> "torch.Tensor":
    """-sum_k q_k log softmax(z)_k, with q the targets smoothed by a = `label_smoothing`.

    uniform: q = (1 - a) onehot(y) + a/K (Mueller 2019, section 1.1; PyTorch's label_smoothing).
    others: q = 1 - a on the label and a/(K-1) on each other class (Shen 2021, eq. 1); equal to uniform with
    a' = a K/(K-1). Of mixed targets each class's part is smoothed. Another form raises KeyError.
    """
    import torch.nn.functional as F

    if label_smoothing == 0:
        return F.cross_entropy(precise(logits_nk), targets)
    log_p_nk = F.log_softmax(precise(logits_nk), dim=1)
    classes = log_p_nk.shape[1]
    rest = label_smoothing / {"uniform": classes, "others": classes - 1}[smoothing]
    label = 1 - label_smoothing + (rest if smoothing == "uniform" else 0.0)
    is_mixed = targets.dim() == 2
    on_label_n = (targets * log_p_nk).sum(1) if is_mixed else log_p_nk.gather(1, targets[:, None]).squeeze(1)
    return -((label - rest) * on_label_n + rest * log_p_nk.sum(1)).mean()
