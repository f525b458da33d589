"""Mixup against a plain loop; its shares and partners against their distributions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, chi2, kstest

from lskd.data.augment import CLEAN, Augmentation, Draw, flip
from lskd.data.mixup import mixup
from lskd.data.sources import Source, resident
from tests import pixels

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KEYS = st.integers(-(2**63), 2**63 - 1)
ALPHAS = [0.05, 0.2, 1.0, 4.0]
MEAN, STD = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.25])
CLASSES = ["ant", "bee", "cat", "dog"]


def images(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 4, 5), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def source(count: int = 20, device: str = "cpu") -> Source:
    labels_n = torch.arange(count, device=device) % len(CLASSES)
    fetch = resident(images(count).to(device))
    return Source(fetch, (3, 4, 5), labels_n, MEAN.to(device), STD.to(device), CLASSES)


def normalised(image_chw: np.ndarray) -> np.ndarray:
    return (image_chw / 255 - MEAN.double().numpy()[:, None, None]) / STD.double().numpy()[:, None, None]


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(KEYS, st.integers(1, 1000), st.sampled_from(ALPHAS), st.booleans())
def test_a_blended_batch_is_a_plain_loop(device, key, number, alpha, is_flipped):
    ids = [3, 0, 19, 7]
    singles = [(flip, True)] if is_flipped else []
    augmentation = Augmentation(key, singles, (mixup, alpha))
    (batch,) = source(device=device).batches([torch.tensor(ids, device=device)], number, augmentation)
    assert batch.ids_n.tolist() == ids and batch.weight == 4
    assert batch.targets.dtype == torch.float32 and batch.inputs.dtype == torch.float32
    drawn = images(20).numpy()
    if is_flipped:
        drawn = pixels.augment(drawn, range(20), number, key, flip=True)
    for n, i in enumerate(ids):
        j, share = pixels.partner(key, i, number, 20), pixels.share(key, i, number, alpha)
        blended_chw = share * normalised(drawn[i]) + (1 - share) * normalised(drawn[j])
        assert np.allclose(batch.inputs[n].cpu(), blended_chw, rtol=1e-4, atol=1e-5)
        target_k = np.zeros(4)
        target_k[i % 4] += share
        target_k[j % 4] += 1 - share
        assert np.allclose(batch.targets[n].cpu(), target_k, atol=1e-6)
    assert torch.allclose(batch.targets.sum(1).cpu(), torch.ones(4))
    assert torch.equal(batch.hard_targets_n, batch.targets.argmax(1))


@settings(max_examples=30, deadline=None)
@given(KEYS, st.integers(1, 1000), st.permutations(range(20)), st.integers(2, 20))
def test_a_function_of_key_sample_and_draw_only_and_not_of_the_batch(key, number, order, size):
    augmentation, each = Augmentation(key, [(flip, True)], (mixup, 0.2)), source()
    (together,) = each.batches([torch.arange(20)], number, augmentation)
    chosen = torch.tensor(order[:size])
    (alone,) = each.batches([chosen], number, augmentation)
    assert torch.equal(alone.inputs, together.inputs[chosen])
    assert torch.equal(alone.targets, together.targets[chosen])
    first, last = each.batches([chosen[: size // 2], chosen[size // 2 :]], number, augmentation)
    assert torch.equal(torch.cat([first.inputs, last.inputs]), alone.inputs)


def test_another_draw_or_key_blends_otherwise():
    blends = [
        next(source().batches([torch.arange(20)], number, Augmentation(key, [], (mixup, 0.2)))).inputs
        for key, number in ((1, 1), (1, 2), (2, 1))
    ]
    assert not torch.equal(blends[0], blends[1]) and not torch.equal(blends[0], blends[2])


def test_the_clean_draw_is_not_blended():
    augmentation = Augmentation(1, [], (mixup, 0.2))
    (blended,), (clean,) = (
        source().batches([torch.arange(20)], CLEAN, each) for each in (augmentation, Augmentation())
    )
    assert torch.equal(blended.inputs, clean.inputs)
    assert torch.equal(blended.targets, torch.arange(20) % 4) and torch.equal(blended.hard_targets_n, blended.targets)


def shares(ids, number, key, alpha) -> np.ndarray:
    zeros_nchw = torch.zeros(len(ids), 1, 1, 1)
    return mixup(zeros_nchw, zeros_nchw, Draw(key, ids, number), alpha)[1].numpy()


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("stream", ["samples", "draws", "keys"])
def test_shares_are_drawn_from_the_beta_distribution(alpha, stream):
    """Kolmogorov-Smirnov, with consecutive samples, draws or keys; all fixed."""
    if stream == "samples":
        drawn = shares(torch.arange(4000), 1, 42, alpha)
    elif stream == "draws":
        drawn = np.concatenate([shares(torch.arange(10), number, 42, alpha) for number in range(1, 401)])
    else:
        drawn = np.concatenate([shares(torch.arange(10), 1, key, alpha) for key in range(400)])
    assert drawn.min() >= 0 and drawn.max() <= 1
    inner = drawn[(drawn > 1e-6) & (drawn < 1 - 1e-6)].astype(float)  # float32 has gaps next to 1
    low, high = beta.cdf([1e-6, 1 - 1e-6], alpha, alpha)
    assert abs(len(inner) / len(drawn) - (high - low)) < 0.03
    p = kstest(inner, lambda x: (beta.cdf(x, alpha, alpha) - low) / (high - low)).pvalue
    assert p > 0.001


@pytest.mark.parametrize("samples", [7, 50])
def test_partners_are_uniform(samples):
    partners = Augmentation(42, [], (mixup, 1.0)).partners(torch.arange(5000), 1, samples)
    counts = np.bincount(partners.numpy(), minlength=samples)
    assert len(counts) == samples
    statistic = ((counts - 5000 / samples) ** 2 / (5000 / samples)).sum()
    low, high = chi2.ppf([0.001, 0.999], samples - 1)
    assert low < statistic < high


def test_partner_and_share_are_independent():
    ids = torch.arange(20_000)
    partners = Augmentation(42, [], (mixup, 1.0)).partners(ids, 1, 2).numpy()
    drawn = shares(ids, 1, 42, 1.0)
    assert abs(drawn[partners == 0].mean() - drawn[partners == 1].mean()) < 4 * (1 / 12 / 5_000) ** 0.5


def test_the_images_stay_as_they_are():
    batch = torch.rand(4, 3, 4, 5)
    before = batch.clone()
    mixup(batch, batch.flip(0), Draw(1, torch.arange(4), 1), 0.2)
    assert torch.equal(batch, before)
