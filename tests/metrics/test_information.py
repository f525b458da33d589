import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from lskd.errors import UserError
from lskd.io.tables import write_table
from lskd.metrics.information import differences, measure, mutual_information
from lskd.metrics.inputs import RunData
from tests.metrics.made import CLASSES, quick, sealed, study

SEEDS = st.integers(0, 2**32 - 1)


def test_estimate_is_a_loop_over_scipys_gaussians():
    values_xl = np.random.default_rng(1).normal(size=(12, 5)) + np.arange(12)[:, None]
    variance = sum((y - row.mean()) ** 2 for row in values_xl for y in row) / (12 * 4)
    total = 0.0
    for x in range(12):
        for draw in range(5):
            others_xl = np.delete(values_xl, draw, axis=1)
            densities = [norm.pdf(values_xl[x, draw], row.mean(), math.sqrt(variance * 3 / 4)) for row in others_xl]
            total -= math.log(sum(densities) / 12)
    expected = total / 60 - norm(0, math.sqrt(variance)).entropy()
    assert mutual_information(values_xl) == pytest.approx(float(expected), abs=1e-9)


@pytest.mark.parametrize("draws", [3, 5, 20])
def test_few_draws_add_nothing_equal_images_read_0_and_two_clusters_log_2(draws):
    random = np.random.default_rng(2)
    equal, clusters = [], []
    for _ in range(10):
        noise_xl = random.normal(size=(600, draws))
        equal.append(mutual_information(noise_xl))
        clusters.append(mutual_information(noise_xl + 1e3 * (np.arange(600) % 2)[:, None]))
    assert np.mean(equal) < 0.01
    assert np.mean(clusters) == pytest.approx(math.log(2), abs=0.01)


@pytest.mark.parametrize("spread", [0.5, 1.0, 3.0, 10.0])
def test_images_of_gaussian_means_read_the_closed_form(spread):
    random = np.random.default_rng(5)
    estimates = [
        mutual_information(random.normal(size=(600, 5)) + spread * random.normal(size=(600, 1))) for _ in range(10)
    ]
    assert np.mean(estimates) == pytest.approx(0.5 * math.log(1 + spread**2), abs=0.03)


def test_separated_points_tell_the_image():
    noise_xl = np.random.default_rng(2).normal(size=(40, 5))
    assert mutual_information(noise_xl + 1e3 * np.arange(40)[:, None]) == pytest.approx(math.log(40), abs=0.1)


def test_without_noise_it_is_the_entropy_of_the_distinct_values():
    assert mutual_information(np.repeat([[1.0], [1.0], [2.0], [3.0]], 3, 1)) == pytest.approx(
        1.5 * math.log(2), abs=1e-12
    )
    assert mutual_information(np.ones((4, 3))) == 0


@quick
@given(SEEDS, st.floats(0.01, 100), st.floats(-50, 50), st.floats(0, 20))
def test_order_shift_scale_and_sign_do_not_matter_and_bounds_hold(seed, scale, shift, spread):
    draw = np.random.default_rng(seed)
    values_xl = draw.normal(size=(20, 4)) + spread * draw.normal(size=(20, 1))
    information = mutual_information(values_xl)
    assert 0 <= information <= math.log(20)
    assert mutual_information(values_xl[draw.permutation(20)][:, draw.permutation(4)]) == pytest.approx(
        information, abs=1e-9
    )
    assert mutual_information(-scale * values_xl + shift) == pytest.approx(information, abs=1e-6)


def test_it_tends_to_the_integral_for_gaussians():
    """Two images: I(X; Y) of two unit Gaussians 2 apart, by numerical integration."""
    values_xl = np.random.default_rng(3).normal(size=(2, 100_000)) + np.array([[-1.0], [1.0]])
    y = np.linspace(-12, 12, 20001)
    one, two = norm.pdf(y, -1), norm.pdf(y, 1)
    expected = np.trapezoid(one * np.log(2 * one / (one + two)), y)  # equal by symmetry for the other image
    assert mutual_information(values_xl) == pytest.approx(expected, abs=1e-2)


def with_snapshots(run: RunData, labels=(0, 2), epochs=(1, 5), draws=3, images=4, skip=None):
    """The run with snapshots' logits in rows of no particular order, and these logits [E, images, draws, K]."""
    draw = np.random.default_rng(4)
    logits = draw.normal(size=(len(epochs), images, draws, len(CLASSES))).astype(np.float32)
    index = [i for i in np.ndindex(len(epochs), images, draws) if i != skip]
    index = [index[i] for i in draw.permutation(len(index))]
    columns = {
        "epoch": pa.array([epochs[e] for e, _, _ in index], pa.int32()),
        "sample": pa.array([7 * x for _, x, _ in index], pa.int32()),
        "draw": pa.array([1 + draw for _, _, draw in index], pa.int16()),
        "label": pa.array([labels[x % len(labels)] for _, x, _ in index], pa.int32()),
        "logits": pa.FixedSizeListArray.from_arrays(np.concatenate([logits[i] for i in index]), len(CLASSES)),
    }
    path = run.folders["predict"].parents[5] / "snapshots-0123456789"
    path.mkdir()
    write_table(path / "snapshots.parquet", pa.table(columns), {})
    return replace(run, folders=run.folders | {"snapshots": sealed(path)}), logits.astype(np.float64)


def test_measure_takes_the_difference_of_the_probed_classes_logits(tmp_path):
    run, logits = with_snapshots(study(tmp_path)[0])
    rows = measure([run], {})
    assert [row["epoch"] for row in rows] == [1, 5]
    for e, row in enumerate(rows):
        assert row["value"] == pytest.approx(mutual_information(logits[e, :, :, 0] - logits[e, :, :, 2]), abs=1e-9)
    np.testing.assert_allclose(
        differences(run.snapshots(), 5, 0, 2), logits[1, :, :, 0] - logits[1, :, :, 2], atol=1e-12
    )
    named = measure([run], {"classes": [CLASSES[0], CLASSES[2]]})
    assert named == rows


def test_wrong_classes_and_missing_views_are_told(tmp_path):
    run, _ = with_snapshots(study(tmp_path)[0], skip=(1, 2, 1))
    with pytest.raises(UserError, match="epoch 5 lacks a draw"):
        measure([run], {})
    with pytest.raises(UserError, match="found 3, mutual information takes 2"):
        measure([run], {"classes": CLASSES[:3]})
    with pytest.raises(UserError, match="no class 'bea' in made; nearest: bee"):
        measure([run], {"classes": ["ant", "bea"]})
    for wrong in (["bee", "dog"], ["ant", "bee"], ["ant", "ant"]):
        with pytest.raises(UserError, match=r"takes 2 that differ and were probed \(ant, cat\)"):
            measure([run], {"classes": wrong})
