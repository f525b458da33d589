"""The binary ReActNet with a ResNet-18 backbone (Liu 2020), the student of Shen 2021, section 5.

Activations and weights of its sixteen 3x3 convolutions are -1 or 1, the weights times a scale of each output channel.
The stem, the 1x1 convolutions of shortcuts and the head stay real, as in Liu's public code. That code trains binary
activations with real weights first and starts from them; Shen 2021 tells of no such step, and here is none.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

LARGE = 64  # pixels from which on the stem is that for large images
BLOCKS, STAGES = 4, 4  # blocks of one convolution in a stage


class _Sign(torch.autograd.Function):
    """sign(x), 1 at 0 as in Shen 2021 (torch's is 0), with the gradient of Bi-Real Net (Liu 2018, eq. 5 and 6).

    That is the derivative of a piecewise polynomial: 2 + 2x from -1 to 0, 2 - 2x from 0 to 1, else 0.
    """

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(x)
        return _signs(x)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (x,) = context.saved_tensors
        return gradients[0] * (2 - 2 * x.abs()).clamp_min(0)


def _signs(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x < 0, -torch.ones_like(x), torch.ones_like(x))


class RSign(nn.Module):
    """sign(x + shift), a shift learnt for each channel (Liu 2020, eq. 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """-1 or 1 [N, C, H, W]."""
        return _Sign.apply(x_nchw + self.shift)


class RPReLU(nn.Module):
    """PReLU(x + shift_in) + shift_out, slope and shifts learnt for each channel (Liu 2020, eq. 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift_in = nn.Parameter(torch.zeros(channels, 1, 1))
        self.prelu = nn.PReLU(channels)
        self.shift_out = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] of the same shape."""
        return self.prelu(x_nchw + self.shift_in) + self.shift_out


class BinaryConv(nn.Module):
    """A 3x3 convolution with weights sign(w) times the mean of |w| of each output channel (Shen 2021, section 5).

    The gradient passes to w as if they were w clipped to [-1, 1]; none passes through the mean, as in the public code.
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out, channels, 3, 3))
        # the public code draws all weights above 0, and replaces them by trained ones: see the module's head
        nn.init.kaiming_normal_(self.weight)

    def binary_weight(self) -> torch.Tensor:
        """What the convolution uses [out, C, 3, 3]."""
        with torch.no_grad():
            binary = self.weight.abs().mean((1, 2, 3), keepdim=True) * _signs(self.weight)
        clipped = self.weight.clamp(-1, 1)
        return binary + (clipped - clipped.detach())  # the difference is 0, and so is its rounding

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, out, H/stride, W/stride], padded with 0."""
        return F.conv2d(x_nchw, self.binary_weight(), stride=self.stride, padding=1)


class Block(nn.Module):
    """RPReLU(norm(BinaryConv(RSign(x))) + shortcut(x)).

    Where the channels change the shortcut pools 2x2, with a part of a window at an odd end, and has a 1x1 convolution.
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(RSign(channels), BinaryConv(channels, out, stride), nn.BatchNorm2d(out))
        self.shortcut = nn.Sequential()
        if channels != out:
            pool = nn.AvgPool2d(2, stride, ceil_mode=True)
            self.shortcut = nn.Sequential(pool, nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out))
        self.activation = RPReLU(out)

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, out, H/stride, W/stride]."""
        return self.activation(self.body(x_nchw) + self.shortcut(x_nchw))


class ReActNet(nn.Module):
    """images [N, C, H, W] -> features [N, 8 width] by global average pooling -> logits [N, K]."""

    def __init__(self, num_classes: int, image_shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        body = _stem(image_shape, width)
        channels = width
        for stage in range(STAGES):
            out = width * 2**stage
            for block in range(BLOCKS):
                body.append(Block(channels, out, 2 if stage and block == 0 else 1))
                channels = out
        self.body = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(channels, num_classes)

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, 8 width]."""
        return self.body(images_nchw)

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def _stem(image_shape: tuple[int, int, int], width: int) -> list[nn.Module]:
    """A real convolution without a non-linearity: 7x7, stride 2 and pooling for large images, else 3x3."""
    if min(image_shape[1:]) < LARGE:
        return [nn.Conv2d(image_shape[0], width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
    convolution = nn.Conv2d(image_shape[0], width, 7, 2, padding=3, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.MaxPool2d(3, 2, padding=1)]


def reactnet18(num_classes: int, image_shape: tuple[int, int, int], width: int | None = None) -> ReActNet:
    """The binary network for images of shape (C, H, W); 64 channels in the stem, as in the paper, unless `width`."""
    return ReActNet(num_classes, image_shape, width or 64)
