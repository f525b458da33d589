"""Sources: prepared data as batches on a device, resident in its memory or streamed from encoded images.

N samples, C channels, H x W pixels, K classes.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open

from lskd.data.augment import CLEAN, Augmentation, Box, Framing, normalise
from lskd.data.resize import resized_parts
from lskd.errors import UserError, mend
from lskd.io.shared import Shared

if TYPE_CHECKING:
    from lskd.jobs.work import Work

NONE = Augmentation()
CHUNK = {"cpu": 1 << 18, "cuda": 1 << 24}  # values of images that are prepared at once: 1 MB for a core's cache, 64 MB


@dataclass(frozen=True)
class Batch:
    """Samples in training.

    ids int64 [N]; inputs, normalised float32 [N, C, H, W]; targets, labels int64 [N] or, blended, probabilities
    float32 [N, K]; weight, by how much the batch counts in a mean: its samples.
    """

    ids_n: torch.Tensor
    inputs: torch.Tensor
    targets: torch.Tensor
    weight: int

    @property
    def hard_targets_n(self) -> torch.Tensor:
        """The most probable class of each target, int64 [N]."""
        return self.targets if self.targets.dim() == 1 else self.targets.argmax(1)


Fetch = Callable[[Sequence[torch.Tensor], Framing | None], Iterator[torch.Tensor]]
"""From batches of sample indices int64 [N], and which parts are seen, to their images uint8 [N, C, H, W] on the device,
batch by batch."""


@dataclass(frozen=True)
class Source:
    """One split of prepared data: how its images come, labels int64 [N], train's mean and std float32 [C] in 0..1."""

    fetch: Fetch
    shape: tuple[int, int, int]
    labels_n: torch.Tensor
    mean_c: torch.Tensor
    std_c: torch.Tensor
    classes: list[str]

    def __len__(self) -> int:
        return len(self.labels_n)

    @property
    def device(self) -> torch.device:
        """Where its batches are."""
        return self.labels_n.device

    def batches(
        self, ids: Sequence[torch.Tensor], draw: int = CLEAN, augmentation: Augmentation = NONE
    ) -> Iterator[Batch]:
        """The batches of these sample indices (int64 [N] each, on the device) at an augmentation draw."""
        if augmentation.mix is not None and draw != CLEAN:
            yield from self._blends(ids, draw, augmentation)
            return
        chunks = list(self._chunks(ids))
        together = [torch.cat(chunk) for chunk in chunks]
        images = self.fetch(together, augmentation.framing(draw))
        for chunk, ids_n, images_nchw in zip(chunks, together, images, strict=True):
            sizes = [len(each) for each in chunk]
            inputs = self._inputs(images_nchw, ids_n, draw, augmentation).split(sizes)
            for own_n, own_nchw, labels_n in zip(chunk, inputs, self.labels_n[ids_n].split(sizes), strict=True):
                yield Batch(own_n, own_nchw, labels_n, len(own_n))

    def _chunks(self, ids: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
        """The batches, as many together as are prepared at once: most of a small operation is its beginning."""
        most = CHUNK[self.device.type] // math.prod(self.shape)
        chunk: list[torch.Tensor] = []
        for ids_n in ids:
            if chunk and sum(map(len, chunk)) + len(ids_n) > most:
                yield chunk
                chunk = []
            chunk.append(ids_n)
        if chunk:
            yield chunk

    def _inputs(
        self, images_nchw: torch.Tensor, ids_n: torch.Tensor, draw: int, augmentation: Augmentation
    ) -> torch.Tensor:
        """What a network sees of samples: images float32 [N, C, H, W]."""
        return normalise(augmentation.single(images_nchw, ids_n, draw), self.mean_c, self.std_c)

    def _blends(self, ids: Sequence[torch.Tensor], draw: int, augmentation: Augmentation) -> Iterator[Batch]:
        """The batches of blended images."""
        partners = [augmentation.partners(ids_n, draw, len(self)) for ids_n in ids]
        wanted = [torch.cat([ids_n, others_n]) for ids_n, others_n in zip(ids, partners, strict=True)]
        images = self.fetch(wanted, augmentation.framing(draw))
        for ids_n, both_n, images_nchw in zip(ids, wanted, images, strict=True):
            inputs = self._inputs(images_nchw, both_n, draw, augmentation)
            yield self._blended(ids_n, both_n[len(ids_n) :], inputs, draw, augmentation)

    def _blended(
        self, ids_n: torch.Tensor, others_n: torch.Tensor, inputs: torch.Tensor, draw: int, augmentation: Augmentation
    ) -> Batch:
        """A batch of blended images; `inputs` holds the images of `ids_n`, then those of `others_n`."""
        assert augmentation.mix is not None
        function, value = augmentation.mix
        first_nchw, second_nchw = inputs.split(len(ids_n))
        blended_nchw, share_n = function(first_nchw, second_nchw, augmentation.draw(ids_n, draw), value)
        first_nk, second_nk = (F.one_hot(self.labels_n[each], len(self.classes)) for each in (ids_n, others_n))
        targets_nk = share_n[:, None] * first_nk + (1 - share_n[:, None]) * second_nk
        return Batch(ids_n, blended_nchw, targets_nk, len(ids_n))


_SOURCES: Shared[Source] = Shared()

Stream = Callable[[Path, str, tuple[int, int, int], torch.device, int], Fetch]
"""From a file of encoded images, a split, an image's shape, a device and a number of workers to their images."""


def read_sources(work: "Work", splits: Sequence[str], device: torch.device, role: str = "data") -> dict[str, Source]:
    """These splits of the data that a job reads, after its files were compared with their seal."""
    path, encoded = work.read(role, "data.safetensors"), work.read(role, "images.arrow")
    stream: Stream | None = work.functions.get("stream")
    workers = work.runtime.workers

    def source(split: str) -> Source:
        read = partial(load_source, path, split, device, encoded, stream, workers)
        return _SOURCES.get(path, (split, device, stream, workers, encoded.stat().st_mtime_ns), read)

    return {split: source(split) for split in splits}


def load_source(
    path: Path,
    split: str,
    device: torch.device,
    encoded: Path | None = None,
    stream: Stream | None = None,
    workers: int = 1,
) -> Source:
    """The split "train", "val" or "test" of a prepared data file, its batches on `device`.

    Its images lie in the file, or in the file `encoded`, and then come through `stream`. Raises UserError where the
    file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            metadata = json.loads(file.metadata()["lskd"])
            labels_n = file.get_tensor(f"{split}_labels")
            mean_c, std_c = (torch.tensor(metadata[name], device=device) for name in ("mean", "std"))
            channels, height, width = metadata["shape"]
            classes = metadata["classes"]
            if stream is None or encoded is None or f"{split}_images" in file.keys():  # noqa: SIM118
                fetch = resident(file.get_tensor(f"{split}_images"))
            else:
                fetch = stream(encoded, split, (channels, height, width), device, workers)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged prepared data ({error}); {mend(path)}") from error
    return Source(fetch, (channels, height, width), labels_n, mean_c, std_c, classes)


def resident(images_nchw: torch.Tensor) -> Fetch:
    """Images of a tensor uint8 [N, C, H, W]; their parts are parts of the square that it holds."""

    def fetch(batches: Sequence[torch.Tensor], framing: Framing | None = None) -> Iterator[torch.Tensor]:
        for ids_n in batches:
            images = images_nchw.index_select(0, ids_n)  # whole images; indexing copies byte by byte
            yield images if framing is None else resized_parts(images, boxes_of(framing, ids_n, images))

    return fetch


def boxes_of(framing: Framing, ids_n: torch.Tensor, images_nchw: torch.Tensor) -> list[Box]:
    """The boxes of samples in their images; at a scale those chosen for the smaller ones, to the nearest pixel."""
    sides = images_nchw.shape[2:]
    height, width = (round(side / framing.scale) for side in sides)
    boxes = []
    for frame in framing.of(ids_n):
        left, top, right, bottom = (round(edge * framing.scale) for edge in frame(width, height))
        left, top = min(left, sides[1] - 1), min(top, sides[0] - 1)
        boxes.append((left, top, max(left + 1, min(right, sides[1])), max(top + 1, min(bottom, sides[0]))))
    return boxes


def augmentation_of(values: dict[str, Any], functions: dict[str, Callable[..., Any]], key: int) -> Augmentation:
    """The augmentation of a spec's `values` by name.

    A job's functions have, by the roles "augment 0 NAME", "augment 1 NAME", ... those of single images in their order,
    by "mix NAME" the one that blends and by "frame NAME" the one that frames.
    """
    roles = [role for role in functions if role.startswith("augment ")]
    roles.sort(key=lambda role: int(role.split()[1]))
    singles = [(functions[role], values[role.split()[-1]]) for role in roles]
    mixes, frames = (
        [(functions[role], values[role.split()[-1]]) for role in functions if role.startswith(kind)]
        for kind in ("mix ", "frame ")
    )
    return Augmentation(key, singles, mixes[0] if mixes else None, frames=frames[0] if frames else None)
