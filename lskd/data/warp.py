"""Affine maps of images in fixed point: the same pixels on every device and in every batch.

N images, C channels, H x W pixels.
"""

import torch

_FRACTION = 2.0**20  # of a map's entries: products with a coordinate are exact in float64
_WEIGHT = 256  # of a neighbour in bilinear interpolation: sums are exact in int32


def warp(images_nchw: torch.Tensor, inverse_n23: torch.Tensor, is_bilinear: bool) -> torch.Tensor:
    """The images uint8 [N, C, H, W] under the affine maps whose inverses are float64 [N, 2, 3].

    An inverse takes a pixel's centre (x + 1/2, y + 1/2) to the place in the image from which its value comes: the pixel
    that the place lies in, or the bilinear mean of the four around it. Outside of the image all is black. As Pillow's
    `Image.transform` with AFFINE.
    """
    height, width = images_nchw.shape[2:]
    inverse_n23 = torch.round(inverse_n23 * _FRACTION) / _FRACTION
    x_w, y_h = (torch.arange(side, device=images_nchw.device).double() + 0.5 for side in (width, height))
    places_n2hw = (
        inverse_n23[:, :, 0, None, None] * x_w
        + inverse_n23[:, :, 1, None, None] * y_h[:, None]
        + inverse_n23[:, :, 2, None, None]
    )
    x_nhw, y_nhw = places_n2hw.unbind(1)
    is_inside_nhw = (x_nhw >= 0) & (x_nhw < width) & (y_nhw >= 0) & (y_nhw < height)
    if is_bilinear:
        warped_nchw = _bilinear(images_nchw, x_nhw - 0.5, y_nhw - 0.5)
    else:
        warped_nchw = _pixels(images_nchw, x_nhw.floor().long(), y_nhw.floor().long())
    return warped_nchw.masked_fill_(~is_inside_nhw[:, None], 0)


def _bilinear(images_nchw: torch.Tensor, x_nhw: torch.Tensor, y_nhw: torch.Tensor) -> torch.Tensor:
    """Of places counted from the first pixel's centre; at the border a pixel is its own neighbour."""
    left_nhw, top_nhw = x_nhw.floor().long(), y_nhw.floor().long()
    right_n1hw, below_n1hw = (
        ((place_nhw - first_nhw) * _WEIGHT).int()[:, None]
        for place_nhw, first_nhw in ((x_nhw, left_nhw), (y_nhw, top_nhw))
    )
    rows_nchw = [
        _pixels(images_nchw, left_nhw, row_nhw).int() * (_WEIGHT - right_n1hw)
        + _pixels(images_nchw, left_nhw + 1, row_nhw).int() * right_n1hw
        for row_nhw in (top_nhw, top_nhw + 1)
    ]
    sums_nchw = rows_nchw[0] * (_WEIGHT - below_n1hw) + rows_nchw[1] * below_n1hw
    return sums_nchw.div_(_WEIGHT**2, rounding_mode="floor").to(torch.uint8)


def _pixels(images_nchw: torch.Tensor, x_nhw: torch.Tensor, y_nhw: torch.Tensor) -> torch.Tensor:
    """The pixels at these columns and rows int64 [N, H, W]; at those outside, the nearest inside."""
    channels, height, width = images_nchw.shape[1:]
    index_np = (y_nhw.clamp(0, height - 1) * width + x_nhw.clamp(0, width - 1)).flatten(1)
    return images_nchw.flatten(2).gather(2, index_np[:, None].expand(-1, channels, -1)).unflatten(2, (height, width))
