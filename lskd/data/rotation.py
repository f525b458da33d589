"""Random rotation, as torchvision's RandomRotation of Pillow images: about the middle, black outside.

The nearest pixel is torchvision's default, so Yuan 2020's (15 degrees, CIFAR; 20, Tiny ImageNet); bilinear is
Chandrasegaran 2022's (45, CUB).
"""

import torch

from lskd.data.augment import Draw
from lskd.data.warp import warp


def rotation(images_nchw: torch.Tensor, draw: Draw, degrees: float) -> torch.Tensor:
    """Turned by an angle from ±`degrees`, all equally likely; each pixel takes the nearest one's value."""
    return rotated(images_nchw, _angles(draw, degrees), is_bilinear=False)


def rotation_bilinear(images_nchw: torch.Tensor, draw: Draw, degrees: float) -> torch.Tensor:
    """The same angle; each pixel takes the bilinear mean of the four nearest."""
    return rotated(images_nchw, _angles(draw, degrees), is_bilinear=True)


def rotated(images_nchw: torch.Tensor, degrees_n: torch.Tensor, is_bilinear: bool) -> torch.Tensor:
    """Images uint8 [N, C, H, W] turned counter-clockwise about their middle by float64 [N] degrees."""
    middle_2 = torch.tensor([images_nchw.shape[3] / 2, images_nchw.shape[2] / 2], dtype=torch.float64)
    middle_2 = middle_2.to(images_nchw.device)
    angle_n = torch.deg2rad(degrees_n)
    cos_n, sin_n = angle_n.cos(), angle_n.sin()
    linear_n22 = torch.stack([cos_n, -sin_n, sin_n, cos_n], 1).unflatten(1, (2, 2))
    shift_n2 = middle_2 - (linear_n22 * middle_2).sum(2)
    return warp(images_nchw, torch.cat([linear_n22, shift_n2[:, :, None]], 2), is_bilinear)


def _angles(draw: Draw, degrees: float) -> torch.Tensor:
    return (2 * draw.uniform("rotation") - 1) * degrees
