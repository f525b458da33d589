"""The interventions on stored logits: what each keeps, what it changes, and that it is the same again."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import kstest

from lskd.metrics.calibration import fit_temperature
from lskd.study import registry
from lskd.transforms import calibrate, erase, randomize, shuffle
from lskd.transforms.classes import by_class

SEEDS = st.integers(0, 2**31)
MODULES = {"erase": erase, "shuffle": shuffle, "randomize": randomize, "calibrate": calibrate}
OPTIONS = {"erase": {"keep": 0.3}, "calibrate": {"fitted": 1.7}}


def table(seed: int, n: int = 60, k: int = 4, dtype=np.float32):
    """Logits of images of k classes, correlated within each, and their labels, every class there."""
    draw = np.random.default_rng(seed)
    labels_n = np.concatenate([np.arange(k), draw.integers(k, size=n - k)])
    mixing_kkk = draw.normal(size=(k, k, k))
    noise_nk = np.einsum("nj,njk->nk", draw.normal(size=(n, k)), mixing_kkk[labels_n])
    return (5 * draw.normal(size=(k, k))[labels_n] + noise_nk).astype(dtype), labels_n


def changed(name: str, logits_nk, labels_n, seed: int = 0, **options):
    rng = np.random.default_rng(seed)
    return MODULES[name].transform(logits_nk, labels_n, rng, **OPTIONS.get(name, {}) | options)


def means(logits_nk, labels_n):
    return np.array([logits_nk[labels_n == label].mean(0) for label in np.unique(labels_n)])


def covariances(logits_nk, labels_n):
    return np.array([np.cov(logits_nk[labels_n == label].T, bias=True) for label in np.unique(labels_n)])


def test_the_registry_has_these_transforms_and_none():
    known = registry.transforms()
    assert known.pop("none") == registry.Transform()
    assert {name: f"{module.__name__}:transform" for name, module in MODULES.items()} == {
        name: transform.entry for name, transform in known.items()
    }
    assert {name for name, transform in known.items() if transform.fits} == {"calibrate"}


def test_no_transform_needs_torch():
    modules = ", ".join(module.__name__ for module in MODULES.values())
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_transform_is_pure_and_keeps_shape_and_type(name, dtype):
    logits_nk, labels_n = table(1, dtype=dtype)
    before = logits_nk.copy()
    after = changed(name, logits_nk, labels_n)
    assert (after.shape, after.dtype) == (logits_nk.shape, dtype)
    np.testing.assert_array_equal(logits_nk, before)
    np.testing.assert_array_equal(changed(name, logits_nk, labels_n), after)
    is_random = name in ("shuffle", "randomize")
    assert np.array_equal(changed(name, logits_nk, labels_n, seed=1), after) != is_random


@pytest.mark.parametrize("name", MODULES)
@given(seed=SEEDS, shift=st.floats(-50, 50))
def test_a_shift_of_rows_changes_no_prediction(name, seed, shift):
    logits_nk, labels_n = table(seed, dtype=np.float64)
    shift_n1 = shift * np.sin(np.arange(len(labels_n)))[:, None]
    if name == "randomize":
        shift_n1[:] = shift  # its noise knows the covariance of the shifts too, unless they are all the same
    one, two = (softmax(changed(name, z_nk, labels_n), 1) for z_nk in (logits_nk, logits_nk + shift_n1))
    np.testing.assert_allclose(one, two, atol=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_the_images_of_each_class(labels):
    places = list(by_class(np.array(labels)))
    expected = [[i for i, label in enumerate(labels) if label == each] for each in sorted(set(labels))]
    assert [place.tolist() for place in places] == expected


@given(SEEDS, st.floats(0, 1))
def test_erase_is_the_class_mean_and_a_share_of_the_rest(seed, keep):
    logits_nk, labels_n = table(seed, dtype=np.float64)
    after = changed("erase", logits_nk, labels_n, keep=keep)
    for i, label in enumerate(labels_n):
        mean_k = sum(logits_nk[j] for j in range(len(labels_n)) if labels_n[j] == label) / sum(labels_n == label)
        np.testing.assert_allclose(after[i], mean_k + keep * (logits_nk[i] - mean_k), atol=1e-12)
    np.testing.assert_allclose(covariances(after, labels_n), keep**2 * covariances(logits_nk, labels_n), atol=1e-9)


def test_the_ends_of_erase_are_exact():
    logits_nk, labels_n = table(2)
    logits_nk[0, 0] = 1e-20  # which a detour by the mean would round away
    assert changed("erase", logits_nk, labels_n, keep=1.0).tobytes() == logits_nk.tobytes()
    erased = changed("erase", logits_nk, labels_n, keep=0.0)
    assert len({row.tobytes() for row in erased}) == 4
    np.testing.assert_allclose(means(erased, labels_n), means(logits_nk.astype(float), labels_n), rtol=1e-6)


@given(SEEDS)
def test_shuffle_moves_rows_within_classes_and_leaves_none_in_its_place(seed):
    logits_nk, labels_n = table(seed)
    after = changed("shuffle", logits_nk, labels_n, seed)
    for label in range(4):
        own, others = (sorted(map(bytes, z_nk[labels_n == label])) for z_nk in (logits_nk, after))
        assert own == others
        if len(own) > 1:
            assert not (after == logits_nk)[labels_n == label].all(1).any()


def test_shuffle_draws_every_cycle_alike():
    labels_n, logits_nk = np.zeros(4, int), np.arange(4.0)[:, None]
    rng = np.random.default_rng(0)
    seen = [tuple(shuffle.transform(logits_nk, labels_n, rng)[:, 0].astype(int)) for _ in range(3000)]
    counts = [seen.count(cycle) for cycle in set(seen)]
    assert len(counts) == 6 and min(counts) > 400  # of the 4! orders, the 3! that are one cycle


@given(SEEDS)
def test_randomize_keeps_mean_and_covariance_of_each_class_and_nothing_else(seed):
    logits_nk, labels_n = table(seed, dtype=np.float64)
    after = changed("randomize", logits_nk, labels_n, seed)
    np.testing.assert_allclose(means(after, labels_n), means(logits_nk, labels_n), atol=1e-9)
    for label in range(4):
        one, two = (z_nk[labels_n == label] for z_nk in (logits_nk, after))
        if len(one) > 4:  # more images than classes
            np.testing.assert_allclose(np.cov(two.T), np.cov(one.T), atol=1e-8)
            assert np.abs(one - two).max() > 1e-3


def test_of_a_small_class_the_covariance_is_right_in_the_mean():
    logits_nk, labels_n = np.random.default_rng(3).normal(size=(4, 6)) * np.arange(1, 7), np.zeros(4, int)
    rng = np.random.default_rng(0)
    drawn = [np.cov(randomize.transform(logits_nk, labels_n, rng).T) for _ in range(4000)]
    expected = np.cov(logits_nk.T)
    np.testing.assert_allclose(np.mean(drawn, 0), expected, atol=0.1 * np.abs(expected).max())


def test_the_noise_is_gaussian_and_does_not_know_the_images():
    draw = np.random.default_rng(4)
    labels_n = np.zeros(4000, int)
    logits_nk = draw.exponential(size=(4000, 3)) @ draw.normal(size=(3, 3))
    noise_nk = changed("randomize", logits_nk, labels_n) - logits_nk.mean(0)
    for own, noise in zip((logits_nk - logits_nk.mean(0)).T, noise_nk.T, strict=True):
        assert kstest(noise / noise.std(), "norm").pvalue > 1e-3 > kstest(own / own.std(), "norm").pvalue
        assert abs(np.corrcoef(own, noise)[0, 1]) < 0.05


@pytest.mark.parametrize("name", ["erase", "shuffle", "randomize"])
def test_a_class_of_one_image_stays_as_it_is(name):
    logits_nk = np.array([[1.0, 2.0, 4.0], [0.0, 5.0, 1.0]])
    np.testing.assert_array_equal(changed(name, logits_nk, np.array([0, 2])), logits_nk)


@given(SEEDS)
def test_calibrated_logits_have_nothing_left_to_fit(seed):
    logits_nk, labels_n = table(seed, 200, dtype=np.float64)
    fitted = fit_temperature(labels_n, logits_nk)
    after = changed("calibrate", logits_nk, labels_n, fitted=fitted)
    np.testing.assert_allclose(after, logits_nk / fitted, rtol=1e-15)
    if 0.1 < fitted < 10:
        assert fit_temperature(labels_n, after) == pytest.approx(1, abs=1e-5)
