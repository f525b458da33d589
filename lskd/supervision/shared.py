"""Options that several ways of teaching take, and targets as the losses read them that know one true class.

N samples, K classes, M pairs of a sample and a class that is in its target.
"""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lskd.study.options import REQUIRED, Option, Smoothing, Temperature, Weight

if TYPE_CHECKING:
    import torch

Factor = Annotated[float, Field(ge=0, le=1e4, allow_inf_nan=False)]
TEMPERATURE = Option("temperature", Temperature, REQUIRED, "T, by which logits are divided", short="T", axis=True)
CE_WEIGHT = Option(
    "ce_weight",
    Factor,
    1.0,
    "of the labels' cross-entropy, which is added to the teacher's term",
    short="ce",
    axis=True,
)
SOFT_WEIGHT = Option("soft_weight", Weight, 1.0, "w of the teacher; 1 - w of the labels", short="w", axis=True)
T_SQUARED = Option("t_squared", bool, True, "the soft term times T^2 (Hinton)", short={False: "noT2"})
HARD_SMOOTHING = Option(
    "hard_smoothing", Smoothing, 0.0, "label smoothing of the labels' term, where it has weight", off=0.0, short="hls"
)
KD_WEIGHT = Option("kd_weight", Factor, 1.0, "of the teacher's term", short="kd", axis=True)


def by_label(targets: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Targets as samples int64 [M], classes int64 [M] and the class's share of the sample, float64 [M].

    Of labels [N], M = N and every share is 1. Of distributions [N, K] each class in them is a pair of its own, so that
    a loss is the mean of its values for each class of a sample, weighted by the shares: linear in the targets.
    """
    import torch

    if targets.dim() == 1:
        samples_m = torch.arange(len(targets), device=targets.device)
        return samples_m, targets, torch.ones_like(targets, dtype=torch.float64)
    samples_m, labels_m = targets.nonzero(as_tuple=True)
    return samples_m, labels_m, targets[samples_m, labels_m].double()


def split_by_label(logits_mk: "torch.Tensor", labels_m: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """The logits of the labels [M, 1], and of the other classes [M, K - 1] in their order."""
    import torch

    place_k = torch.arange(logits_mk.shape[1] - 1, device=labels_m.device)
    others_mk = place_k + (place_k >= labels_m[:, None])
    return logits_mk.gather(1, labels_m[:, None]), logits_mk.gather(1, others_mk)
