"""Residual networks in their CIFAR form (He 2016, section 4.2): 6n+2 layers, three stages of n blocks."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut without parameters (option A: strided, padded with zero channels)."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.stride, self.padding = stride, out - channels

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, out, H/stride, W/stride]."""
        y_nchw = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x_nchw)))))
        if self.stride > 1 or self.padding:
            x_nchw = F.pad(x_nchw[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.padding))
        return F.relu(x_nchw + y_nchw)


class ResNet(nn.Module):
    """images [N, C, H, W] -> features [N, 4 width] by global average pooling -> logits [N, K]."""

    def __init__(self, num_classes: int, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages = [(width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2)]
        self.stages = nn.Sequential(
            *(
                Block(inner if block == 0 else out, out, stride if block == 0 else 1)
                for inner, out, stride in stages
                for block in range(blocks)
            )
        )
        self.head = nn.Linear(4 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, 4 width]."""
        return self.stages(self.stem(images_nchw)).mean((2, 3))

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def resnet8(num_classes: int, image_shape: tuple[int, int, int], width: int | None = None) -> ResNet:
    """8 layers (n=1); `width` channels in the first stage, 16 as in the paper unless given."""
    return ResNet(num_classes, image_shape[0], width or 16, 1)


def resnet20(num_classes: int, image_shape: tuple[int, int, int], width: int | None = None) -> ResNet:
    """20 layers (n=3); `width` channels in the first stage, 16 as in the paper unless given."""
    return ResNet(num_classes, image_shape[0], width or 16, 3)


def resnet56(num_classes: int, image_shape: tuple[int, int, int], width: int | None = None) -> ResNet:
    """56 layers (n=9); `width` channels in the first stage, 16 as in the paper unless given."""
    return ResNet(num_classes, image_shape[0], width or 16, 9)
