"""A teacher's logits on the augmentation draws of the training images that its students see."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from lskd.data.augment import CLEAN, Augmentation
from lskd.data.sources import Source, augmentation_of, read_sources
from lskd.io.store import Array, write_logits
from lskd.jobs.work import Work
from lskd.models.network import all_logits, be_deterministic, blocks, load_model
from lskd.training.device import device_of
from lskd.training.schedules import pixel_key

Stored = tuple[int, Array, Array, Array]
"""An augmentation draw, its samples [N], labels [N] and logits [N, K]."""

Batches = Callable[[int], list[torch.Tensor]]
"""From a draw to the batches of sample indices in which it is forwarded."""


def run(work: Work) -> None:
    """Write a network's logits on its training images: at draw 0, the clean images, or at draws 1 to `draws`.

    Pixels are drawn by the spec's `augment` and `pixels`, at `scale` where the student sees its images at another size;
    values are stored as its `dtype`.
    """
    with device_of(work) as device:
        store(work, device)


def store(work: Work, device: torch.device, batches: Batches | None = None) -> None:
    """The same on a device. A forward pass gives the same bits only for the same batch: `batches` asks for others."""
    classes, draws = drawn(work, device, batches)
    write_logits(work.folder / "logits.parquet", draws, classes, work.spec["dtype"], work.origin)


def drawn(work: Work, device: torch.device, batches: Batches | None = None) -> tuple[int, Iterator[Stored]]:
    """The number of classes, and the logits of one draw after the other."""
    be_deterministic(device)
    source = read_sources(work, ["train"], device)["train"]
    weights = work.read("weights", work.spec["weights"])
    build, epoch = work.functions["model"], work.spec.get("epoch")
    network = load_model(build, work.spec["model"], source, weights, epoch, work.runtime.channels_last)
    in_order = blocks(source)
    return len(source.classes), _each(network, source, work, batches or (lambda draw: in_order))


def _each(network: torch.nn.Module, source: Source, work: Work, batches: Batches) -> Iterator[Stored]:
    labels_n, spec = source.labels_n.cpu().numpy(), work.spec
    augmentation = Augmentation()
    if spec["draws"]:
        augmentation = augmentation_of(spec["augment"], work.functions, pixel_key(spec)).at_scale(
            spec.get("scale", 1.0)
        )
    for draw in range(1, 1 + spec["draws"]) if spec["draws"] else [CLEAN]:
        logits_nk = all_logits(network, source, batches(draw), draw, augmentation)
        yield draw, np.arange(len(labels_n)), labels_n, logits_nk.numpy()
