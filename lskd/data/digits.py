"""The handwritten digits that come with scikit-learn: 1,797 grey images of 8 x 8 pixels, no download."""

from pathlib import Path

import numpy as np

from lskd.data.arrays import Arrays, Samples
from lskd.data.digits_file import digits_file
from lskd.data.split import stratified_mask

_SPLIT_SEED = 20200


def load(root: Path, *, workers: int, test_fraction: float) -> Arrays:
    """Load the digits with a fixed stratified test split; grey levels 0..16 are scaled to 0..255 (root is not used)."""
    file = digits_file()
    assert file is not None  # planning looked
    rows = np.loadtxt(file, delimiter=",")  # sklearn.datasets takes seconds to import
    images = np.rint(rows[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    names = [f"digits#{index}" for index in range(len(images))]
    samples = Samples(images, rows[:, -1].astype(np.int64), names)
    test = stratified_mask(samples.labels, test_fraction, _SPLIT_SEED)
    classes = tuple(str(digit) for digit in range(10))
    return Arrays(samples.where(~test), samples.where(test), classes)
