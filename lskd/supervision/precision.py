"""In which precision a loss is computed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def precise(logits_nk: "torch.Tensor") -> "torch.Tensor":
    """Logits in float32 at least: half precision is too coarse for a softmax at T=64."""
    return logits_nk.float() if logits_nk.element_size() < 4 else logits_nk
