"""The layers that convolutional networks repeat."""

from torch import nn


def conv_norm(
    channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, *, bias: bool = True
) -> list[nn.Module]:
    """A convolution that keeps the size (at stride 1) and a batch norm."""
    convolution = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, groups=groups, bias=bias)
    return [convolution, nn.BatchNorm2d(out)]
