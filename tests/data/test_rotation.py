"""Rotation against Pillow, image by image, and what all augmentations of single images share."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lskd.data.augment import CLEAN, Augmentation, Draw
from lskd.data.colour import grey, jitter
from lskd.data.randaugment import randaugment
from lskd.data.rotation import rotated, rotation, rotation_bilinear
from tests import pixels

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KEYS = st.integers(-(2**63), 2**63 - 1)
SINGLES = {  # with a value that changes nearly every image
    "rotation": (rotation, 40.0),
    "rotation_bilinear": (rotation_bilinear, 40.0),
    "grey": (grey, 0.9),
    "jitter": (jitter, 0.4),
    "randaugment": (randaugment, [2, 9]),
}


def smooth(count: int, channels: int = 3, height: int = 24, width: int = 19) -> torch.Tensor:
    """Images of waves of all kinds."""
    draw = np.random.default_rng(count)
    y, x = np.mgrid[:height, :width]
    waves = draw.uniform(-0.6, 0.6, (2, count, channels, 1, 1)) * np.array([y, x])[:, None, None]
    images_nchw = 127.5 + 127.5 * np.sin(waves.sum(0) + draw.uniform(0, 6, (count, channels, 1, 1)))
    return torch.from_numpy(np.rint(images_nchw).astype(np.uint8))


def angle(key: int, sample: int, draw: int, degrees: float) -> float:
    return (2 * pixels.uniform(key, sample, draw, "rotation") - 1) * degrees


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [1, 3])
@settings(max_examples=20, deadline=None)
@given(KEYS, st.integers(1, 1000), st.sampled_from([5.0, 15.0, 45.0, 180.0]))
def test_rotations_are_pillows(device, channels, key, number, degrees):
    """Of a slightly smaller or larger angle, as a place at the border of a pixel may fall either way."""
    images_nchw, ids = smooth(4, channels), [2, 0, 11, 5]
    for function, resample, near in (
        (rotation, Image.Resampling.NEAREST, 0),
        (rotation_bilinear, Image.Resampling.BILINEAR, 2),
    ):
        draw = Draw(key, torch.tensor(ids, device=device), number)
        turned = function(images_nchw.to(device), draw, degrees).cpu().numpy()
        for n, sample in enumerate(ids):
            image = pixels.pillow(images_nchw[n].numpy())
            is_equal_chw = np.zeros(turned[n].shape, bool)
            for more in (-5e-3, 5e-3):  # Pillow's own arithmetic is of 16 bits
                expected_chw = pixels.array(image.rotate(angle(key, sample, number, degrees) + more, resample))
                is_equal_chw |= np.abs(turned[n].astype(int) - expected_chw) <= near
            assert is_equal_chw.mean() > 0.99  # at a corner of pixels, one way down and the other to the side


def test_a_quarter_turn_of_a_square_is_exact():
    square_nchw = smooth(3, height=12, width=12)
    for quarter in range(-3, 4):
        degrees_n = torch.full((3,), 90.0 * quarter, dtype=torch.float64)
        expected = torch.rot90(square_nchw, quarter, (2, 3))
        for is_bilinear in (False, True):
            assert torch.equal(rotated(square_nchw, degrees_n, is_bilinear), expected)


def test_angles_are_uniform():
    drawn = np.array([angle(42, sample, 1, 30.0) for sample in range(2000)])
    assert abs(drawn.mean()) < 4 * 30 / 3**0.5 / 2000**0.5 and drawn.min() < -29.5 and drawn.max() > 29.5


@pytest.mark.parametrize("name", SINGLES)
@settings(max_examples=15, deadline=None)
@given(KEYS, st.integers(1, 1000), st.permutations(range(8)), st.integers(1, 8))
def test_a_function_of_key_sample_and_draw_and_not_of_the_batch(name, key, number, order, size):
    augmentation = Augmentation(key, [SINGLES[name]])
    batch, ids = smooth(8), torch.arange(8) * 7
    before = batch.clone()
    together = augmentation.single(batch, ids, number)
    assert torch.equal(batch, before) and together.dtype == torch.uint8 and together.shape == batch.shape
    chosen = torch.tensor(order[:size])
    assert torch.equal(augmentation.single(batch[chosen], ids[chosen], number), together[chosen])
    assert augmentation.single(batch, ids, CLEAN) is batch


@pytest.mark.parametrize("name", SINGLES)
def test_another_draw_or_key_is_another_image(name):
    batch, ids = smooth(8), torch.arange(8)
    seen = [Augmentation(key, [SINGLES[name]]).single(batch, ids, number) for key, number in ((1, 1), (1, 2), (2, 1))]
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SINGLES)
def test_a_gpu_draws_the_same_pixels(name):
    batch, ids = smooth(64), torch.arange(64)
    augmentation = Augmentation(9, [SINGLES[name]])
    assert torch.equal(augmentation.single(batch.cuda(), ids.cuda(), 3).cpu(), augmentation.single(batch, ids, 3))
