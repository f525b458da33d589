"""Random-resized crop (Szegedy 2015, "Going deeper with convolutions", section 6), as torchvision's RandomResizedCrop.

A part of the image, of a random share of its area and a random ratio of width to height, is resized to the whole.
N samples, C channels, H x W pixels.
"""

import math
from functools import partial

import numpy as np
import torch

from lskd.data.augment import Box, Draw, Frame

ATTEMPTS = 10  # after which the largest part in the middle is taken, as torchvision does
_HALF = 2.0**-32


def frames(draw: Draw, limits: list[float]) -> list[Frame]:
    """Of each sample a function from an image's width and height to its box at this draw.

    `limits` are the least and most share of the area, and the least and most ratio of width to height.
    """
    streams = ["resized_crop", *(f"resized_crop {attempt}" for attempt in range(ATTEMPTS))]
    bits_na = torch.stack([draw.bits(stream) for stream in streams], 1).cpu().numpy().view(np.uint64)
    uniform_na2 = np.stack([bits_na >> np.uint64(32), bits_na & np.uint64(0xFFFFFFFF)], 2) * _HALF
    return [partial(box, numbers, limits) for numbers in uniform_na2.tolist()]


def box(numbers: list[list[float]], limits: list[float], width: int, height: int) -> Box:
    """The box in an image of `width` x `height` pixels: left, top, right, bottom.

    `numbers` are pairs from [0, 1): of the place, then of area and ratio at each attempt. Area is uniform, the ratio's
    logarithm too; an attempt is taken that fits into the image, at a place of which each is equally likely.
    """
    least_area, most_area, least_ratio, most_ratio = limits
    place, *attempts = numbers
    for of_area, of_ratio in attempts:
        area = width * height * (least_area + of_area * (most_area - least_area))
        ratio = math.exp(math.log(least_ratio) + of_ratio * math.log(most_ratio / least_ratio))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = int(place[0] * (width - across + 1)), int(place[1] * (height - down + 1))
            return left, top, left + across, top + down
    across = min(width, max(1, round(height * most_ratio)))
    down = min(height, max(1, round(width / least_ratio)))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down
