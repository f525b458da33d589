"""From encoded images (PNG, JPEG, ...) to pixels: the one way, for images in memory and for streamed ones.

The shorter side is resized to `image_size` (bilinear, antialiased), then the centre is cropped, both as torchvision
does; or the part in a frame is resized to the whole. Of an animation the first image is taken; transparency is
dropped, and no rotation by EXIF is applied.
"""

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lskd.data import memory
from lskd.data.arrays import Block
from lskd.errors import UserError

if TYPE_CHECKING:  # torch, which a data job does without
    from lskd.data.augment import Frame

QUALITY = 95  # of JPEGs that are made smaller
_BLOCK = 64  # images a thread decodes at a time, fewer if their pixels take more than
_BLOCK_BYTES = 1 << 25
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # of all others, Pillow starts Ghostscript for one
_MODES = {  # how a user calls Pillow's modes; RGB is what is wanted
    "RGB": "",
    "1": "black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "PA": "palette with alpha",
    "RGBA": "with alpha",
}


def decode(content: bytes, image_size: int, name: str, frame: "Frame | None" = None) -> np.ndarray:
    """Decode an image file's bytes as RGB, uint8 [3, image_size, image_size]: its centre, or the part in its frame.

    Raises UserError, which begins with `name`, for what is no image of up to 8 bits a channel, or far too large.
    """
    image, _ = _opened(content, name)
    if frame is None:
        return _centre(image, image_size, name)
    part = image.crop(frame(*image.size))
    return _pixels(part.resize((image_size, image_size), Image.Resampling.BILINEAR))


def decode_noted(content: bytes, image_size: int, name: str) -> tuple[np.ndarray, str]:
    """`decode`, and what the image was before in a few words: "grey", "with alpha"; "" for RGB."""
    image, note = _opened(content, name)
    return _centre(image, image_size, name), note


def made_small(content: bytes, short_side: int, name: str) -> tuple[bytes, str]:
    """An image with no more than `short_side` pixels on its shorter side, and what it was before, as `decode_noted`.

    A larger one is resized (bilinear, antialiased) and encoded as a JPEG of quality 95, of 4:2:0 as most are; another
    stays as it is, to the byte. Raises UserError as `decode` does.
    """
    image, note = _opened(content, name)
    if min(image.size) <= short_side:
        return content, note
    file = io.BytesIO()
    _resized(image, short_side, name).save(file, "JPEG", quality=QUALITY)
    return file.getvalue(), note


def _centre(image: Image.Image, image_size: int, name: str) -> np.ndarray:
    image = _resized(image, image_size, name)
    left, top = (round((side - image_size) / 2) for side in image.size)
    return _pixels(image.crop((left, top, left + image_size, top + image_size)))


def _resized(image: Image.Image, short_side: int, name: str) -> Image.Image:
    scale = short_side / min(image.size)
    width, height = (max(short_side, int(side * scale)) for side in image.size)
    if width * height > (Image.MAX_IMAGE_PIXELS or 0):
        raise UserError(f"{name}: {image.width} x {image.height} pixels, far from a square; crop it or delete it")
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _pixels(image: Image.Image) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _opened(content: bytes, name: str) -> tuple[Image.Image, str]:
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            mode, is_transparent = image.mode, "transparency" in image.info
            image.load()
            rgb = image if mode == "RGB" else image.convert("RGB")  # which copies
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: has too many pixels ({error}); scale it down or delete it") from error
    except Exception as error:  # Pillow's plug-ins raise OSError, SyntaxError, ValueError, struct.error, ...
        raise UserError(f"{name}: does not decode as an image; replace it or delete it") from error
    if mode.startswith(("I", "F")):
        raise UserError(f"{name}: has more than 8 bits a channel (mode {mode}); convert it to 8 bits")
    note = _MODES.get(mode, mode)
    if is_transparent and "alpha" not in note:
        note = f"{note} with transparency".lstrip()
    if _is_16_bit_png(content):  # Pillow gives the upper 8 of its 16 bits
        note = f"16 bits a channel {note}".rstrip()
    return rgb, note


def _is_16_bit_png(content: bytes) -> bool:
    """Whether the header chunk, which comes first in a PNG, says so."""
    return content.startswith(b"\x89PNG\r\n\x1a\n") and content[24:25] == b"\x10"


@dataclass(frozen=True)
class EncodedSource:
    """Images somewhere else, as `arrays.Encoded`: `read` gives the bytes of those with some numbers, in their order.

    `numbers` (int64 [N]) are those of this source, `root` stands before names in messages.
    """

    read: Callable[[Sequence[int]], list[bytes]]
    numbers: np.ndarray
    root: Path
    image_size: int
    stream: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, mask_n: np.ndarray) -> "EncodedSource":
        return EncodedSource(self.read, self.numbers[mask_n], self.root, self.image_size, self.stream)

    def blocks(self, names: list[str], workers: int, short_side: int | None = None) -> Iterator[Block]:
        """Decode all in `workers` threads, a few blocks ahead; UserError for an image that does not decode.

        Where `short_side` is given, what is larger is made small, and the pixels are those that are left.
        """
        size = max(1, min(_BLOCK, _BLOCK_BYTES // (3 * self.image_size**2)))

        def decoded(start: int) -> Block:
            contents = self.read(self.numbers[start : start + size].tolist())
            paths = [f"{self.root / name}" for name in names[start : start + size]]
            notes = [""] * len(contents)
            if short_side is not None:
                small = [made_small(content, short_side, path) for content, path in zip(contents, paths, strict=True)]
                contents, notes = [content for content, _ in small], [note for _, note in small]
            block = [
                decode_noted(content, self.image_size, path) for content, path in zip(contents, paths, strict=True)
            ]
            notes = [before or note for before, (_, note) in zip(notes, block, strict=True)]
            return Block(contents, np.stack([pixels for pixels, _ in block]), notes)

        return _ahead(decoded, range(0, len(self), size), max(workers, 1))


def _ahead(function: Callable[[int], Block], starts: Sequence[int], workers: int) -> Iterator[Block]:
    """Map in threads and in order; no more than a few results wait, as each may be large."""
    pending: deque[Future[Block]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for start in starts:
            pending.append(pool.submit(function, start))
            if len(pending) > workers + 2:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def check_memory(count: int, image_size: int) -> None:
    """Refuse what cannot fit: `count` decoded images are held twice while they are written."""
    bytes_per_pixel = 2 * 3 * max(count, 1)
    needed, free = bytes_per_pixel * image_size**2, memory.available()
    if needed > free:
        raise UserError(
            f"image_size: {count:,} images of {image_size} x {image_size} need {needed / 1e9:,.1f} GB of memory and "
            f"{free / 1e9:,.1f} GB are free; lower it to {int((free / bytes_per_pixel) ** 0.5)} or less, or set "
            "data.stream: true"
        )
