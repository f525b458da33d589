"""The criterion: any loss of next-token logits in training; NLL and accuracy, unsmoothed, in validation.

N target tokens of a batch, padding not among them; V the vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.logging import metrics

from lskd.translation.batches import Sample, next_token_logits

TokenLoss = Callable[[torch.Tensor, torch.Tensor, Sample], torch.Tensor]
"""From logits [N, V], the tokens int64 [N] and their batch to the mean over the tokens, in nats."""


def cross_entropy(logits_nv: torch.Tensor, tokens_n: torch.Tensor, sample: Sample) -> torch.Tensor:
    """-log p of the token."""
    return F.cross_entropy(logits_nv, tokens_n)


@register_criterion("lskd_tokens")
class TokenCriterion(FairseqCriterion):
    """The loss is a mean already, so that fairseq divides no gradient by a number of tokens."""

    def __init__(self, task: Any, loss: TokenLoss = cross_entropy) -> None:
        super().__init__(task)
        self.loss = loss

    def forward(self, model: torch.nn.Module, sample: Sample) -> tuple[torch.Tensor, int, dict[str, Any]]:
        """The mean loss, by what gradients are divided (1), and what is logged.

        In evaluation mode the loss is the sum of the tokens' NLL.
        """
        logits_nv, tokens_n = next_token_logits(model, sample)
        tokens = len(tokens_n)
        sizes = {"ntokens": tokens, "nsentences": len(sample["id"])}  # fairseq's own names for what it logs
        if model.training:
            loss = self.loss(logits_nv, tokens_n, sample)
            return loss, 1, {"loss": loss.detach(), **sizes}
        nll = F.cross_entropy(logits_nv.float(), tokens_n, reduction="none").double().sum()
        correct = (logits_nv.argmax(1) == tokens_n).sum()
        return nll, 1, {"loss": nll / tokens, "nll": nll, "correct": correct, **sizes}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log the mean loss of an update's batches."""
        tokens = sum(output["ntokens"] for output in logging_outputs)
        total = sum(output["loss"] * output["ntokens"] for output in logging_outputs)
        metrics.log_scalar("loss", total / tokens, tokens)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """A mean cannot."""
        return False
