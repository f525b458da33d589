import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from lskd.data.augment import augment, data_key, normalise

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KEYS = st.integers(-(2**63), 2**63 - 1)
VIEWS = st.integers(1, 10_000)


def images(count: int, channels: int = 3, height: int = 6, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(1, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


def splitmix64(value: int) -> int:
    """One step of the published generator, in Python's own integers (its reference code in C, line by line)."""
    mask = 2**64 - 1
    z = (value + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def augment_by_loop(images_nchw: np.ndarray, sample_ids, view: int, key: int, padding: int, flip: bool) -> np.ndarray:
    out = np.zeros_like(images_nchw)
    count, channels, height, width = images_nchw.shape
    for n in range(count):
        draw = splitmix64(splitmix64(splitmix64(key % 2**64) + int(sample_ids[n])) + view)
        place = (draw >> 1) % (2 * padding + 1) ** 2
        down, right = place // (2 * padding + 1) - padding, place % (2 * padding + 1) - padding
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    x_cropped = width - 1 - x if flip and draw & 1 else x
                    y_in, x_in = y + down, x_cropped + right
                    if 0 <= y_in < height and 0 <= x_in < width:
                        out[n, c, y, x] = images_nchw[n, c, y_in, x_in]
    return out


def test_splitmix64_against_its_published_first_outputs():
    """Seed 1234567: the outputs that Rosetta Code and others list."""
    state, outputs = 1234567, []
    for _ in range(3):
        outputs.append(splitmix64(state))
        state = (state + 0x9E3779B97F4A7C15) % 2**64
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(KEYS, VIEWS, st.integers(0, 7), st.booleans(), st.lists(st.integers(0, 2**40), min_size=1, max_size=5))
def test_equals_a_loop_over_pixels(device, key, view, padding, flip, ids):
    batch = images(len(ids), channels=2)
    out = augment(batch.to(device), torch.tensor(ids, device=device), view, key, crop_padding=padding, flip=flip)
    assert out.dtype == torch.uint8 and out.shape == batch.shape and out.device.type == device
    assert (out.cpu().numpy() == augment_by_loop(batch.numpy(), ids, view, key, padding, flip)).all()


@settings(max_examples=60, deadline=None)
@given(KEYS, VIEWS, st.permutations(range(12)), st.integers(1, 12))
def test_independent_of_batch_composition_and_order(key, view, order, size):
    batch, ids = images(12), torch.arange(12) * 7
    together = augment(batch, ids, view, key, crop_padding=2, flip=True)
    chosen = torch.tensor(order[:size])
    assert torch.equal(augment(batch[chosen], ids[chosen], view, key, crop_padding=2, flip=True), together[chosen])


def test_view_zero_and_no_augmentation_are_the_clean_image():
    batch, ids = images(8), torch.arange(8)
    assert torch.equal(augment(batch, ids, 0, 5, crop_padding=2, flip=True), batch)
    assert torch.equal(augment(batch, ids, 3, 5), batch)


def test_the_input_stays_as_it_is():
    batch, ids = images(8), torch.arange(8)
    before = batch.clone()
    augment(batch, ids, 1, 5, crop_padding=2, flip=True)
    normalise(batch, torch.tensor([0.5] * 3), torch.tensor([0.2] * 3))
    assert torch.equal(batch, before)


def places(ids: torch.Tensor, view: int, key: int, padding: int) -> np.ndarray:
    """Read the draw of each sample off its pixels: (down, right, flipped) as one number."""
    side = 2 * padding + 3
    numbered = torch.arange(1, side * side + 1, dtype=torch.uint8).reshape(1, 1, side, side)
    out = augment(numbered.expand(len(ids), -1, -1, -1), ids, view, key, crop_padding=padding, flip=True)
    middle = out[:, 0, padding + 1, padding + 1].numpy().astype(int)  # it stays the same under a flip
    right = out[:, 0, padding + 1, padding + 2].numpy().astype(int)
    return middle * 2 + (right < middle)


@pytest.mark.parametrize("stream", ["samples", "views", "keys"])
def test_draws_are_uniform_along_each_counter(stream):
    """Chi-square over the 2 (2p + 1)^2 outcomes, with consecutive samples, views or keys; all fixed."""
    padding, count = 2, 5000
    if stream == "samples":
        drawn = places(torch.arange(count), 1, 42, padding)
    elif stream == "views":
        drawn = np.concatenate([places(torch.arange(5), view, 42, padding) for view in range(1, count // 5 + 1)])
    else:
        drawn = np.concatenate([places(torch.arange(5), 1, key, padding) for key in range(count // 5)])
    counts = np.unique(drawn, return_counts=True)[1]
    outcomes = 2 * (2 * padding + 1) ** 2
    assert len(counts) == outcomes
    statistic = ((counts - count / outcomes) ** 2 / (count / outcomes)).sum()
    low, high = chi2.ppf([0.001, 0.999], outcomes - 1)
    assert low < statistic < high


def test_draws_of_neighbours_are_independent():
    """Equal draws of sample and next sample, view and next view, key and next key come as often as chance has it."""
    ids = torch.arange(5000)
    drawn = places(ids, 1, 42, 2)
    chance = 5000 / 50
    for other in (places(ids + 1, 1, 42, 2), places(ids, 2, 42, 2), places(ids, 1, 43, 2), places(ids, 42, 1, 2)):
        assert abs((drawn == other).sum() - chance) < 4 * chance**0.5


def test_data_key_is_stable_and_distinct():
    digest = hashlib.blake2b(b"digits\x000", digest_size=8).digest()
    assert data_key("digits", 0) == int.from_bytes(digest, "little") // 2
    keys = {data_key(name, seed) for name in ("digits", "mnist", "digits1") for seed in range(100)}
    assert len(keys) == 300 and all(0 <= key < 2**63 for key in keys)


@pytest.mark.parametrize("device", DEVICES)
def test_normalise_closed_form(device):
    batch = images(4).to(device)
    mean, std = torch.tensor([0.1, 0.5, 0.9], device=device), torch.tensor([0.2, 0.3, 0.01], device=device)
    out = normalise(batch, mean, std)
    assert out.dtype == torch.float32 and out.device.type == device
    exact = (batch.double() / 255 - mean.double()[:, None, None]) / std.double()[:, None, None]
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-5)
