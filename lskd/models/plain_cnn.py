"""The Plain CNN of Yuan 2020, supplement, section 1."""

import torch
import torch.nn.functional as F
from torch import nn


class Pool(nn.Module):
    """Max-pooling 2x2."""

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The highest of each 2x2 pixels; an odd last row or column is left out."""
        if torch.is_grad_enabled() or images_nchw.device.type != "cpu":
            return F.max_pool2d(images_nchw, 2)
        # the same numbers in a tenth of the time; its gradient would differ where two pixels are alike
        height, width = (size // 2 * 2 for size in images_nchw.shape[2:])
        higher_nchw = torch.maximum(images_nchw[:, :, 0:height:2], images_nchw[:, :, 1:height:2])
        return torch.maximum(higher_nchw[..., 0:width:2], higher_nchw[..., 1:width:2])


class PlainCNN(nn.Module):
    """3x3 convolutions of w, 2w and 4w channels, each with batch norm, ReLU and 2x2 max-pooling, then fc(4w) and fc(K).

    The paper names neither the non-linearity nor the pooling; these are the usual ones. Pooling stops at one pixel. It
    comes before ReLU, which then has a quarter of the work: the highest of positive parts is the positive part of the
    highest, and no gradient goes elsewhere, so every bit is the same.
    """

    def __init__(self, num_classes: int, image_shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, height, length = image_shape
        layers: list[nn.Module] = []
        for out in (width, 2 * width, 4 * width):
            layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)]
            if min(height, length) > 1:
                layers.append(Pool())
                height, length = height // 2, length // 2
            layers.append(nn.ReLU())
            channels = out
        pixels = channels * height * length
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(pixels, 4 * width), nn.ReLU())
        self.head = nn.Linear(4 * width, num_classes)

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, 4w]."""
        return self.body(images_nchw)

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def plain_cnn(num_classes: int, image_shape: tuple[int, int, int], width: int | None = None) -> PlainCNN:
    """A Plain CNN for images of shape (C, H, W); w = 32 as in the paper unless `width` is given."""
    return PlainCNN(num_classes, image_shape, width or 32)
