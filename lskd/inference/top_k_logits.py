"""The k largest of a teacher's logits on the images that its students see, and what all others are together.

N samples, K classes, k listed of each, D temperatures.
"""

from collections.abc import Iterator

import torch

from lskd.inference.teacher_logits import Batches, drawn
from lskd.io.store import Array, write_top_k
from lskd.jobs.work import Work
from lskd.training.device import device_of

Stored = tuple[int, Array, Array, Array, Array, Array]
"""An augmentation draw, its samples [N], labels [N], classes [N, k], tail [N, D] and logits [N, k]."""


def run(work: Work) -> None:
    """Write the `k` largest of a network's logits, as `lskd.inference.teacher_logits.run` writes all of them."""
    with device_of(work) as device:
        store(work, device)


def store(work: Work, device: torch.device, batches: Batches | None = None) -> None:
    """The same on a device; `batches` as there."""
    spec = work.spec
    classes, draws = drawn(work, device, batches)
    k = min(spec["k"], classes)

    def each() -> Iterator[Stored]:
        for draw, samples_n, labels_n, logits_nk in draws:
            listed_nk, top_nk, tail_nd = work.functions["keep"](torch.from_numpy(logits_nk), k, spec["temperatures"])
            yield draw, samples_n, labels_n, listed_nk.numpy(), tail_nd.numpy(), top_nk.numpy()

    path, tails = work.folder / "logits.parquet", len(spec["temperatures"])
    write_top_k(path, each(), k, tails, spec["dtype"], work.origin)
