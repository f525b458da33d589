"""Augmentation in plain Python, pixel by pixel: what the tests of tensors are compared with."""

import hashlib

import numpy as np
from PIL import Image
from scipy.stats import beta

MASK = 2**64 - 1


def splitmix64(value: int) -> int:
    """One step of the published generator, in Python's own integers (its reference code in C, line by line)."""
    z = (value + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def bits(key: int, sample: int, draw: int, stream: str = "") -> int:
    """64 random bits of a sample at a draw."""
    if stream:
        key ^= int.from_bytes(hashlib.blake2b(f"{stream}\0000".encode(), digest_size=8).digest(), "little") >> 1
    return splitmix64((splitmix64((splitmix64(key & MASK) + sample) & MASK) + draw) & MASK)


def augment(images_nchw: np.ndarray, samples, draw: int, key: int, padding: int = 0, flip: bool = False) -> np.ndarray:
    """Each image cropped from its padded self, then perhaps mirrored."""
    out = np.zeros_like(images_nchw)
    count, channels, height, width = images_nchw.shape
    for n in range(count):
        drawn = bits(key, int(samples[n]), draw)
        place = (drawn >> 1) % (2 * padding + 1) ** 2
        down, right = place // (2 * padding + 1) - padding, place % (2 * padding + 1) - padding
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    x_cropped = width - 1 - x if flip and drawn & 1 else x
                    y_in, x_in = y + down, x_cropped + right
                    if 0 <= y_in < height and 0 <= x_in < width:
                        out[n, c, y, x] = images_nchw[n, c, y_in, x_in]
    return out


def partner(key: int, sample: int, draw: int, samples: int) -> int:
    """The sample that one is blended with."""
    return (bits(key, sample, draw, "partner") >> 1) % samples


def share(key: int, sample: int, draw: int, alpha: float) -> float:
    """The share of a sample in its blend: a quantile of Beta(alpha, alpha)."""
    return float(np.float32(beta.ppf(uniform(key, sample, draw, "mixup"), alpha, alpha)))


def uniform(key: int, sample: int, draw: int, stream: str) -> float:
    """A number from [0, 1) of a sample at a draw."""
    return (bits(key, sample, draw, stream) >> 11) * 2.0**-53


def pillow(image_chw: np.ndarray) -> Image.Image:
    """An image of one or three channels as Pillow's."""
    return Image.fromarray(image_chw[0] if len(image_chw) == 1 else np.ascontiguousarray(image_chw.transpose(1, 2, 0)))


def array(image: Image.Image) -> np.ndarray:
    """Pillow's image as uint8 [C, H, W]."""
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
