"""Online label smoothing: a class's soft label is what the network said of it in the last epoch (Zhang 2021).

N samples, K classes.
"""

from typing import TYPE_CHECKING

from lskd.study.options import Option, Weight
from lskd.supervision.precision import precise

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = False
OPTIONS = (
    Option("hard_weight", Weight, 0.5, "alpha of the labels; 1 - alpha of the soft labels", short="h", axis=True),
)


def loss(
    logits_nk: "torch.Tensor", targets: "torch.Tensor", state: "dict[str, torch.Tensor]", *, hard_weight: float = 0.5
) -> "torch.Tensor":
    """alpha CE(y, p) + (1 - alpha) CE(S_y, p), with S_y the soft label of class y (Zhang 2021).

    S_y is the mean prediction in the last epoch for samples of class y that were classified right; uniform in the
    first epoch (their code has 0 there: hard labels alone) and where none was. `state`, empty before the first batch,
    holds `soft` and this epoch's `sums` and `counts`; the batch is added to these. Of mixed targets the soft labels
    are mixed alike, and the largest part counts as the class.
    """
    import torch
    import torch.nn.functional as F

    log_p_nk = F.log_softmax(precise(logits_nk), dim=1)
    classes = log_p_nk.shape[1]
    if not state:
        zeros_kk = torch.zeros(classes, classes, dtype=torch.float64, device=log_p_nk.device)
        state |= {"soft": zeros_kk + 1 / classes, "sums": zeros_kk, "counts": zeros_kk[0].clone()}
    hard_n = targets if targets.dim() == 1 else targets.argmax(1)
    shares_nk = (F.one_hot(targets, classes) if targets.dim() == 1 else targets).double()
    with torch.no_grad():
        is_right_n = log_p_nk.argmax(1) == hard_n
        right_nk = F.one_hot(hard_n, classes).double() * is_right_n[:, None]
        state["sums"] += right_nk.T @ log_p_nk.double().exp()
        state["counts"] += right_nk.sum(0)
        soft_nk = (shares_nk @ state["soft"]).to(log_p_nk.dtype)
    hard = F.cross_entropy(precise(logits_nk), targets)
    return hard_weight * hard - (1 - hard_weight) * (soft_nk * log_p_nk).sum(1).mean()


def end_epoch(state: "dict[str, torch.Tensor]") -> None:
    """Make this epoch's mean predictions the soft labels of the next, and begin to count anew."""
    import torch

    counts_k1 = state["counts"][:, None]
    uniform_kk = torch.full_like(state["soft"], 1 / len(state["soft"]))
    state["soft"] = torch.where(counts_k1 > 0, state["sums"] / counts_k1.clamp_min(1), uniform_kk)
    state["sums"].zero_()
    state["counts"].zero_()
