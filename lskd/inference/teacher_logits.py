"""A teacher's logits on the augmentation draws of the training images that its students see."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from lskd.data.prepared import Split, load_split
from lskd.io.store import Array, write_logits
from lskd.jobs.work import Work
from lskd.models.network import all_logits, be_deterministic, blocks, load_model
from lskd.training.device import device_of
from lskd.training.schedules import pixel_key

Draw = tuple[int, Array, Array, Array]
"""An augmentation draw, its samples [N], labels [N] and logits [N, K]."""

Batches = Callable[[int], list[torch.Tensor]]
"""From a draw to the batches of sample indices in which it is forwarded."""


def run(work: Work) -> None:
    """Write a network's logits on its training images: at draw 0, the clean images, or at draws 1 to `draws`.

    Pixels are drawn by the spec's `augment` (crop_padding, flip) and `pixels`, values stored as its `dtype`.
    """
    with device_of(work) as device:
        store(work, device)


def store(work: Work, device: torch.device, batches: Batches | None = None) -> None:
    """The same on a device. A forward pass gives the same bits only for the same batch: `batches` asks for others."""
    be_deterministic(device)
    split = load_split(work.read("data", "data.safetensors"), "train", str(device))
    weights = work.read("weights", work.spec["weights"])
    network = load_model(work.functions["model"], work.spec["model"], split, device, weights)
    in_order = blocks(len(split.labels_n))
    each = _each(network, split, work.spec, batches or (lambda draw: in_order))
    write_logits(work.folder / "logits.parquet", each, len(split.classes), work.spec["dtype"], work.origin)


def _each(network: torch.nn.Module, split: Split, spec: dict[str, Any], batches: Batches) -> Iterator[Draw]:
    labels_n = split.labels_n.cpu().numpy()
    key, augment = (pixel_key(spec), spec["augment"]) if spec["draws"] else (0, {})
    for draw in range(1, 1 + spec["draws"]) if spec["draws"] else [0]:
        logits_nk = all_logits(network, split, draw, key, augment, batches(draw))
        yield draw, np.arange(len(labels_n)), labels_n, logits_nk.numpy()
