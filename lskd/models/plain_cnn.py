"""The Plain CNN of Yuan 2020, supplement, section 1."""

import torch
from torch import nn


class PlainCNN(nn.Module):
    """3x3 convolutions of w, 2w and 4w channels, each with batch norm, ReLU and 2x2 max-pooling, then fc(4w) and fc(K).

    The paper names neither the non-linearity nor the pooling; these are the usual ones. Pooling stops at one pixel.
    """

    def __init__(self, num_classes: int, image_shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, height, length = image_shape
        layers: list[nn.Module] = []
        for out in (width, 2 * width, 4 * width):
            layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            if min(height, length) > 1:
                layers.append(nn.MaxPool2d(2))
                height, length = height // 2, length // 2
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
