"""What every data set's loader returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Arrays:
    """A data set in memory: images uint8 [N, C, H, W], labels int64 [N] in 0..K-1, and the K class names.

    Each data set is one function `load(root, *, image_size, test_fraction, workers) -> Arrays`, which uses of these
    what it needs: `root` is the folder of the raw files; `image_size` (pixels) and `workers` (threads) matter to
    pictures only; `test_fraction` matters where the data come without a test split.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
