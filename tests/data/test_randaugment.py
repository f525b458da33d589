"""RandAugment's operations against Pillow with torchvision's table, image by image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import RandAugment, _apply_op

from lskd.data.augment import Draw
from lskd.data.randaugment import OPERATIONS, randaugment
from lskd.study.config import Recipe
from tests import pixels
from tests.data.test_rotation import smooth

KEYS = st.integers(-(2**63), 2**63 - 1)
NAMES = list(RandAugment()._augmentation_space(31, (24, 19)))
OF_PLACE = ("ShearX", "ShearY", "Rotate")  # a place at a pixel's border may fall either way
OF_ROUNDING = ("Brightness", "Color", "Contrast", "Sharpness", "AutoContrast")  # Pillow's factors are float32


def torchvisions(image_chw: np.ndarray, name: str, magnitude: int, sign: int, times: float = 1.0) -> np.ndarray:
    """An operation by torchvision on Pillow's image, at `times` its magnitude."""
    magnitudes, is_signed = RandAugment()._augmentation_space(31, image_chw.shape[1:])[name]
    value = float(magnitudes[magnitude]) if magnitudes.ndim else 0.0
    value *= sign if is_signed else 1
    return pixels.array(_apply_op(pixels.pillow(image_chw), name, value * times, InterpolationMode.NEAREST, None))


def agrees(out_chw: torch.Tensor, image_chw: torch.Tensor, name: str, magnitude: int, sign: int) -> bool:
    """Whether an operation's image is torchvision's; of those that move pixels, each that of a bit less or more."""
    near = 1 if name in OF_ROUNDING else 0
    is_equal_chw = np.zeros(image_chw.shape, bool)
    for times in (1 - 1e-4, 1 + 1e-4) if name in OF_PLACE else (1.0,):
        expected_chw = torchvisions(image_chw.numpy(), name, magnitude, sign, times).astype(int)
        is_equal_chw |= np.abs(out_chw.numpy() - expected_chw) <= near
    return bool(is_equal_chw.all())


def test_the_operations_are_torchvisions_in_its_order():
    ours = [operation.__name__.replace("_", "") for operation in OPERATIONS]
    assert ours == [name.lower().replace("color", "colour") for name in NAMES]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_each_operation_is_torchvisions_at_every_magnitude(name, channels):
    images_nchw = smooth(2, channels)
    for magnitude in range(31):
        for sign in (-1, 1):
            sign_n = torch.full((2,), float(sign), dtype=torch.float64)
            out = OPERATIONS[NAMES.index(name)](images_nchw, sign_n, magnitude / 30, 1.0)
            for n in range(2):
                assert agrees(out[n], images_nchw[n], name, magnitude, sign)


@settings(max_examples=25, deadline=None)
@given(KEYS, st.integers(1, 1000), st.sampled_from([0, 9, 30]))
def test_an_image_gets_the_operation_and_sign_of_its_draw(key, number, magnitude):
    images_nchw, ids = smooth(6), [3, 0, 19, 7, 8, 100]
    out = randaugment(images_nchw, Draw(key, torch.tensor(ids), number), [1, magnitude])
    for n, sample in enumerate(ids):
        name = NAMES[int(pixels.uniform(key, sample, number, "operation 0") * 14)]
        sign = -1 if pixels.uniform(key, sample, number, "sign 0") < 0.5 else 1
        assert agrees(out[n], images_nchw[n], name, magnitude, sign)


def test_two_operations_are_one_after_the_other():
    images_nchw, ids = smooth(40), torch.arange(40)
    first = randaugment(images_nchw, Draw(3, ids, 1), [1, 9])
    both = randaugment(images_nchw, Draw(3, ids, 1), [2, 9])
    for n in range(40):
        place = int(pixels.uniform(3, n, 1, "operation 1") * 14)
        sign_1 = torch.tensor([-1.0 if pixels.uniform(3, n, 1, "sign 1") < 0.5 else 1.0], dtype=torch.float64)
        assert torch.equal(both[n : n + 1], OPERATIONS[place](first[n : n + 1], sign_1, 0.3, 1.0))


def test_operations_are_uniform():
    counts = np.bincount([int(pixels.uniform(1, sample, 1, "operation 0") * 14) for sample in range(2800)])
    low, high = chi2.ppf([0.001, 0.999], 13)
    assert len(counts) == 14 and low < ((counts - 200) ** 2 / 200).sum() < high


def test_plain_images_and_images_of_few_values_are_torchvisions_too():
    plain = torch.full((1, 3, 8, 8), 200, dtype=torch.uint8)
    two_values = torch.where(torch.arange(64).view(1, 1, 8, 8) % 3 == 0, 20, 90).expand(1, 3, 8, 8).to(torch.uint8)
    for image_1chw in (plain, two_values):
        for place, name in enumerate(NAMES):
            out = OPERATIONS[place](image_1chw, torch.ones(1, dtype=torch.float64), 0.3, 1.0)
            assert agrees(out[0], image_1chw[0], name, 9, 1)


def test_a_teacher_of_larger_images_sees_them_shifted_as_far():
    small_nchw = smooth(2, height=33, width=33)
    large_nchw = small_nchw.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for name in ("TranslateX", "TranslateY"):
        operation, sign_n = OPERATIONS[NAMES.index(name)], torch.tensor([1.0, -1.0], dtype=torch.float64)
        shifted_nchw = operation(small_nchw, sign_n, 0.3, 1.0)
        expected_nchw = shifted_nchw.repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert torch.equal(operation(large_nchw, sign_n, 0.3, 2.0), expected_nchw)


@pytest.mark.parametrize("value", [[2], [0, 9], [2, 31], [15, 1], [2, 9, 1]])
def test_other_than_operations_and_a_magnitude_is_refused(value):
    with pytest.raises(ValueError, match=r"operations 1 to 14, magnitude 0 to 30, such as \[2, 9\]"):
        Recipe(randaugment=value)
    assert "randaugment" not in Recipe(randaugment=[]).used
