"""Knowledge distillation from tokens drawn at random from a teacher's distribution: unbiased at T = 1 (Anshumann 2025).

N tokens, V the vocabulary, m tokens listed of each.
"""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lskd.study.options import REQUIRED, Option
from lskd.supervision.shared import HARD_SMOOTHING, SOFT_WEIGHT, T_SQUARED, TEMPERATURE

if TYPE_CHECKING:
    import torch

NEEDS_TEACHER = True
TASKS = ("translation",)
FORM = "sample"  # of a translator's stored logits
OPTIONS = (
    TEMPERATURE,
    Option(
        "sampled",
        Annotated[int, Field(ge=1, le=1024)],
        REQUIRED,
        "draws from each distribution, at T = 1",
        short="n",
        axis=True,
    ),
    SOFT_WEIGHT,
    T_SQUARED,
    HARD_SMOOTHING,
)


def loss(
    student_logits_nv: "torch.Tensor",
    tokens_n: "torch.Tensor",
    listed_nm: "torch.Tensor",
    weights_nm: "torch.Tensor",
    *,
    temperature: float,
    soft_weight: float = 1.0,
    t_squared: bool = True,
    hard_smoothing: float = 0.0,
) -> "torch.Tensor":
    """(1 - w) CE(y, z_s) + w s KL(weights || softmax(z_s / T)), s = T^2 if `t_squared` else 1; the mean, in nats.

    listed int64 [N, m] holds every token that was drawn, and weights float32 [N, m] sum to 1. At T = 1 a weight is
    the token's count over the number of draws (random-sampling KD, Anshumann 2025, section 3), whose expectation is the
    teacher's probability: the gradient, softmax(z_s) - weights, is unbiased, and so is the cross-entropy; KL is above
    the teacher's on average, by its entropy less that of the weights, a constant to the student. Above T = 1 the
    weights (`sample_weights`) are a ratio of two means of few draws, and biased: the draws hardly reach the tokens that
    a softened teacher gives most of its probability.
    """
    import torch

    from lskd.supervision.fused_kl import Hard, listed_kl
    from lskd.supervision.precision import precise

    nothing_n = torch.zeros_like(weights_nm[:, 0])
    factor = soft_weight * (temperature**2 if t_squared else 1.0)
    hard = Hard(tokens_n, 1 - soft_weight, hard_smoothing) if soft_weight < 1 else None
    return listed_kl(precise(student_logits_nv), listed_nm, weights_nm, nothing_n, temperature, factor, hard)


def sample_weights(counts_nm: "torch.Tensor", logits_nm: "torch.Tensor", temperature: float) -> "torch.Tensor":
    """What tokens drawn at T = 1 weigh at T, float32 [N, m]: importance sampling that normalises itself.

    proportional to count p^(1/T) / p, with p proportional to exp(z_t); at T = 1 it is count / draws.
    """
    import torch

    # counts of 0 have a logarithm of -inf, and so a weight of 0
    return torch.softmax(counts_nm.float().log() + (1 / temperature - 1) * logits_nm.float(), 1)
