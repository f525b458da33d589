"""Fully connected networks (Mueller 2019, A.5: two layers of 1200 units for the teacher, 800 for the student)."""

import math

import torch
from torch import nn


class MLP(nn.Module):
    """Two hidden layers of `width` ReLU units. images [N, C, H, W] -> features [N, width] -> logits [N, K]."""

    def __init__(self, inputs: int, width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(width, num_classes)

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, width]."""
        return self.body(images_nchw)

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def mlp(num_classes: int, image_shape: tuple[int, int, int], width: int | None = None, dropout: float = 0.0) -> MLP:
    """An MLP for images of shape (C, H, W); 1200 units unless `width` is given."""
    return MLP(math.prod(image_shape), width or 1200, num_classes, dropout)
