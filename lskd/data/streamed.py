"""Encoded images, decoded by threads some batches ahead: the same pixels as resident ones, to the bit."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from lskd.data.augment import Frame, Framing
from lskd.data.decode import decode
from lskd.data.encoded import EncodedImages
from lskd.data.sources import Fetch

AHEAD = 4  # batches that are decoded before they are needed
Waiting = tuple[torch.Tensor, list[Future[None]]]
"""A batch's images, and the parts of it that threads are still to fill."""


def streamed(path: Path, split: str, shape: tuple[int, int, int], device: torch.device, workers: int) -> Fetch:
    """Images uint8 [N, C, H, W] from a file of encoded ones, decoded by `workers` threads."""
    encoded = EncodedImages(path)

    def decode_into(images_nchw: torch.Tensor, ids_n: torch.Tensor, framing: Framing | None) -> None:
        ids, pixels_nchw = ids_n.tolist(), images_nchw.numpy()
        frames: list[Frame | None] = [*framing.of(ids_n)] if framing else [None] * len(ids)
        contents = encoded.read(split, ids)
        for place, (i, content, frame) in enumerate(zip(ids, contents, frames, strict=True)):
            pixels_nchw[place] = decode(content, shape[1], f"{path}: {split} image {i}", frame)

    def fetch(batches: Sequence[torch.Tensor], framing: Framing | None = None) -> Iterator[torch.Tensor]:
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[Waiting] = deque()
            for ids_n in batches:
                size = -(-len(ids_n) // workers)
                images_nchw = torch.empty(len(ids_n), *shape, dtype=torch.uint8)
                parts = zip(images_nchw.split(size), ids_n.cpu().split(size), strict=True)
                waiting.append((images_nchw, [pool.submit(decode_into, *part, framing) for part in parts]))
                if len(waiting) > AHEAD:
                    yield _filled(*waiting.popleft(), device)
            while waiting:
                yield _filled(*waiting.popleft(), device)

    return fetch


def _filled(images_nchw: torch.Tensor, parts: list[Future[None]], device: torch.device) -> torch.Tensor:
    """The images of a batch once all parts of it are decoded; raises what a part of it raised."""
    for part in parts:
        part.result()
    return images_nchw.to(device)
