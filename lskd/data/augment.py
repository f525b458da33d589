"""Augmentation as a function of (key, sample, draw): no state, the same pixels on every device and in every batch.

N samples, C channels, H x W pixels.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F

_GAMMA = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed number, and so on
_FACTOR_1 = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_FACTOR_2 = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB

CLEAN = 0  # the draw that is the image as it is


def data_key(name: str, seed: int) -> int:
    """Make the key of a stream of draws, 63 bits, from a name and a seed; stable across versions and machines."""
    digest = hashlib.blake2b(f"{name}\0{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@dataclass(frozen=True)
class Draw:
    """What an augmentation of a batch may depend on: a key, the samples int64 [N], the number of the draw (from 1).

    `scale` is how many pixels of these images one pixel of the images that the augmentation was chosen for takes: a
    teacher of larger images sees its student's crop at its own size.
    """

    key: int
    ids_n: torch.Tensor
    number: int
    scale: float = 1.0

    def bits(self, stream: str = "") -> torch.Tensor:
        """64 random bits for each sample, int64 [N]; `stream` names an augmentation that shares none with others."""
        key = self.key ^ data_key(stream, 0) if stream else self.key
        hashed_key = _mix(torch.tensor(key))  # on the CPU: a number to a GPU's kernels, no copy to wait for
        return _mix(_mix(hashed_key + self.ids_n) + self.number)

    def uniform(self, stream: str) -> torch.Tensor:
        """A number from [0, 1) for each sample, float64 [N]."""
        return _shift_right(self.bits(stream), 11).double() * 2.0**-53


Single = Callable[[torch.Tensor, Draw, Any], torch.Tensor]
"""An augmentation of single images: from uint8 [N, C, H, W], the draw and its option to uint8 [N, C, H, W]."""

Mix = Callable[[torch.Tensor, torch.Tensor, Draw, Any], tuple[torch.Tensor, torch.Tensor]]
"""One that blends: from normalised images and others [N, C, H, W] to blended ones, and the first's share float [N]."""


Box = tuple[int, int, int, int]
"""A part of an image, in pixels: left, top, right, bottom; the last two are the first outside."""

Frame = Callable[[int, int], Box]
"""From an image's width and height to the part of it that is seen."""

Frames = Callable[[Draw, Any], list[Frame]]
"""An augmentation that frames: from the draw and its option to each sample's frame."""


@dataclass(frozen=True)
class Framing:
    """Which parts of images are seen at a draw: of some samples int64 [N] each one's frame.

    `scale`: by how much larger the images are than those for which the part was chosen, where that is all that is known
    of them; a part of the image as it is in its file needs none.
    """

    of: Callable[[torch.Tensor], list[Frame]]
    scale: float = 1.0


@dataclass(frozen=True)
class Augmentation:
    """How training images are drawn: a key, the augmentations of single images in their order, one that blends, and one
    that comes before all and frames.
    """

    key: int = 0
    singles: list[tuple[Single, Any]] = field(default_factory=list)
    mix: tuple[Mix, Any] | None = None
    scale: float = 1.0
    frames: tuple[Frames, Any] | None = None

    def draw(self, ids_n: torch.Tensor, number: int) -> Draw:
        """The draw of a batch."""
        return Draw(self.key, ids_n, number, self.scale)

    def framing(self, number: int) -> Framing | None:
        """The parts that are seen at a draw; None where it is all of an image."""
        if self.frames is None or number == CLEAN:
            return None
        function, value = self.frames
        return Framing(lambda ids_n: function(self.draw(ids_n, number), value), self.scale)

    def single(self, images_nchw: torch.Tensor, ids_n: torch.Tensor, number: int) -> torch.Tensor:
        """Images uint8 [N, C, H, W] as they are seen at a draw; at CLEAN, the very tensor."""
        if number == CLEAN:
            return images_nchw
        draw = self.draw(ids_n, number)
        for function, value in self.singles:
            images_nchw = function(images_nchw, draw, value)
        return images_nchw

    def partners(self, ids_n: torch.Tensor, number: int, samples: int) -> torch.Tensor:
        """The sample that each is blended with at a draw, int64 [N]."""
        return _shift_right(self.draw(ids_n, number).bits("partner"), 1) % samples

    def at_scale(self, scale: float) -> "Augmentation":
        """The same, seen at another image size."""
        return replace(self, scale=scale)


def crop(images_nchw: torch.Tensor, draw: Draw, padding: int) -> torch.Tensor:
    """A crop from the image padded with `padding` black pixels a side, each of the (2 p + 1)^2 places equally likely.

    At a scale the place is the same part of the image, to the nearest pixel.
    """
    channels, height, width = images_nchw.shape[1:]
    places = 2 * padding + 1
    place_n = _shift_right(draw.bits(), 1) % places**2
    down_n, right_n = place_n // places, place_n % places
    if draw.scale != 1:
        down_n, right_n = (torch.round(shift_n * draw.scale).long() for shift_n in (down_n, right_n))
        padding = round(padding * draw.scale)
        down_n, right_n = (shift_n.clamp(max=2 * padding) for shift_n in (down_n, right_n))
    rows_nh = torch.arange(height, device=images_nchw.device) + down_n[:, None]
    columns_nw = torch.arange(width, device=images_nchw.device) + right_n[:, None]
    index_np = (rows_nh[:, :, None] * (width + 2 * padding) + columns_nw[:, None, :]).flatten(1)
    padded_ncp = F.pad(images_nchw, (padding,) * 4).flatten(2)
    return padded_ncp.gather(2, index_np[:, None].expand(-1, channels, -1)).unflatten(2, (height, width))


def flip(images_nchw: torch.Tensor, draw: Draw, value: bool) -> torch.Tensor:
    """The mirrored image with probability 1/2."""
    mask_n = (draw.bits() & 1).to(torch.uint8).neg()  # 255 of the mirrored; torch.where takes 8 times as long
    changed_nchw = images_nchw.flip(3).bitwise_xor_(images_nchw).bitwise_and_(mask_n[:, None, None, None])
    return changed_nchw.bitwise_xor_(images_nchw)


def normalise(images_nchw: torch.Tensor, mean_c: torch.Tensor, std_c: torch.Tensor) -> torch.Tensor:
    """Turn uint8 images [N, C, H, W] into float32 (x / 255 - mean) / std, with mean and std [C] in 0..1."""
    scale_c, offset_c = 1 / (255 * std_c), mean_c / std_c
    return images_nchw.float().mul_(scale_c[:, None, None]).sub_(offset_c[:, None, None])


def _mix(values: torch.Tensor) -> torch.Tensor:
    """Take one step of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").

    The integer arithmetic wraps around, the same on every device.
    """
    values = values + _GAMMA
    values = (values ^ _shift_right(values, 30)) * _FACTOR_1
    values = (values ^ _shift_right(values, 27)) * _FACTOR_2
    return values ^ _shift_right(values, 31)


def _shift_right(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Shift int64 logically: torch's own shift keeps the sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)
