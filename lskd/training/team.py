"""Processes that train one network together: each has its part of every batch, and does what one process would.

The same samples in the same batches at the same draws; the loss, the statistics of batch norm and the masks of dropout
are those of the whole batch; so all weights are one process's but for rounding, and the same in every process. (Torch's
own DistributedDataParallel has none of the three: it averages losses of parts, each normalised by itself.)

N samples of a whole batch, C channels, K classes.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from lskd.data.sources import Source
from lskd.models.network import blocks, evaluation_sums

Loss = Callable[..., torch.Tensor]


class Team:
    """All processes of a training, as one of them sees them: its rank from 0, their number, the batch at hand."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self.samples = 0  # of the whole batch at hand

    @property
    def leads(self) -> bool:
        """Whether this process is the one that tells and writes."""
        return self.rank == 0

    def part(self, whole: torch.Tensor) -> torch.Tensor:
        """This process's part of a tensor [N, ...]; the parts are in order, and differ by one in size at most."""
        return whole.tensor_split(self.size)[self.rank]

    def whole(self, part: torch.Tensor) -> torch.Tensor:
        """The tensor [N, ...] of which each process has its part of the batch at hand."""
        if self.size == 1:
            return part
        return _Whole.apply(part, self)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of all processes' values."""
        if self.size == 1:
            return value
        return _Total.apply(value)

    def of_whole_batch(self, loss: Loss) -> Loss:
        """A loss of the parts of its tensors that is the loss of the whole ones, in every process."""
        if self.size == 1:
            return loss
        return lambda *parts, **options: loss(*map(self.whole, parts), **options)

    def share(self, network: nn.Module) -> None:
        """Make batch norm and dropout those of whole batches; their names and weights stay as they are."""
        if self.size == 1:
            return
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.forward = partial(_batch_norm, module, self)  # type: ignore[method-assign]
            elif type(module) is nn.Dropout:
                module.forward = partial(_dropout, module, self)  # type: ignore[method-assign]

    def sum_gradients(self, parameters: Iterable[torch.Tensor]) -> None:
        """Give each parameter the gradient of the whole batch."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        for gradient, summed in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(summed.view(gradient.shape))

    def evaluate(self, network: nn.Module, source: Source) -> tuple[float, float]:
        """As `lskd.models.network.evaluate`, each process on some of the blocks."""
        own = blocks(source)[self.rank :: self.size]
        loss, top1 = (self.total(evaluation_sums(network, source, own)) / len(source)).tolist()
        return loss, top1

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leader goes first, and nobody goes on before all did."""
        if self.size > 1 and not self.leads:
            dist.barrier()
        yield
        if self.size > 1 and self.leads:
            dist.barrier()
        if self.size > 1:
            dist.barrier()

    @property
    def sizes(self) -> list[int]:
        """How many samples of the batch at hand each process has."""
        each, more = divmod(self.samples, self.size)
        return [each + (rank < more) for rank in range(self.size)]

    @property
    def own(self) -> slice:
        """Where this process's samples lie in the batch at hand."""
        first = sum(self.sizes[: self.rank])
        return slice(first, first + self.sizes[self.rank])


ALONE = Team()


class _Whole(torch.autograd.Function):
    """All parts in order. As each process has the loss of the whole, its gradient is that of its own part."""

    @staticmethod
    def forward(ctx: Any, part: torch.Tensor, team: Team) -> torch.Tensor:
        ctx.own = team.own
        padded = part.new_zeros(team.sizes[0], *part.shape[1:])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in range(team.size)]
        dist.all_gather(parts, padded)
        return torch.cat([each[:size] for each, size in zip(parts, team.sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0][ctx.own], None


class _Total(torch.autograd.Function):
    """The sum over processes; as it enters the computation of all, its gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        return _summed(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _summed(gradients[0])


def _summed(value: torch.Tensor) -> torch.Tensor:
    summed = value.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(summed)
    return summed


def _batch_norm(norm: nn.modules.batchnorm._BatchNorm, team: Team, inputs: torch.Tensor) -> torch.Tensor:
    """Batch norm of [N, C, ...] by the mean and variance of the whole batch, computed in float32."""
    if not norm.training:
        return type(norm).forward(norm, inputs)
    values, shape = inputs.float(), (1, -1, *[1] * (inputs.dim() - 2))
    axes = [0, *range(2, inputs.dim())]
    count = team.samples * math.prod(inputs.shape[2:])
    mean_c = team.total(values.sum(axes)) / count
    centred = values - mean_c.view(shape)
    variance_c = team.total(centred.square().sum(axes)) / count
    _remember(norm, mean_c.detach(), variance_c.detach() * count / (count - 1))
    normalised = centred * (variance_c + norm.eps).rsqrt().view(shape)
    if norm.affine:
        normalised = normalised * norm.weight.view(shape) + norm.bias.view(shape)
    return normalised.to(inputs.dtype)


@torch.no_grad()
def _remember(norm: nn.modules.batchnorm._BatchNorm, mean_c: torch.Tensor, variance_c: torch.Tensor) -> None:
    """Update the running statistics as torch does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    momentum = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean_c, momentum)
    norm.running_var.lerp_(variance_c, momentum)


def _dropout(dropout: nn.Dropout, team: Team, inputs: torch.Tensor) -> torch.Tensor:
    """Dropout by this process's part of the whole batch's mask, which all draw alike; on a CPU it is one process's."""
    if not dropout.training:
        return inputs
    kept = inputs.new_empty(team.samples, *inputs.shape[1:]).bernoulli_(1 - dropout.p).div_(1 - dropout.p)
    return inputs * kept[team.own]
