"""Trainings that advance as one: members share data, network and recipe, and differ in what teaches them, and in seed.

A batch is gathered and augmented once for all members of a seed. The members' weights are stacked, `torch.func.vmap`
runs all forward passes as one (linear layers as a batch of products, convolutions in groups, batch norm of each
member), and one step of the optimizer changes all. A member's own network and optimizer are views of its part of the
stacks, so that it takes stock of an epoch, saves and resumes as if it were alone, and is what it would be alone up to
rounding.

M members, N samples, K classes.
"""

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from lskd.data.sources import Batch
from lskd.errors import UserError
from lskd.jobs.work import Work
from lskd.training.checkpoint import stop_on_sigterm
from lskd.training.distributed import in_processes
from lskd.training.loop import BatchLoss, Training, Watch, precision
from lskd.training.team import Team

Along = Callable[[], list[tuple[Work, Callable[[], None]]]]
"""The jobs that may advance with one and wait, each with what seals its result: this process's once it has asked."""


def run(work: Work, along: Along) -> None:
    """Train a network as `work.functions["run"]` does; where it pays, as one with others, and seal theirs.

    Raises as that does. What cannot advance with it is left to its own job.
    """
    in_processes(work, precision(work), partial(train, along=along))


def train(work: Work, device: torch.device, team: Team, along: Along) -> None:
    """The same on a device."""
    lead = work.functions["member"](work, device, team)
    lead.resume()
    others = along() if pays(lead) else []
    members = [lead, *_beside(lead, [other for other, _ in others])]
    if len(members) == 1:
        lead.run()
        return
    for member in members:
        member.be_fused()
    members.sort(key=lambda member: member.work.address)  # the same bits whichever of their jobs began
    with stop_on_sigterm() as stop, ExitStack() as stack:
        watches = [stack.enter_context(member.watched(stop)) for member in members]
        ended = _trained(lead, members, watches)
        for member in ended:
            member.finish()
    for other, made in others:
        if any(member.work is other for member in ended):
            made()


@torch.no_grad()
def pays(training: Training) -> bool:
    """Whether to stack a network's members pays: on a GPU; on a CPU without convolutions; nowhere if it cannot be.

    Its random numbers, such as dropout's, would be others than alone.
    """
    layers = training.model.modules()
    if training.device.type == "cpu" and any(isinstance(layer, nn.modules.conv._ConvNd) for layer in layers):
        return False
    networks = [copy.deepcopy(training.model).train() for _ in range(2)]
    weights, buffers = stack_module_state(networks)
    batch = next(training.source.batches(training.batches_of(0)[:1]))
    try:
        forward = vmap(partial(functional_call, _bare(networks[0])), (0, None), randomness="error")
        forward((weights, buffers), batch.inputs)
    except (RuntimeError, ValueError):  # its text would be part of every training's code
        print(f"{training.work.title}: trained alone, as its network cannot be stacked", file=sys.stderr)
        return False
    return True


def _beside(lead: Training, works: list[Work]) -> Iterator[Training]:
    """Those of some jobs that are as far as the first; a job's own mistake it tells itself."""
    for work in works:
        work.environment |= lead.work.environment
        try:
            training = work.functions["member"](work, lead.device, lead.team)
            training.resume()
        except UserError:
            continue
        if training.step == lead.step:
            yield training


def _trained(own: Training, members: list[Training], watches: list[Watch]) -> list[Training]:
    """Train to the end; those that came there. UserError where this process's own does not."""
    fused = Fused(members)
    while own.step < own.steps:
        lost = fused.advance(watches, own)
        if lost:
            kept = [place for place, member in enumerate(members) if member not in lost]
            members, watches = [members[place] for place in kept], [watches[place] for place in kept]
            fused = Fused(members)
    return members


class Fused:
    """Members that advance together."""

    def __init__(self, members: list[Training]) -> None:
        self.members, self.lead = members, members[0]
        weights, self.buffers = stack_module_state([member.model for member in members])
        self.weights: dict[str, Any] = weights
        trained = [weight for weight in self.weights.values() if weight.requires_grad]
        self.optimizer = self.lead.work.functions["optimizer"](self.lead.recipe, trained)
        self.sums = torch.stack([member.sums for member in members])
        self.network = _bare(self.lead.model)
        for place, member in enumerate(members):
            self._share(member, place)

    def _share(self, member: Training, place: int) -> None:
        """Make a member's tensors views of its part of the stacks, with the values that it has."""
        for name, tensor in (*member.model.named_parameters(), *member.model.named_buffers()):
            tensor.data = (self.weights | self.buffers)[name].data[place]
        for name, stacks in self.optimizer.state.items():
            for number, stack in enumerate(stacks):
                own = member.optimizer.state[name][number]
                part = stack[place] if stack.dim() > own.dim() else stack  # else a count of steps, which they share
                member.optimizer.state[name][number] = part.copy_(own)
        member.sums = self.sums[place]
        member.loss_sum, member.correct = member.sums.unbind()

    def advance(self, watches: list[Watch], own: Training) -> list[Training]:
        """Train to the end of the current epoch and have each take stock of it; those that could not.

        UserError where that is this process's own.
        """
        epoch = self.lead.step // self.lead.steps_per_epoch
        draws, losses = zip(*[member.objective(epoch) for member in self.members], strict=True)
        together = Losses(losses, self.lead.device)
        for samples, batches in self._batches([draw for draw, *_ in draws]):
            self.step(batches, together, samples)
            is_within_epoch = self.lead.step % self.lead.steps_per_epoch > 0
            _tell([partial(watch.after_step, self.lead.step, is_within_epoch=is_within_epoch) for watch in watches])
        lost: list[Training] = []
        for member in self.members:
            try:
                member.end_epoch(epoch + 1)
            except UserError:
                if member is own:
                    raise
                lost.append(member)
        whole = [pair for pair in zip(self.members, watches, strict=True) if pair[0] not in lost]
        _tell([partial(watch.after_epoch, member.history[-1]) for member, watch in whole])
        return lost

    def _batches(self, draws: list[int]) -> Iterator[tuple[int, list[Batch]]]:
        """The batches that are still to come of the epoch, with their samples: each member's, one of a seed."""
        streams = [
            (member.seed, member.augmentation.key, draw) for member, draw in zip(self.members, draws, strict=True)
        ]
        firsts = {stream: streams.index(stream) for stream in streams}
        each = [self.members[place].batches_left(draws[place]) for place in firsts.values()]
        for parts in zip(*each, strict=True):
            of_stream = dict(zip(firsts, parts, strict=True))
            yield parts[0][0], [of_stream[stream][1] for stream in streams]

    def step(self, batches: Sequence[Batch], losses: "Losses", samples: int) -> torch.Tensor:
        """A step of every member on a batch of so many samples, which they may share; their losses [M]."""
        self.optimizer.lr = self.lead.lr_at(self.lead.step)
        inputs, axis = _together([batch.inputs for batch in batches])
        forward = vmap(partial(functional_call, self.network), (0, axis), randomness="error")
        with torch.autocast(self.lead.device.type, self.lead.amp, enabled=self.lead.amp is not None):
            logits_mnk = forward((self.weights, self.buffers), inputs).float()
        losses_m = losses(logits_mnk, batches)
        self.optimizer.zero_grad()
        (losses_m.sum() * self.lead.recipe.get("loss_scale", 1.0)).backward()
        self.optimizer.step()
        hard_targets, _ = _together([batch.hard_targets_n for batch in batches])
        self.sums[:, 0] += losses_m.detach() * samples
        self.sums[:, 1] += (logits_mnk.detach().argmax(2) == hard_targets).sum(1)
        for member in self.members:
            member.optimizer.lr = self.optimizer.lr
            member.step += 1
        return losses_m.detach()


class Losses:
    """The losses [M] of members: as one where they are one function of numbers of each member's, such as T."""

    def __init__(self, losses: Sequence[BatchLoss], device: torch.device) -> None:
        self.each, self.first = losses, losses[0]
        options = self.first.options
        own = [name for name in options if any(loss.options.get(name) != options[name] for loss in losses)]
        are_alike = all((loss.function, {*loss.options}) == (self.first.function, {*options}) for loss in losses)
        are_numbers = all(isinstance(loss.options[name], float) for loss in losses for name in own if are_alike)
        self.are_one = are_alike and are_numbers and "state" not in options
        self.same = {name: options[name] for name in options if name not in own}
        self.own: dict[str, torch.Tensor] = {}  # [M] each
        if self.are_one:
            values = {name: [loss.options[name] for loss in losses] for name in own}
            self.own = {name: torch.tensor(each, dtype=torch.float64, device=device) for name, each in values.items()}

    def __call__(self, logits_mnk: torch.Tensor, batches: Sequence[Batch]) -> torch.Tensor:
        """Of a batch of each."""
        if self.are_one:
            try:
                return self._as_one(logits_mnk, batches)
            except (RuntimeError, TypeError, ValueError):
                self.are_one = False  # it asks what a number is, such as whether a weight is 1
        return torch.stack([loss(*each) for loss, *each in zip(self.each, logits_mnk, batches, strict=True)])

    def _as_one(self, logits_mnk: torch.Tensor, batches: Sequence[Batch]) -> torch.Tensor:
        each = [loss.taught(batch) for loss, batch in zip(self.each, batches, strict=True)]
        taught = tuple(torch.stack(parts) for parts in zip(*each, strict=True))
        targets, axis = _together([batch.targets for batch in batches])

        def loss(logits_nk: torch.Tensor, targets: torch.Tensor, taught: Any, own: Any) -> torch.Tensor:
            return self.first.function(logits_nk, targets, *taught, **self.same, **own).to(logits_nk.dtype)

        losses_m: torch.Tensor = vmap(loss, (0, axis, 0, 0))(logits_mnk, targets, taught, self.own)
        return losses_m


def _together(parts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, int | None]:
    """The one tensor that members share and None; or each one's, stacked, and the axis of members."""
    if all(part is parts[0] for part in parts):
        return parts[0], None
    return torch.stack([*parts]), 0


def _bare(network: nn.Module) -> nn.Module:
    """A network in training without weights of its own."""
    return copy.deepcopy(network).to("meta").train()


def _tell(acts: list[Callable[[], None]]) -> None:
    """Do all, even where one ends this process, as after a signal."""
    with ExitStack() as stack:
        for act in reversed(acts):  # the last is done first
            stack.callback(act)
