"""GoogLeNet (Szegedy 2015) for small images, as Yuan 2020's public code has it.

One 3x3 convolution for a stem, batch norms, two 3x3 convolutions in place of each 5x5, no auxiliary classifiers.
Convolutions have biases. Initial weights are torch's. That code gives one batch norm of each Inception an epsilon of 32
to 128, its number of channels, by a slip; here it is torch's 1e-5.
"""

import torch
from torch import nn

from lskd.models.convolution import conv_norm

# channels of 1x1; of 1x1 and 3x3; of 1x1 and 5x5; of 1x1 after pooling (Szegedy 2015, table 1); None halves the side
STAGES = [
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
]


class Inception(nn.Module):
    """Four branches side by side; [N, C, H, W] -> [N, sum of their last channels, H, W]."""

    def __init__(self, channels: int, one: int, three_in: int, three: int, five_in: int, five: int, pool: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*branch)
            for branch in (
                _convolutions((channels, one, 1)),
                _convolutions((channels, three_in, 1), (three_in, three, 3)),
                _convolutions((channels, five_in, 1), (five_in, five, 3), (five, five, 3)),
                [nn.MaxPool2d(3, stride=1, padding=1), *_convolutions((channels, pool, 1))],
            )
        )

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """The branches' outputs, one after the other."""
        return torch.cat([branch(x_nchw) for branch in self.branches], dim=1)


def _convolutions(*shapes: tuple[int, int, int]) -> list[nn.Module]:
    """Convolutions (channels in, out, kernel), each with a batch norm and a ReLU."""
    return [layer for shape in shapes for layer in (*conv_norm(*shape), nn.ReLU())]


class GoogLeNet(nn.Module):
    """images [N, C, H, W] -> features [N, 1024] by global average pooling and dropout of 0.4 -> logits [N, K]."""

    def __init__(self, num_classes: int, channels: int) -> None:
        super().__init__()
        body = _convolutions((channels, 192, 3))
        channels = 192
        for widths in STAGES:
            if widths is None:
                body.append(nn.MaxPool2d(3, stride=2, padding=1))
            else:
                body.append(Inception(channels, *widths))
                one, _, three, _, five, pool = widths
                channels = one + three + five + pool
        self.body = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4))
        self.head = nn.Linear(channels, num_classes)

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, 1024]."""
        return self.body(images_nchw)

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def cifar_googlenet(num_classes: int, image_shape: tuple[int, int, int]) -> GoogLeNet:
    """GoogLeNet for small images of shape (C, H, W)."""
    return GoogLeNet(num_classes, image_shape[0])
