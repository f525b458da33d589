"""KL(p || q) from the logarithms of both."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def kl(log_p: "torch.Tensor", log_q: "torch.Tensor") -> "torch.Tensor":
    """The terms p (log p - log q), to be summed: those of torch's kl_div to the bit, which vmap does not know."""
    return log_p.exp() * (log_p - log_q)
