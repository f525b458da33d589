"""CutMix against a loop over pixels; its boxes against their distribution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from lskd.data.augment import CLEAN, Augmentation, Draw, flip
from lskd.data.cutmix import cutmix
from tests import pixels
from tests.data.test_mixup import DEVICES, KEYS, images, normalised, source

ALPHAS = [0.2, 1.0, 4.0]


def box(key: int, sample: int, number: int, alpha: float, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the box, as the paper's public code has them."""
    side = (1 - beta.ppf(pixels.uniform(key, sample, number, "cutmix"), alpha, alpha)) ** 0.5
    edges = []
    for stream, length in (("cutmix down", height), ("cutmix right", width)):
        centre, cut = int(pixels.uniform(key, sample, number, stream) * length), int(length * side)
        edges += [min(max(centre - cut // 2, 0), length), min(max(centre + cut // 2, 0), length)]
    return tuple(edges)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(KEYS, st.integers(1, 1000), st.sampled_from(ALPHAS), st.booleans())
def test_a_batch_is_a_loop_over_pixels(device, key, number, alpha, is_flipped):
    ids = [3, 0, 19, 7]
    singles = [(flip, True)] if is_flipped else []
    augmentation = Augmentation(key, singles, (cutmix, alpha))
    (batch,) = source(device=device).batches([torch.tensor(ids, device=device)], number, augmentation)
    drawn = images(20).numpy()
    if is_flipped:
        drawn = pixels.augment(drawn, range(20), number, key, flip=True)
    for n, i in enumerate(ids):
        j = pixels.partner(key, i, number, 20)
        top, bottom, left, right = box(key, i, number, alpha, 4, 5)
        mixed = normalised(drawn[i])
        for y in range(top, bottom):
            for x in range(left, right):
                mixed[:, y, x] = normalised(drawn[j])[:, y, x]
        assert np.allclose(batch.inputs[n].cpu(), mixed, rtol=1e-4, atol=1e-5)
        share = 1 - (bottom - top) * (right - left) / 20
        target_k = np.zeros(4)
        target_k[i % 4] += share
        target_k[j % 4] += 1 - share
        assert np.allclose(batch.targets[n].cpu(), target_k, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(KEYS, st.integers(1, 1000), st.permutations(range(20)), st.integers(2, 20))
def test_a_function_of_key_sample_and_draw_only_and_not_of_the_batch(key, number, order, size):
    augmentation, each = Augmentation(key, [(flip, True)], (cutmix, 1.0)), source()
    (together,) = each.batches([torch.arange(20)], number, augmentation)
    chosen = torch.tensor(order[:size])
    (alone,) = each.batches([chosen], number, augmentation)
    assert torch.equal(alone.inputs, together.inputs[chosen])
    assert torch.equal(alone.targets, together.targets[chosen])


def test_at_the_clean_draw_nothing_is_mixed():
    blended, clean = (
        next(source().batches([torch.arange(20)], CLEAN, each))
        for each in (Augmentation(1, [], (cutmix, 1.0)), Augmentation())
    )
    assert torch.equal(blended.inputs, clean.inputs) and torch.equal(blended.targets, clean.targets)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_boxes_are_as_large_and_where_the_paper_has_them(alpha):
    """Inside boxes, whose centres are far from the border, keep the drawn share; centres are uniform."""
    zeros_nchw, ones_nchw = torch.zeros(4000, 1, 64, 64), torch.ones(4000, 1, 64, 64)
    mixed_nchw, share_n = cutmix(zeros_nchw, ones_nchw, Draw(42, torch.arange(4000), 1), alpha)
    assert torch.allclose(share_n, 1 - mixed_nchw.flatten(1).mean(1), atol=1e-6)
    rng = np.random.default_rng(0)  # the paper's code, drawn anew
    expected = []
    for _ in range(4000):
        half = int(64 * (1 - rng.beta(alpha, alpha)) ** 0.5) // 2
        sides = [np.diff(np.clip([centre - half, centre + half], 0, 64))[0] for centre in rng.integers(64, size=2)]
        expected.append(1 - sides[0] * sides[1] / 64**2)
    error = (np.var(expected) / 2000) ** 0.5
    assert abs(share_n.mean().item() - np.mean(expected)) < 4 * error
    assert abs(share_n.std().item() - np.std(expected)) < 0.02
    rows_h, columns_w = mixed_nchw.mean((0, 1, 3)), mixed_nchw.mean((0, 1, 2))
    assert torch.allclose(rows_h, rows_h.flip(0), atol=0.04) and torch.allclose(columns_w, rows_h, atol=0.04)


@settings(max_examples=30, deadline=None)
@given(KEYS, st.integers(1, 1000), st.integers(2, 4))
def test_a_teacher_of_larger_images_sees_the_same_box(key, number, scale):
    ids = torch.arange(9)
    shape = (9, 1, 6, 5)
    mixed_nchw, share_n = cutmix(torch.zeros(shape), torch.ones(shape), Draw(key, ids, number), 1.0)
    larger = (9, 1, 6 * scale, 5 * scale)
    seen_nchw, seen_share_n = cutmix(torch.zeros(larger), torch.ones(larger), Draw(key, ids, number, float(scale)), 1.0)
    assert torch.equal(seen_nchw, mixed_nchw.repeat_interleave(scale, 2).repeat_interleave(scale, 3))
    assert torch.allclose(seen_share_n, share_n, atol=1e-6)
