"""What happens when: the learning rate of a step, the batches of an epoch. Pure functions of recipe, seed and count."""

import math
from collections.abc import Callable
from typing import Any

import torch

from lskd.data.augment import data_key

Recipe = dict[str, Any]  # of a spec: what is off is left out


Schedule = Callable[[Recipe, float, int], float]
"""From a recipe, the share of training done after warm-up (0 to 1) and the epoch (from 0) to the factor of lr."""


def lr_factor(recipe: Recipe, step: int, steps_per_epoch: int, schedule: Schedule) -> float:
    """What a recipe's lr is multiplied by at `step` (from 0).

    In warm-up it rises linearly, (step + 1) / steps of warm-up; then `schedule` tells.
    """
    warmup = recipe.get("warmup_epochs", 0) * steps_per_epoch
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / (recipe["epochs"] * steps_per_epoch - warmup)
    return schedule(recipe, done, step // steps_per_epoch)


def constant(recipe: Recipe, done: float, epoch: int) -> float:
    """1 throughout."""
    return 1.0


def cosine(recipe: Recipe, done: float, epoch: int) -> float:
    """(1 + cos(pi t)) / 2 (Loshchilov & Hutter 2017, SGDR, eq. 5, one period)."""
    return (1 + math.cos(math.pi * done)) / 2


def linear(recipe: Recipe, done: float, epoch: int) -> float:
    """1 - t."""
    return 1 - done


def step(recipe: Recipe, done: float, epoch: int) -> float:
    """Times `decay` every `step_epochs` epochs, counted from the start of it all."""
    return recipe["decay"] ** (epoch // recipe["step_epochs"])


def multistep(recipe: Recipe, done: float, epoch: int) -> float:
    """Times `decay` at the start of each epoch of `milestones`."""
    return recipe["decay"] ** sum(milestone <= epoch for milestone in recipe["milestones"])


def epoch_batches(seed: int, epoch: int, samples: int, batch_size: int) -> list[torch.Tensor]:
    """The shuffled batches of an epoch (from 0): int64 sample indices, a function of the arguments alone.

    The last batch may be smaller; a last batch of one sample joins the batch before it, as batch norm needs two.
    """
    order = torch.randperm(samples, generator=generator(f"shuffle {epoch}", seed))
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def generator(name: str, seed: int) -> torch.Generator:
    """A CPU generator for the stream of draws `name` of `seed`."""
    return torch.Generator().manual_seed(stream_seed(name, seed))


def stream_seed(name: str, seed: int) -> int:
    """32 bits (all that torch's CPU generator uses) for the stream of draws `name` of `seed`."""
    return data_key(name, seed) & 0xFFFFFFFF


def pixel_key(spec: dict[str, Any]) -> int:
    """The key of a run's augmentation; its teacher's logits are of the pixels that this draws, not of the teacher's."""
    return data_key(spec["pixels"]["key"], spec["pixels"]["seed"])
