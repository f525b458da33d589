import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from lskd.data import augment as augmentations
from lskd.data.augment import CLEAN, Augmentation, Draw, data_key, normalise
from tests import pixels

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KEYS = st.integers(-(2**63), 2**63 - 1)
VIEWS = st.integers(1, 10_000)


def images(count: int, channels: int = 3, height: int = 6, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(1, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


def augment(images_nchw, ids_n, number, key, *, crop_padding=0, flip=False):
    """The pixels of a draw as a recipe's options ask for them."""
    functions = {"crop_padding": augmentations.crop, "flip": augmentations.flip}
    options = {"crop_padding": crop_padding, "flip": flip}
    singles = [(functions[name], value) for name, value in options.items() if value]
    return Augmentation(key, singles).single(images_nchw, ids_n, number)


def augment_in_one_gather(images_nchw, ids_n, view, key, *, crop_padding=0, flip=False):
    """The code of before `crop` and `flip` were two functions."""
    if view == 0 or not (crop_padding or flip):
        return images_nchw
    channels, height, width = images_nchw.shape[1:]
    draws_n = torch.tensor([signed(pixels.bits(key, sample, view)) for sample in ids_n.tolist()])
    places = 2 * crop_padding + 1
    place_n = ((draws_n >> 1) & (2**63 - 1)) % places**2
    rows_nh = torch.arange(height) + (place_n // places)[:, None]
    columns_nw = torch.arange(width).expand(len(draws_n), -1)
    if flip:
        columns_nw = torch.where((draws_n & 1).bool()[:, None], width - 1 - columns_nw, columns_nw)
    columns_nw = columns_nw + (place_n % places)[:, None]
    index_np = (rows_nh[:, :, None] * (width + 2 * crop_padding) + columns_nw[:, None, :]).flatten(1)
    padded_ncp = F.pad(images_nchw, (crop_padding,) * 4).flatten(2)
    return padded_ncp.gather(2, index_np[:, None].expand(-1, channels, -1)).unflatten(2, (height, width))


def signed(value: int) -> int:
    """64 bits as int64 holds them."""
    return value - 2**64 if value >= 2**63 else value


def test_splitmix64_against_its_published_first_outputs():
    """Seed 1234567: the outputs that Rosetta Code and others list."""
    state, outputs = 1234567, []
    for _ in range(3):
        outputs.append(pixels.splitmix64(state))
        state = (state + 0x9E3779B97F4A7C15) % 2**64
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(KEYS, VIEWS, st.integers(0, 7), st.booleans(), st.lists(st.integers(0, 2**40), min_size=1, max_size=5))
def test_equals_a_loop_over_pixels(device, key, view, padding, flip, ids):
    batch = images(len(ids), channels=2)
    out = augment(batch.to(device), torch.tensor(ids, device=device), view, key, crop_padding=padding, flip=flip)
    assert out.dtype == torch.uint8 and out.shape == batch.shape and out.device.type == device
    assert (out.cpu().numpy() == pixels.augment(batch.numpy(), ids, view, key, padding, flip)).all()


@settings(max_examples=60, deadline=None)
@given(KEYS, VIEWS, st.permutations(range(12)), st.integers(1, 12))
def test_independent_of_batch_composition_and_order(key, view, order, size):
    batch, ids = images(12), torch.arange(12) * 7
    together = augment(batch, ids, view, key, crop_padding=2, flip=True)
    chosen = torch.tensor(order[:size])
    assert torch.equal(augment(batch[chosen], ids[chosen], view, key, crop_padding=2, flip=True), together[chosen])


@settings(max_examples=60, deadline=None)
@given(KEYS, VIEWS, st.integers(0, 7), st.booleans(), st.integers(1, 9))
def test_equals_what_one_gather_gave(key, view, padding, flip, count):
    batch, ids = images(count, 3, 9, 7), torch.arange(count) * 11
    options = {"crop_padding": padding, "flip": flip}
    assert torch.equal(
        augment(batch, ids, view, key, **options), augment_in_one_gather(batch, ids, view, key, **options)
    )


def test_the_clean_draw_and_no_augmentation_are_the_very_image():
    batch, ids = images(8), torch.arange(8)
    assert augment(batch, ids, CLEAN, 5, crop_padding=2, flip=True) is batch
    assert augment(batch, ids, 3, 5) is batch


@settings(max_examples=60, deadline=None)
@given(KEYS, VIEWS, st.integers(1, 4), st.integers(2, 4))
def test_a_teacher_of_larger_images_sees_the_same_crop(key, view, padding, scale):
    """Each pixel of the small image is scale x scale pixels of the large one."""
    small_nchw, ids = images(9), torch.arange(9)
    large_nchw = small_nchw.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    singles = [(augmentations.crop, padding), (augmentations.flip, True)]
    augmentation = Augmentation(key, singles)
    seen_nchw = augmentation.single(small_nchw, ids, view)
    larger_nchw = augmentation.at_scale(float(scale)).single(large_nchw, ids, view)
    assert torch.equal(larger_nchw, seen_nchw.repeat_interleave(scale, 2).repeat_interleave(scale, 3))


@settings(max_examples=60, deadline=None)
@given(KEYS, VIEWS, st.integers(1, 4), st.floats(0.3, 4))
def test_at_any_scale_the_crop_is_within_half_a_pixel_and_inside(key, view, padding, scale):
    count, side = 8, 40
    numbered = torch.arange(1, side * side + 1, dtype=torch.int32).reshape(1, 1, side, side).expand(count, -1, -1, -1)
    ids = torch.arange(count)
    out = augmentations.crop(numbered, Draw(key, ids, view, scale), padding)
    assert out.shape == numbered.shape
    middle = out[:, 0, side // 2, side // 2] - 1
    for n in range(count):
        place = (pixels.bits(key, n, view) >> 1) % (2 * padding + 1) ** 2
        for places, drawn in (
            (middle[n] // side, place // (2 * padding + 1)),
            (middle[n] % side, place % (2 * padding + 1)),
        ):
            shift = places.item() - side // 2
            assert abs(shift - (drawn - padding) * scale) <= 1.0  # half a pixel of the place, half of the padding
            assert abs(shift) <= round(padding * scale)


def test_at_scale_keeps_all_else():
    augmentation = Augmentation(7, [(augmentations.flip, True)])
    assert augmentation.at_scale(2.0) == Augmentation(7, [(augmentations.flip, True)], None, 2.0)
    batch, ids = images(8), torch.arange(8)
    assert torch.equal(augmentation.at_scale(2.0).single(batch, ids, 3), augmentation.single(batch, ids, 3))


@settings(max_examples=60, deadline=None)
@given(KEYS, VIEWS, st.integers(0, 2**40), st.sampled_from(["", "partner", "mixup"]))
def test_bits_and_uniform_numbers_against_python(key, view, sample, stream):
    draw = Draw(key, torch.tensor([sample]), view)
    assert draw.bits(stream).item() == signed(pixels.bits(key, sample, view, stream))
    assert draw.uniform(stream).item() == (pixels.bits(key, sample, view, stream) >> 11) / 2**53


def test_streams_share_no_draws():
    ids = torch.arange(2000)
    draws = [Draw(5, ids, 1).bits(stream) for stream in ("", "partner", "mixup")]
    assert len(torch.cat(draws).unique()) == 6000


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
