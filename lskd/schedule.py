"""What happens when: the learning rate of a step, the batches of an epoch. Pure functions of recipe, seed and count."""

import math
from typing import Any

import torch

from lskd.config import Recipe
from lskd.data.augment import data_key


def lr_factor(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """What `recipe.lr` is multiplied by at `step` (from 0).

    In warm-up it rises linearly, (step + 1) / steps of warm-up. Cosine, (1 + cos(pi t)) / 2 (Loshchilov & Hutter 2017,
    SGDR, eq. 5, one period), and linear, 1 - t, run with t from 0 at the end of warm-up to 1 at the end of training.
    Step and multi-step multiply by `decay` at the start of the epochs that they name, counted from the start of it all.
    """
    warmup = recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / (recipe.epochs * steps_per_epoch - warmup)
    if recipe.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if recipe.schedule == "linear":
        return 1 - done
    epoch = step // steps_per_epoch
    if recipe.schedule == "step":
        return recipe.decay ** (epoch // recipe.step_epochs)
    if recipe.schedule == "multistep":
        return recipe.decay ** sum(milestone <= epoch for milestone in recipe.milestones)
    return 1.0


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


def root_seed(spec: dict[str, Any]) -> int:
    """The seed of the label-trained run at the root of a run's chain of teachers."""
    while "teacher" in spec:
        spec = spec["teacher"]
    return int(spec["seed"])


def pixel_key(spec: dict[str, Any]) -> int:
    """The key of a run's augmentation; a student shares its teachers', to see the pixels that their logits are of."""
    return data_key(spec["data"]["dataset"], root_seed(spec))
