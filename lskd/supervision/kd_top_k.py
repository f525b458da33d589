"""Knowledge distillation from the k likeliest tokens of a teacher, with what it gives the rest, or truncated to them.

N tokens, V the vocabulary, k tokens listed of each.
"""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lskd.study.options import REQUIRED, Option
from lskd.supervision.shared import HARD_SMOOTHING, SOFT_WEIGHT, T_SQUARED, TEMPERATURE

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
TASKS = ("translation",)
FORM = "top_k"  # of a translator's stored logits
OPTIONS = (
    TEMPERATURE,
    Option(
        "k", Annotated[int, Field(ge=1, le=1024)], REQUIRED, "tokens kept of each distribution", short="k", axis=True
    ),
    Option(
        "tail",
        bool,
        True,
        "the teacher's probability of all other tokens is kept; false: the k alone, made to sum to 1 (papers' code, 4)",
        short={False: "notail"},
        axis=True,
    ),
    SOFT_WEIGHT,
    T_SQUARED,
    HARD_SMOOTHING,
)


def loss(
    student_logits_nv: "torch.Tensor",
    tokens_n: "torch.Tensor",
    listed_nk: "torch.Tensor",
    p_nk: "torch.Tensor",
    rest_n: "torch.Tensor",
    *,
    temperature: float,
    soft_weight: float = 1.0,
    t_squared: bool = True,
    hard_smoothing: float = 0.0,
) -> "torch.Tensor":
    """(1 - w) CE(y, z_s) + w s KL_k, s = T^2 if `t_squared` else 1; the mean over the tokens, in nats.

    listed int64 [N, k] are the teacher's k likeliest tokens, p float32 [N, k] its softmax(z_t / T) of them, and `rest`
    [N] that of all others together, so that
    KL_k = sum_{j<=k} p_j log(p_j / q_j) + rest log(rest / q_rest), q = softmax(z_s / T), q_rest the sum of the others.
    By the chain rule KL = KL_k + rest KL(p' || q'), with p' and q' the others' distributions among themselves: KL_k is
    KL where k = V, and never above it (`most_error` bounds the difference). A student is taught no order of the rest.

    Without a tail (rest 0, p made to sum to 1) it is, less a constant, what the public code of Chandrasegaran 2022's
    translations minimises: alpha T^2 CE(softmax(top4/T), log_softmax(z_s/T)) + (1 - alpha) label-smoothed CE, with
    alpha = w and `hard_smoothing`.
    """
    from lskd.supervision.fused_kl import Hard, listed_kl
    from lskd.supervision.precision import precise

    factor = soft_weight * (temperature**2 if t_squared else 1.0)
    hard = Hard(tokens_n, 1 - soft_weight, hard_smoothing) if soft_weight < 1 else None
    return listed_kl(precise(student_logits_nv), listed_nk, p_nk, rest_n, temperature, factor, hard)


def most_error(
    student_logits_nv: "torch.Tensor",
    listed_nk: "torch.Tensor",
    p_nk: "torch.Tensor",
    rest_n: "torch.Tensor",
    temperature: float,
) -> "torch.Tensor":
    """How far KL_k can be below KL for each token, float64 [N], in nats (before T^2), by what the store knows.

    KL - KL_k = rest KL(p' || q') = rest (sum_j p'_j log p'_j - sum_j p'_j log q'_j), over the tokens not listed. Each
    p'_j is at most m = min_{j<=k} p_j / rest, so the first sum is at most log m; the second is at most
    max_j -log q'_j = logsumexp(z_s / T) - min(z_s / T), both over the tokens not listed.
    """
    import torch

    scaled_nv = student_logits_nv.double() / temperature
    sum_n = scaled_nv.scatter(1, listed_nk, -torch.inf).logsumexp(1)
    least_n = scaled_nv.scatter(1, listed_nk, torch.inf).amin(1)
    rest_n = rest_n.double()
    bound_n = rest_n * ((p_nk.double().amin(1) / rest_n).log() + sum_n - least_n)
    return torch.where(rest_n > 0, bound_n, 0.0)
