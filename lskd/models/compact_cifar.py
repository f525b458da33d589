"""MobileNetV2 (Sandler 2018) and ShuffleNetV2 (Ma 2018) for small images, as Yuan 2020's public code has them.

Convolutions have biases there, although a batch norm follows each. Initial weights are torch's.
"""

import torch
from torch import nn

from lskd.models.convolution import conv_norm

MOBILE = [  # expansion, channels, blocks, stride of the first (Sandler 2018, table 2; its sixth stage has stride 2)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 1),
    (6, 320, 1, 1),
]
SHUFFLE = [(116, 4), (232, 8), (464, 4)]  # channels and units (Ma 2018, table 5, 1x)


class InvertedResidual(nn.Module):
    """1x1 to `expansion` times the channels, 3x3 by channel, 1x1 without ReLU; a shortcut where the shape is kept."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.body = nn.Sequential(
            *conv_norm(channels, inner, 1),
            nn.ReLU6(),
            *conv_norm(inner, inner, 3, stride, groups=inner),
            nn.ReLU6(),
            *conv_norm(inner, out, 1),
        )
        self.has_shortcut = stride == 1 and channels == out

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, out, H/stride, W/stride]."""
        y_nchw = self.body(x_nchw)
        return x_nchw + y_nchw if self.has_shortcut else y_nchw


class ShuffleUnit(nn.Module):
    """Half of the channels pass, half are convolved, then both are shuffled; at stride 2 all go both ways."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.splits = stride == 1
        inner, half = (out // 2 if self.splits else channels), out // 2
        by_channel = (3, stride, inner)
        self.body = nn.Sequential(
            *conv_norm(inner, inner, 1),
            nn.ReLU(),
            *conv_norm(inner, inner, *by_channel),
            *conv_norm(inner, half, 1),
            nn.ReLU(),
        )
        self.shortcut = nn.Sequential()
        if not self.splits:
            self.shortcut = nn.Sequential(
                *conv_norm(channels, channels, *by_channel), *conv_norm(channels, half, 1), nn.ReLU()
            )

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, out, H/stride, W/stride]; of the halves the channels come in turn."""
        passing, convolved = x_nchw.chunk(2, dim=1) if self.splits else (x_nchw, x_nchw)
        return torch.stack([self.shortcut(passing), self.body(convolved)], dim=2).flatten(1, 2)


class Compact(nn.Module):
    """images [N, C, H, W] -> features [N, H] by global average pooling -> logits [N, K]."""

    def __init__(self, body: list[nn.Module], features: int, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(features, num_classes)

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, H]."""
        return self.body(images_nchw)

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def cifar_mobilenet_v2(num_classes: int, image_shape: tuple[int, int, int], width: int | None = None) -> Compact:
    """MobileNetV2 for small images of shape (C, H, W); 32 channels in the stem unless `width` is given.

    The stem is a 1x1 convolution with a border of one pixel, as in the public code.
    """
    width = width or 32
    scale = width / 32
    channels, last = width, round(1280 * scale)
    body: list[nn.Module] = [nn.Conv2d(image_shape[0], width, 1, padding=1), nn.BatchNorm2d(width), nn.ReLU6()]
    for expansion, full, blocks, stride in MOBILE:
        out = round(full * scale)
        for block in range(blocks):
            body.append(InvertedResidual(channels, out, stride if block == 0 else 1, expansion))
            channels = out
    return Compact([*body, *conv_norm(channels, last, 1), nn.ReLU6()], last, num_classes)


def cifar_shufflenet_v2(num_classes: int, image_shape: tuple[int, int, int], width: int | None = None) -> Compact:
    """ShuffleNetV2 1x for small images of shape (C, H, W); 24 channels in the stem unless `width` is given.

    The stem is a 3x3 convolution without ReLU or pooling, as in the public code.
    """
    width = width or 24
    scale = width / 24
    channels, last = width, round(1024 * scale)
    body = conv_norm(image_shape[0], width, 3)
    for full, units in SHUFFLE:
        out = 2 * round(full * scale / 2)
        body.append(ShuffleUnit(channels, out, 2))
        body += [ShuffleUnit(out, out, 1) for _ in range(units - 1)]
        channels = out
    return Compact([*body, *conv_norm(channels, last, 1), nn.ReLU()], last, num_classes)
