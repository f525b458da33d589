"""Brightness, contrast and colour in integers, equal to Pillow's: the same pixels on every device and in every batch.

N images, C channels (1 or 3), H x W pixels.
"""

import torch

from lskd.data.augment import Draw
from lskd.errors import UserError

UNIT = 4096  # of a factor: 1 is 4096 of them
_LUMA = (19595, 38470, 7471)  # ITU-R 601, in 65536ths, as Pillow has it


def jitter(images_nchw: torch.Tensor, draw: Draw, strength: float) -> torch.Tensor:
    """Brightness and contrast times factors from 1 ± `strength`, all equally likely, either one first.

    torchvision's ColorJitter(strength, strength, 0, 0), which Chandrasegaran 2022's code has for CUB (0.2).
    """
    factors_n = [in_units(1 + (2 * draw.uniform(name) - 1) * strength) for name in ("brightness", "contrast")]
    is_contrast_first_n = draw.uniform("jitter") < 0.5
    for is_contrast_n in (is_contrast_first_n, ~is_contrast_first_n):
        factor_n = torch.where(is_contrast_n, factors_n[1], factors_n[0])
        level_n = torch.where(is_contrast_n, mean_level(images_nchw), 0)
        images_nchw = blended(level_n[:, None, None, None], images_nchw, factor_n)
    return images_nchw


def grey(images_nchw: torch.Tensor, draw: Draw, probability: float) -> torch.Tensor:
    """Without colour in `probability` of the draws: torchvision's RandomGrayscale.

    Raises UserError for images of one channel.
    """
    if images_nchw.shape[1] == 1:
        raise UserError("recipes: found grey, but these images have one channel, so they are grey; leave grey out")
    is_grey_n = draw.uniform("grey") < probability
    return torch.where(is_grey_n[:, None, None, None], luma(images_nchw), images_nchw)


def luma(images_nchw: torch.Tensor) -> torch.Tensor:
    """The grey level of each pixel, uint8 [N, 1, H, W], as Pillow's `convert("L")`; of grey images, themselves."""
    if images_nchw.shape[1] == 1:
        return images_nchw
    red, green, blue = ((images_nchw[:, place].int() * weight) for place, weight in enumerate(_LUMA))
    return ((red + green + blue + 0x8000) >> 16).to(torch.uint8)[:, None]


def mean_level(images_nchw: torch.Tensor) -> torch.Tensor:
    """The mean grey level of each image, int64 [N], rounded half up."""
    levels_np = luma(images_nchw).flatten(1).long()
    return (2 * levels_np.sum(1) + levels_np.shape[1]) // (2 * levels_np.shape[1])


def in_units(factor_n: torch.Tensor) -> torch.Tensor:
    """Factors float64 [N] as whole numbers of 1 / UNIT."""
    return torch.round(factor_n * UNIT).long()


def blended(others: torch.Tensor, images_nchw: torch.Tensor, factor_n: torch.Tensor) -> torch.Tensor:
    """Others + factor (images - others), in 0..255, rounded down, as Pillow's `Image.blend`.

    Images uint8 [N, C, H, W]; others of that shape or one that expands to it; factors int64 [N], of 1 / UNIT.
    """
    first = others.int()
    sums_nchw = first * UNIT + factor_n.int()[:, None, None, None] * (images_nchw.int() - first)
    return (sums_nchw.clamp_(0, 255 * UNIT) >> (UNIT.bit_length() - 1)).to(torch.uint8)
