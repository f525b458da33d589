"""Brightness, contrast and grey against Pillow to the bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageEnhance

from lskd.data.augment import Draw
from lskd.data.colour import UNIT, grey, jitter, luma, mean_level
from lskd.errors import UserError
from tests import pixels

KEYS = st.integers(-(2**63), 2**63 - 1)


def images(count: int, channels: int = 3, height: int = 9, width: int = 7) -> torch.Tensor:
    draw = np.random.default_rng(count)
    return torch.from_numpy(draw.integers(0, 256, (count, channels, height, width), dtype=np.uint8))


def jittered(image_chw: np.ndarray, key: int, sample: int, number: int, strength: float) -> np.ndarray:
    image = pixels.pillow(image_chw)
    enhancers = [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast)]
    if pixels.uniform(key, sample, number, "jitter") < 0.5:
        enhancers.reverse()
    for name, enhancer in enhancers:
        factor = 1 + (2 * pixels.uniform(key, sample, number, name) - 1) * strength
        image = enhancer(image).enhance(round(factor * UNIT) / UNIT)
    return pixels.array(image)


@pytest.mark.parametrize("channels", [1, 3])
@settings(max_examples=40, deadline=None)
@given(KEYS, st.integers(1, 1000), st.sampled_from([0.1, 0.2, 1.0]))
def test_jitter_is_pillows(channels, key, number, strength):
    batch, ids = images(5, channels), [4, 0, 9, 2, 77]
    out = jitter(batch, Draw(key, torch.tensor(ids), number), strength).numpy()
    for n, sample in enumerate(ids):
        assert np.array_equal(out[n], jittered(batch[n].numpy(), key, sample, number, strength))


def test_jitter_draws_each_order_and_all_of_its_range():
    ids = torch.arange(2000)
    factors = Draw(5, ids, 1).uniform("brightness"), Draw(5, ids, 1).uniform("contrast")
    assert abs(np.corrcoef(factors)[0, 1]) < 4 / 2000**0.5
    white = torch.full((2000, 1, 1, 1), 100, dtype=torch.uint8)
    levels = jitter(white, Draw(5, ids, 1), 0.2).flatten()  # contrast leaves a plain image as it is
    assert levels.min() == 80 and levels.max() in (119, 120) and abs(levels.double().mean() - 99.5) < 1.5


def test_grey_is_pillows_in_its_share_of_the_draws():
    batch, ids = images(2000, height=3, width=2), torch.arange(2000)
    out = grey(batch, Draw(7, ids, 1), 0.2)
    is_grey = np.array([pixels.uniform(7, sample, 1, "grey") < 0.2 for sample in range(2000)])
    assert abs(is_grey.mean() - 0.2) < 4 * (0.2 * 0.8 / 2000) ** 0.5
    for n in range(2000):
        image = pixels.pillow(batch[n].numpy())
        expected = pixels.array(image.convert("L").convert("RGB")) if is_grey[n] else batch[n].numpy()
        assert np.array_equal(out[n], expected)


def test_grey_of_grey_images_is_refused_in_a_line():
    with pytest.raises(UserError, match="one channel, so they are grey; leave grey out$"):
        grey(images(2, 1), Draw(1, torch.arange(2), 1), 0.2)


def test_every_colour_has_pillows_grey_level():
    values = np.random.default_rng(0).integers(0, 256, (1, 3, 300, 300), dtype=np.uint8)
    assert np.array_equal(luma(torch.from_numpy(values))[0, 0], np.asarray(pixels.pillow(values[0]).convert("L")))


def test_the_mean_level_is_rounded_half_up():
    batch = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1], [255, 255, 254, 254]], dtype=torch.uint8)
    assert mean_level(batch.view(4, 1, 2, 2)).tolist() == [1, 0, 1, 255]
