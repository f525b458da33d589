"""Knowledge distillation from the k likeliest classes of a teacher, with what it gives the rest, or truncated to them.

N images, or target tokens of a translation, B of them in a block; V classes, or tokens of the vocabulary; k listed of
each; D temperatures.
"""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lskd.study.options import REQUIRED, Option
from lskd.supervision.precision import precise
from lskd.supervision.shared import HARD_SMOOTHING, SOFT_WEIGHT, T_SQUARED, TEMPERATURE

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
TASKS = ("images", "translation")
FORM = "top_k"  # of the teacher's stored logits
CACHED_ROWS = 16  # of thousands of float64, in which a processor's cache has room for every T's
OPTIONS = (
    TEMPERATURE,
    Option(
        "k",
        Annotated[int, Field(ge=1, le=1024)],
        REQUIRED,
        "classes, or tokens, kept of each distribution",
        short="k",
        axis=True,
    ),
    Option(
        "tail",
        bool,
        True,
        "the teacher's probability of all others is kept; false: the k alone, made to sum to 1 (papers' code, 4)",
        short={False: "notail"},
        axis=True,
    ),
    SOFT_WEIGHT,
    T_SQUARED,
    HARD_SMOOTHING,
)


def loss(
    student_logits_nv: "torch.Tensor",
    targets: "torch.Tensor",
    listed_nk: "torch.Tensor",
    p_nk: "torch.Tensor",
    rest_n: "torch.Tensor",
    *,
    temperature: float,
    soft_weight: float = 1.0,
    t_squared: bool = True,
    hard_smoothing: float = 0.0,
) -> "torch.Tensor":
    """(1 - w) CE(y, z_s) + w s KL_k, s = T^2 if `t_squared` else 1; the mean over images or tokens, in nats.

    Targets are int64 [N], or of blended images probabilities [N, V], smoothed by `hard_smoothing` in the uniform form.
    listed int64 [N, k] are the teacher's k likeliest, p float32 [N, k] its softmax(z_t / T) of them, and `rest`
    [N] that of all others together, so that
    KL_k = sum_{j<=k} p_j log(p_j / q_j) + rest log(rest / q_rest), q = softmax(z_s / T), q_rest the sum of the others.
    By the chain rule KL = KL_k + rest KL(p' || q'), with p' and q' the others' distributions among themselves: KL_k is
    KL where k = V, and never above it (`most_error` bounds the difference). A student is taught no order of the rest.

    Without a tail (rest 0, p made to sum to 1) it is, less a constant, what the public code of Chandrasegaran 2022's
    translations minimises: alpha T^2 CE(softmax(top4/T), log_softmax(z_s/T)) + (1 - alpha) label-smoothed CE, with
    alpha = w and `hard_smoothing`.
    """
    from lskd.supervision import labels
    from lskd.supervision.fused_kl import Hard, listed_kl

    student_nv = precise(student_logits_nv)
    factor = soft_weight * (temperature**2 if t_squared else 1.0)
    if soft_weight == 1:
        return listed_kl(student_nv, listed_nk, p_nk, rest_n, temperature, factor)
    if targets.dim() == 1:  # in one pass
        hard = Hard(targets, 1 - soft_weight, hard_smoothing)
        return listed_kl(student_nv, listed_nk, p_nk, rest_n, temperature, factor, hard)
    of_labels = labels.loss(student_nv, targets, label_smoothing=hard_smoothing)
    return (1 - soft_weight) * of_labels + listed_kl(student_nv, listed_nk, p_nk, rest_n, temperature, factor)


def top_k(
    logits_nv: "torch.Tensor", k: int, temperatures: list[float]
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """What is stored of a teacher: its k likeliest, int64 [N, k], their raw logits, and the tail, float32 [N, D].

    The tail is the log-sum-exp of z / T over all others, at each T; -inf where there are none.
    """
    import torch

    top_nk, listed_nk = logits_nv.topk(min(k, logits_nv.shape[1]), 1)
    rows = CACHED_ROWS if logits_nv.device.type == "cpu" else max(1, len(logits_nv))
    tails = []
    for logits_bv, listed_bk in zip(logits_nv.split(rows), listed_nk.split(rows), strict=True):
        rest_bv = logits_bv.double().scatter(1, listed_bk, -torch.inf)
        tails.append(torch.stack([(rest_bv / t).logsumexp(1) for t in temperatures], 1).float())
    return listed_nk, top_nk, torch.cat(tails)


def softened(
    top_nk: "torch.Tensor", tail_n: "torch.Tensor | None", temperature: float
) -> "tuple[torch.Tensor, torch.Tensor]":
    """The teacher's softmax(z / T) of what is listed, float32 [N, k], and of the others together [N].

    `tail` is that at T; without one the listed classes are all that there is.
    """
    import torch

    scaled_nk = top_nk.double() / temperature
    tail_n = torch.full_like(scaled_nk[:, 0], -torch.inf) if tail_n is None else tail_n.double()
    sum_n = torch.logaddexp(scaled_nk.logsumexp(1), tail_n)
    return (scaled_nk - sum_n[:, None]).exp().float(), (tail_n - sum_n).exp().float()


def most_error(
    student_logits_nv: "torch.Tensor",
    listed_nk: "torch.Tensor",
    p_nk: "torch.Tensor",
    rest_n: "torch.Tensor",
    temperature: float,
) -> "torch.Tensor":
    """How far KL_k can be below KL for each row, float64 [N], in nats (before T^2), by what the store knows.

    KL - KL_k = rest KL(p' || q') = rest (sum_j p'_j log p'_j - sum_j p'_j log q'_j), over all not listed. Each
    p'_j is at most m = min_{j<=k} p_j / rest, so the first sum is at most log m; the second is at most
    max_j -log q'_j = logsumexp(z_s / T) - min(z_s / T), both over all not listed.
    """
    import torch

    scaled_nv = student_logits_nv.double() / temperature
    sum_n = scaled_nv.scatter(1, listed_nk, -torch.inf).logsumexp(1)
    least_n = scaled_nv.scatter(1, listed_nk, torch.inf).amin(1)
    rest_n = rest_n.double()
    bound_n = rest_n * ((p_nk.double().amin(1) / rest_n).log() + sum_n - least_n)
    return torch.where(rest_n > 0, bound_n, 0.0)
