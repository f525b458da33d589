"""Parts of images in memory resized to the whole image: the bits of Pillow's `crop(box).resize(size, BILINEAR)`.

N samples, C channels, H x W pixels.
"""

from collections.abc import Sequence

import torch

from lskd.data.augment import Box

_BITS = 22  # to which Pillow rounds the weights of pixels


def resized_parts(images_nchw: torch.Tensor, boxes: Sequence[Box]) -> torch.Tensor:
    """Of each image uint8 [N, C, H, W] its box (left, top, right, bottom), resized to H x W, antialiased.

    All sums are of whole numbers below 2^53, and so have the same bits on every device.
    """
    height, width = images_nchw.shape[2:]
    boxes_n4 = torch.tensor(boxes, dtype=torch.float64).to(images_nchw.device)
    left_n, top_n, right_n, bottom_n = boxes_n4.unbind(1)
    across_nww, down_nhh = _weights(left_n, right_n, width), _weights(top_n, bottom_n, height)
    rows_nchw = _rounded(images_nchw.double() @ across_nww[:, None].transpose(2, 3))
    return _rounded(down_nhh[:, None] @ rows_nchw).to(torch.uint8)


def _weights(first_n: torch.Tensor, end_n: torch.Tensor, size: int) -> torch.Tensor:
    """How much each of `size` pixels [N, out, in] of a line counts for each pixel that its part becomes, times 2^22.

    A triangle around the middle of the pixel in the part; where the part is larger, as much wider.
    """
    length_n11 = (end_n - first_n)[:, None, None]
    place = torch.arange(size, dtype=torch.float64, device=first_n.device)
    in_part_n1i = place - first_n[:, None, None]
    scale_n11 = length_n11 / size
    middle_no1 = (place[:, None] + 0.5) * scale_n11
    distance_noi = (in_part_n1i - middle_no1 + 0.5).abs() / scale_n11.clamp(min=1)
    is_in_n1i = (in_part_n1i >= 0) & (in_part_n1i < length_n11)
    weights_noi = torch.where(is_in_n1i, (1 - distance_noi).clamp(min=0), 0)
    return torch.floor(weights_noi / weights_noi.sum(2, keepdim=True) * 2**_BITS + 0.5)


def _rounded(sums: torch.Tensor) -> torch.Tensor:
    return torch.floor((sums + 2 ** (_BITS - 1)) / 2**_BITS).clamp(0, 255)
