"""Trainings that advance as one: members share data, network and recipe, and differ in what teaches them, and in seed.

A batch is gathered and augmented once for all members of a seed. The members' weights are stacked, `torch.func.vmap`
runs all forward passes as one (linear layers as one product or a batch of them, convolutions in groups, batch norm of
each member), and one step of the optimizer changes all. A member's own network and optimizer are views of its part of
the stacks, so that it takes stock of an epoch, saves and resumes as if it were alone, and is what it would be alone up
to rounding.

M members, N samples, K classes.
"""

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from lskd.data.sources import Batch
from lskd.errors import UserError
from lskd.jobs.work import Work
from lskd.training.checkpoint import Stop, stop_on_sigterm
from lskd.training.distributed import in_processes
from lskd.training.loop import BatchLoss, Training, Watch, precision
from lskd.training.team import Team

MOST_ON_CPU = 200_000  # weights: an MLP of 54,000 takes 0.3 to 0.7 of its time alone, one of 660,000 0.9 to 1.3

Along = Callable[[Callable[[Work], bool]], list[Callable[[], None]]]
"""Asks each job that may advance with one and waits whether it joins, then is this process's; what seals each."""


def run(work: Work, along: Along) -> None:
    """Train a network as `work.functions["run"]` does; where it pays, as one with others, and seal theirs.

    Raises as that does. What cannot advance with it, or no longer can, is left to its own job.
    """
    in_processes(work, precision(work), partial(train, along=along))


def train(work: Work, device: torch.device, team: Team, along: Along) -> None:
    """The same on a device."""
    own = work.functions["member"](work, device, team)
    own.resume()
    others: list[Training] = []

    def joins(other: Work) -> bool:
        other.environment |= work.environment
        training = other.functions["member"](other, device, team)
        training.resume()
        if training.step == own.step:
            others.append(training)
        return bool(training.step == own.step)

    seals = along(joins) if pays(own) else []
    if not others:
        own.run()
        return
    with stop_on_sigterm() as stop, ExitStack() as stack:
        Group(own, dict(zip(others, seals, strict=True)), stop, stack).run()


@torch.no_grad()
def pays(training: Training) -> bool:
    """Whether to stack a network's members pays: on a GPU; on a CPU if it is small and has no convolutions.

    Nowhere if it cannot be stacked: random numbers, such as dropout's, would be others than alone.
    """
    if training.work.runtime.track == "trackio":  # which knows one run of a process at a time
        return False
    if training.device.type == "cpu":
        layers, weights = training.model.modules(), training.model.parameters()
        is_large = sum(weight.numel() for weight in weights) > MOST_ON_CPU
        if is_large or any(isinstance(layer, nn.modules.conv._ConvNd) for layer in layers):
            return False
    networks = [copy.deepcopy(training.model).train() for _ in range(2)]
    stacks = stack_module_state(networks)
    batch = next(training.source.batches(training.batches_of(0)[:1]))
    try:
        forward = vmap(partial(functional_call, _bare(networks[0])), (0, None), randomness="error")
        forward(stacks, batch.inputs)
    except (RuntimeError, ValueError):  # its text would be part of every training's code
        print(f"{training.work.title}: trained alone, as its network cannot be stacked", file=sys.stderr)
        return False
    return True


class Group:
    """A job's own training and others that advance with it; an other that fails is left to its own job."""

    def __init__(self, own: Training, seals: dict[Training, Callable[[], None]], stop: Stop, stack: ExitStack) -> None:
        self.own, self.seals, self.stop = own, seals, stop
        self.seen = Stop()  # what is known of it at a step, the same for all
        self.watches: dict[Training, Watch] = {}
        # in an order that is the same, and so are the bits, whichever of their jobs began
        self.members = sorted([own, *seals], key=lambda member: member.work.address)

        def watch(member: Training) -> None:
            member.be_fused()
            self.watches[member] = stack.enter_context(member.watched(self.seen))

        self._each(watch)

    def run(self) -> None:
        """Train to the end, write, and seal the others'. Raises as its own alone would, the others saved."""
        while self.own.step < self.own.steps:
            self._train(self.own.step // self.own.steps_per_epoch)
        self._each(self._finish)

    def _each(self, act: Callable[[Training], None]) -> None:
        """Do something with each member, its own last, as that may end this process."""
        for member in [member for member in self.members if member is not self.own]:
            try:
                act(member)
            except SystemExit:  # it is saved; its own follows
                continue
            except (OSError, UserError):
                self.members = [each for each in self.members if each is not member]
        try:
            act(self.own)
        except (OSError, UserError):
            for member in self.members:
                if member in self.watches and member is not self.own:
                    with suppress(OSError, UserError):
                        self.watches[member].saver.save()
            raise

    def _train(self, epoch: int) -> None:
        """Train to the end of an epoch (from 0), and have each take stock of it."""
        objectives: dict[Training, tuple[int, BatchLoss]] = {}
        nothing = torch.empty(0, dtype=torch.int64, device=self.own.device)

        def prepare(member: Training) -> None:
            (draw, *_), loss = member.objective(epoch)
            loss.taught(Batch(nothing, nothing, nothing, 0))  # so that it is read now
            objectives[member] = draw, loss

        self._each(prepare)
        fused = Fused(self.members)
        losses = Losses([objectives[member][1] for member in self.members], self.own.device)
        for samples, batches in fused.batches_left([objectives[member][0] for member in self.members]):
            fused.step(batches, losses, samples)
            self.seen.number = self.stop.number
            self._each(self._after_step)
        self._each(partial(self._take_stock, epoch + 1))

    def _after_step(self, member: Training) -> None:
        self.watches[member].after_step(member.step, is_within_epoch=member.step % member.steps_per_epoch > 0)

    def _take_stock(self, epoch: int, member: Training) -> None:
        member.end_epoch(epoch)
        self.watches[member].after_epoch(member.history[-1])

    def _finish(self, member: Training) -> None:
        member.finish()
        if member is not self.own:
            self.seals[member]()


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

    def batches_left(self, draws: list[int]) -> Iterator[tuple[int, list[Batch]]]:
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
        options = {name: value for name, value in self.first.options.items() if name != "state"}
        own = [name for name in options if any(loss.options.get(name) != options[name] for loss in losses)]
        are_alike = all((loss.function, {*loss.options}) == (self.first.function, {*options}) for loss in losses)
        are_numbers = all(isinstance(loss.options[name], float) for loss in losses for name in own if are_alike)
        self.are_one = are_alike and are_numbers  # one that keeps a state is of other names
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


class _Linear(nn.Linear):
    """A linear layer whose members, where they share their input [N, D], are one product: [M x O, D] by [D, N].

    As `F.linear` it is M products, and their gradients M more, which are copied to be turned round.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[N, O]."""
        if input.dim() != 2:
            return super().forward(input)
        output_no = (self.weight @ input.t()).t()
        return output_no if self.bias is None else output_no + self.bias.to(output_no.dtype)


def _bare(network: nn.Module) -> nn.Module:
    """A network in training without weights of its own."""
    bare = copy.deepcopy(network).to("meta").train()
    for layer in bare.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = _Linear
    return bare
