"""The "AlexNet" of Mueller 2019, A.1: TensorFlow's CIFAR-10 tutorial network."""

import torch
from torch import nn


class AlexNetCifar(nn.Module):
    """Two 5x5 convolutions with pooling and local response norm, fc(6w), fc(3w), fc(K); w = 64 in the paper.

    TensorFlow's norm is x / (1 + 0.001/9 sum x^2)^0.75 over 9 channels; torch divides its alpha by their number. Pools
    pad both sides, where TensorFlow pads the far one of an even image. Initial weights are torch's.
    """

    def __init__(self, num_classes: int, image_shape: tuple[int, int, int], width: int, dropout: float) -> None:
        super().__init__()
        channels, height, length = image_shape
        pooled = [((side + 1) // 2 + 1) // 2 for side in (height, length)]
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            nn.LocalResponseNorm(9, alpha=0.001, beta=0.75),
            nn.Conv2d(width, width, 5, padding=2),
            nn.ReLU(),
            nn.LocalResponseNorm(9, alpha=0.001, beta=0.75),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Flatten(),
            nn.Linear(width * pooled[0] * pooled[1], 6 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(6 * width, 3 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(3 * width, num_classes)

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, 3w]."""
        return self.body(images_nchw)

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def alexnet_cifar(
    num_classes: int, image_shape: tuple[int, int, int], width: int | None = None, dropout: float = 0.0
) -> AlexNetCifar:
    """The tutorial network for images of shape (C, H, W); w = 64 unless `width` is given."""
    return AlexNetCifar(num_classes, image_shape, width or 64, dropout)
