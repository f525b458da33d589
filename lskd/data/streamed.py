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
Parts = list[Future[torch.Tensor]]


def streamed(path: Path, split: str, shape: tuple[int, int, int], device: torch.device, workers: int) -> Fetch:
    """Images uint8 [N, C, H, W] from a file of encoded ones, decoded by `workers` threads."""
    encoded = EncodedImages(path)

    def decoded(ids_n: torch.Tensor, framing: Framing | None) -> torch.Tensor:
        ids = ids_n.tolist()
        frames: list[Frame | None] = [*framing.of(ids_n)] if framing else [None] * len(ids)
        images = []
        for i, content, frame in zip(ids, encoded.read(split, ids), frames, strict=True):
            images.append(torch.from_numpy(decode(content, shape[1], f"{path}: {split} image {i}", frame)))
        return torch.stack(images)

    def fetch(batches: Sequence[torch.Tensor], framing: Framing | None = None) -> Iterator[torch.Tensor]:
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[Parts] = deque()
            for ids_n in batches:
                parts = ids_n.cpu().split(-(-len(ids_n) // workers))
                waiting.append([pool.submit(decoded, part, framing) for part in parts])
                if len(waiting) > AHEAD:
                    yield _joined(waiting.popleft(), device)
            while waiting:
                yield _joined(waiting.popleft(), device)

    return fetch


def _joined(parts: Parts, device: torch.device) -> torch.Tensor:
    """The images of a batch that was decoded in parts."""
    return torch.cat([part.result() for part in parts]).to(device)
