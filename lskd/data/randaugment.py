"""RandAugment (Cubuk 2020, "RandAugment: Practical automated data augmentation with a reduced search space").

torchvision's table of 14 operations and 31 magnitudes on Pillow images, keyed by sample and draw.
N images, C channels (1 or 3), H x W pixels.
"""

from collections.abc import Callable
from typing import Any

import torch

from lskd.data.augment import Draw
from lskd.data.colour import blended, in_units, luma, mean_level
from lskd.data.rotation import rotated
from lskd.data.warp import warp

MAGNITUDES = 31
_TRANSLATION = 150 / 331  # of a side, at most

Operation = Callable[[torch.Tensor, torch.Tensor, float, float], torch.Tensor]
"""Of images uint8 [N, C, H, W], signs float64 [N] (1 or -1), a level in 0..1 and the images' scale."""


def randaugment(images_nchw: torch.Tensor, draw: Draw, value: list[int]) -> torch.Tensor:
    """`value` is [operations, magnitude of 0..30]: so many operations in turn, each one of all 14, equally likely."""
    operations, magnitude = value
    for number in range(operations):
        operation_n = (draw.uniform(f"operation {number}") * len(OPERATIONS)).long()
        sign_n = torch.where(draw.uniform(f"sign {number}") < 0.5, -1.0, 1.0).double()
        changed_nchw = images_nchw.clone()
        for place, operation in enumerate(OPERATIONS):
            chosen_m = (operation_n == place).nonzero().flatten()
            if len(chosen_m):
                level = magnitude / (MAGNITUDES - 1)
                changed_nchw[chosen_m] = operation(images_nchw[chosen_m], sign_n[chosen_m], level, draw.scale)
        images_nchw = changed_nchw
    return images_nchw


def identity(images_nchw: torch.Tensor, *rest: Any) -> torch.Tensor:
    """The image as it is."""
    return images_nchw


def shear_x(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Rows shifted by up to 0.3 of their distance from the top."""
    return _mapped(images_nchw, x_by_y=0.3 * level * sign_n)


def shear_y(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Columns shifted by up to 0.3 of their distance from the left."""
    return _mapped(images_nchw, y_by_x=0.3 * level * sign_n)


def translate_x(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Shifted to the side by up to 150/331 of the width, in whole pixels."""
    return _mapped(images_nchw, x=-_shift(images_nchw.shape[3], level, scale) * sign_n)


def translate_y(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Shifted down or up by up to 150/331 of the height, in whole pixels."""
    return _mapped(images_nchw, y=-_shift(images_nchw.shape[2], level, scale) * sign_n)


def rotate(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Turned by up to 30 degrees."""
    return rotated(images_nchw, 30 * level * sign_n, is_bilinear=False)


def brightness(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Times 1 ± 0.9 at most."""
    return blended(torch.zeros_like(images_nchw), images_nchw, _factor(sign_n, level))


def colour(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Colours times 1 ± 0.9 at most; a grey image stays as it is."""
    return blended(luma(images_nchw), images_nchw, _factor(sign_n, level))


def contrast(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Differences from the image's mean grey times 1 ± 0.9 at most."""
    return blended(mean_level(images_nchw)[:, None, None, None], images_nchw, _factor(sign_n, level))


def sharpness(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Differences from the smoothed image times 1 ± 0.9 at most."""
    return blended(_smoothed(images_nchw), images_nchw, _factor(sign_n, level))


def posterize(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """The upper 8 - 4 bits at least of each value."""
    return images_nchw & (256 - (1 << round(4 * level)))


def solarize(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Values from 255 (1 - level) on are inverted."""
    return torch.where(images_nchw < 255 * (1 - level), images_nchw, 255 - images_nchw)


def autocontrast(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Each channel stretched to 0..255."""
    low, high = images_nchw.flatten(2).long().aminmax(dim=2)
    low_nc11, high_nc11 = low[:, :, None, None], high[:, :, None, None]
    stretched_nchw = (images_nchw - low_nc11) * 255 // (high_nc11 - low_nc11).clamp(min=1)
    return torch.where(high_nc11 > low_nc11, stretched_nchw, images_nchw).to(torch.uint8)


def equalize(images_nchw: torch.Tensor, sign_n: torch.Tensor, level: float, scale: float) -> torch.Tensor:
    """Each channel's histogram made flat, as Pillow's `ImageOps.equalize`."""
    values_ncp = images_nchw.flatten(2).long()
    counts_nck = torch.zeros(*values_ncp.shape[:2], 256, dtype=torch.long, device=values_ncp.device)
    counts_nck.scatter_add_(2, values_ncp, torch.ones_like(values_ncp))
    largest_nc1 = values_ncp.amax(2, keepdim=True)
    step_nc1 = (values_ncp.shape[2] - counts_nck.gather(2, largest_nc1)) // 255
    below_nck = counts_nck.cumsum(2) - counts_nck
    table_nck = ((step_nc1 // 2 + below_nck) // step_nc1.clamp(min=1)).clamp(max=255)
    equal_ncp = torch.where(step_nc1 > 0, table_nck.gather(2, values_ncp), values_ncp)
    return equal_ncp.to(torch.uint8).view_as(images_nchw)


OPERATIONS: tuple[Operation, ...] = (
    identity,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
    rotate,
    brightness,
    colour,
    contrast,
    sharpness,
    posterize,
    solarize,
    autocontrast,
    equalize,
)


def _factor(sign_n: torch.Tensor, level: float) -> torch.Tensor:
    return in_units(1 + 0.9 * level * sign_n)


def _shift(side: int, level: float, scale: float) -> int:
    """Whole pixels of the images that the augmentation was chosen for, in pixels of these."""
    return round(int(_TRANSLATION * side / scale * level) * scale)


def _mapped(
    images_nchw: torch.Tensor, x: Any = 0.0, y: Any = 0.0, x_by_y: Any = 0.0, y_by_x: Any = 0.0
) -> torch.Tensor:
    """Each pixel's value from (x' + x_by_y y' + x, y' + y_by_x x' + y), the nearest; each number float64 [N] or one."""
    inverse_n23 = torch.eye(2, 3, dtype=torch.float64, device=images_nchw.device).repeat(len(images_nchw), 1, 1)
    inverse_n23[:, 0, 1], inverse_n23[:, 1, 0] = x_by_y, y_by_x
    inverse_n23[:, 0, 2], inverse_n23[:, 1, 2] = x, y
    return warp(images_nchw, inverse_n23, is_bilinear=False)


def _smoothed(images_nchw: torch.Tensor) -> torch.Tensor:
    """Pillow's SMOOTH: of each 3 x 3 pixels the mean with the middle one five times; the border stays."""
    height, width = images_nchw.shape[2:]
    inner_nchw = images_nchw[:, :, 1:-1, 1:-1].int() * 4
    for down in range(3):
        for right in range(3):
            inner_nchw += images_nchw[:, :, down : height - 2 + down, right : width - 2 + right]
    smoothed_nchw = images_nchw.clone()
    smoothed_nchw[:, :, 1:-1, 1:-1] = ((2 * inner_nchw + 13) // 26).to(torch.uint8)
    return smoothed_nchw
