"""ResNeXt-29 8x64d (Xie 2017, section 5.3): three stages of three blocks for small images."""

import torch
import torch.nn.functional as F
from torch import nn

from lskd.models.convolution import conv_norm

GROUPS = 8


class Bottleneck(nn.Module):
    """1x1, 3x3 in eight groups, 1x1; twice as wide inside as outside, and a projection where the channels change."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        inner = 2 * out
        self.body = nn.Sequential(
            *conv_norm(channels, inner, 1, bias=False),
            nn.ReLU(),
            *conv_norm(inner, inner, 3, stride, GROUPS, bias=False),
            nn.ReLU(),
            *conv_norm(inner, out, 1, bias=False),
        )
        is_kept = channels == out
        self.shortcut = nn.Sequential(*([] if is_kept else conv_norm(channels, out, 1, stride, bias=False)))

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, out, H/stride, W/stride]."""
        return F.relu(self.shortcut(x_nchw) + self.body(x_nchw))


class ResNeXt(nn.Module):
    """images [N, C, H, W] -> features [N, 1024] by global average pooling -> logits [N, K]."""

    def __init__(self, num_classes: int, channels: int) -> None:
        super().__init__()
        body = [*conv_norm(channels, 64, 3, bias=False), nn.ReLU()]
        channels = 64
        for out, stride in ((256, 1), (512, 2), (1024, 2)):
            body += [Bottleneck(channels, out, stride), Bottleneck(out, out, 1), Bottleneck(out, out, 1)]
            channels = out
        self.body = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, 1024]."""
        return self.body(images_nchw)

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def resnext29_8x64d(num_classes: int, image_shape: tuple[int, int, int]) -> ResNeXt:
    """ResNeXt-29 with 8 groups of 64 channels for images of shape (C, H, W)."""
    return ResNeXt(num_classes, image_shape[0])
