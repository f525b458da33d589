from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from lskd.data.digits import load


def digits(test_fraction=0.2):
    return load(Path(), test_fraction=test_fraction, workers=1)


def rows(images, labels) -> list[bytes]:
    return sorted(image.tobytes() + bytes([label]) for image, label in zip(images, labels, strict=True))


def test_the_union_is_scikit_learns_digits():
    arrays, bunch = digits(), load_digits()
    images = np.concatenate([arrays.train.images, arrays.test.images])
    labels = np.concatenate([arrays.train.labels, arrays.test.labels])
    expected = [[[round(float(value) * 255 / 16) for value in row] for row in image] for image in bunch.images]
    assert rows(images[:, 0], labels) == rows(np.array(expected, dtype=np.uint8), bunch.target)


def test_form_and_proportion():
    arrays = digits()
    assert arrays.train.images.dtype == np.uint8 and arrays.train.labels.dtype == np.int64
    assert arrays.train.images.shape[1:] == arrays.test.images.shape[1:] == (1, 8, 8)
    assert arrays.train.images.min() == 0 and arrays.train.images.max() == 255
    assert arrays.classes == tuple("0123456789")
    for label in range(10):
        train, test = (arrays.train.labels == label).sum(), (arrays.test.labels == label).sum()
        assert abs(test - 0.2 * (train + test)) <= 0.5


def test_fixed():
    assert (digits().test.images == digits().test.images).all()
    assert len(digits(0.5).test.labels) > len(digits(0.2).test.labels)
