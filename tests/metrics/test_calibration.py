import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from lskd.metrics import reliability
from lskd.metrics.accuracy import nll
from lskd.metrics.calibration import (
    BINS,
    SCORES,
    binned,
    brier,
    confidences,
    ece,
    ece_classwise,
    ece_mass,
    fit_temperature,
    mass_edges,
    measure,
    width_edges,
)
from lskd.metrics.selective import aurc, excess_aurc
from tests.metrics.made import drawn, quick, study, write_outputs

SEEDS = st.integers(0, 2**32 - 1)


def test_ece_is_torchmetrics():
    labels_n, logits_nk = drawn(1, 500, 8)
    theirs = multiclass_calibration_error(
        torch.from_numpy(softmax(logits_nk, axis=1)), torch.from_numpy(labels_n), 8, n_bins=15, norm="l1"
    )
    assert ece(*confidences(labels_n, logits_nk)) == pytest.approx(float(theirs), abs=1e-6)


def test_ece_is_a_loop_over_bins():
    confidence_n, correct_n = confidences(*drawn(2, 300, 5))
    expected = 0.0
    for i in range(BINS):
        inside = (confidence_n > i / BINS) & (confidence_n <= (i + 1) / BINS)
        if inside.any():
            expected += inside.mean() * abs(correct_n[inside].mean() - confidence_n[inside].mean())
    assert ece(confidence_n, correct_n) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("strategy", "edges_of"), [("uniform", width_edges), ("quantile", mass_edges)])
def test_bins_are_scikit_learns(strategy, edges_of):
    confidence_n, correct_n = confidences(*drawn(3, 400, 5))
    accuracy_b, confidence_b = calibration_curve(correct_n, confidence_n, n_bins=BINS, strategy=strategy)
    found = binned(confidence_n, correct_n, edges_of(confidence_n))
    filled = found.count_b > 0
    np.testing.assert_allclose(found.accuracy_b[filled], accuracy_b, atol=1e-12)
    np.testing.assert_allclose(found.confidence_b[filled], confidence_b, atol=1e-12)
    assert np.isnan(found.accuracy_b[~filled]).all()


def test_equal_mass_bins_hold_equally_many():
    confidence_n, correct_n = confidences(*drawn(4, 1500, 5))
    counts = binned(confidence_n, correct_n, mass_edges(confidence_n)).count_b
    assert counts.max() - counts.min() <= 1


def test_a_confidence_on_an_edge_lies_below_it():
    edges = width_edges(np.array([]))
    found = binned(np.array([0.0, edges[1], edges[2], 1.0]), np.ones(4), edges)
    assert np.flatnonzero(found.count_b).tolist() == [0, 1, 14]
    assert found.count_b[0] == 2


def test_the_brier_score_is_scikit_learns():
    labels_n, logits_nk = drawn(8, 200, 6)
    p_nk = softmax(logits_nk, axis=1)
    theirs = brier_score_loss(labels_n, p_nk, labels=range(6), scale_by_half=False)
    assert brier(labels_n, p_nk) == pytest.approx(theirs, abs=1e-12)
    assert brier(labels_n, np.eye(6)[labels_n]) == 0
    assert brier(labels_n, np.eye(6)[(labels_n + 1) % 6]) == 2


def test_the_class_wise_error_is_a_loop_over_classes_and_bins():
    labels_n, logits_nk = drawn(9, 300, 5)
    p_nk = softmax(logits_nk, axis=1)
    total = 0.0
    for k in range(5):
        for i in range(BINS):
            inside = (p_nk[:, k] > i / BINS) & (p_nk[:, k] <= (i + 1) / BINS)
            if inside.any():
                total += inside.sum() / 300 * abs((labels_n[inside] == k).mean() - p_nk[inside, k].mean())
    assert ece_classwise(labels_n, p_nk) == pytest.approx(total / 5, abs=1e-12)
    assert ece_classwise(labels_n, np.eye(5)[labels_n]) == 0


@quick
@given(SEEDS)
def test_order_and_names_of_classes_do_not_matter_to_brier_and_class_wise_error(seed):
    labels_n, logits_nk = drawn(seed, 60, 4)
    p_nk = softmax(logits_nk, axis=1)
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(60), draw.permutation(4)
    renamed_nk = np.empty_like(p_nk)
    renamed_nk[:, names] = p_nk
    for score in (brier, ece_classwise):
        expected = pytest.approx(score(labels_n, p_nk), abs=1e-12)
        assert score(labels_n[order], p_nk[order]) == expected
        assert score(names[labels_n], renamed_nk) == expected


def test_a_calibrated_sampler_has_no_error_and_a_liar_all():
    draw = np.random.default_rng(5)
    errors = []
    for samples in (300, 30_000, 1_000_000):
        confidence_n = draw.uniform(0.2, 1, samples)
        hit_n = (draw.uniform(size=samples) < confidence_n).astype(float)
        errors.append((ece(confidence_n, hit_n), ece_mass(confidence_n, hit_n)))
    assert errors[0] > errors[1] > errors[2]
    assert max(errors[2]) < 0.003
    assert ece(np.ones(9), np.zeros(9)) == ece_mass(np.ones(9), np.zeros(9)) == 1


@quick
@given(SEEDS)
def test_order_names_and_shift_do_not_matter(seed):
    labels_n, logits_nk = drawn(seed, 60, 4)
    logits_nk[:20] = logits_nk[0]  # ties
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(60), draw.permutation(4)
    renamed_nk = np.empty_like(logits_nk)
    renamed_nk[:, names] = logits_nk
    for error in (ece, ece_mass):
        expected = pytest.approx(error(*confidences(labels_n, logits_nk)), abs=1e-9)
        assert error(*confidences(labels_n[order], logits_nk[order])) == expected
        assert error(*confidences(names[labels_n], renamed_nk)) == expected
        apart_nk = drawn(seed, 60, 4)[1]  # rounding would part ties
        shifted = error(*confidences(labels_n, apart_nk + draw.integers(-8, 8, (60, 1))))
        assert shifted == pytest.approx(error(*confidences(labels_n, apart_nk)), abs=1e-9)


def slope(beta, labels_n, logits_nk):
    """d NLL / d beta of softmax(beta z), the closed form."""
    own_n = logits_nk[np.arange(len(labels_n)), labels_n]
    return ((softmax(beta * logits_nk, axis=1) * logits_nk).sum(1) - own_n).mean()


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_the_fitted_temperature_is_the_root_of_the_slope(scale):
    labels_n, logits_nk = drawn(6, 400, 5)
    logits_nk = logits_nk * scale
    beta = brentq(slope, 1e-3, 90, args=(labels_n, logits_nk), xtol=1e-14)
    assert fit_temperature(labels_n, logits_nk) == pytest.approx(1 / beta, rel=1e-6)


@quick
@given(SEEDS)
def test_the_loss_is_convex_in_one_over_t(seed):
    labels_n, logits_nk = drawn(seed, 30, 4)
    one, two = np.random.default_rng(seed).uniform(0.01, 20, 2)
    middle = nll(labels_n, logits_nk * (one + two) / 2)
    assert middle <= (nll(labels_n, logits_nk * one) + nll(labels_n, logits_nk * two)) / 2 + 1e-9


@quick
@given(SEEDS, st.floats(0.25, 4))
def test_scaling_logits_scales_their_temperature(seed, scale):
    labels_n, logits_nk = drawn(seed, 80, 4)
    fitted = fit_temperature(labels_n, logits_nk)
    assume(0.05 < fitted < 20)
    assert fit_temperature(labels_n, logits_nk * scale) == pytest.approx(fitted * scale, rel=1e-5)


def test_without_an_error_nothing_is_fitted():
    labels_n, logits_nk = drawn(7, 50, 4)
    right_nk = logits_nk + 20 * np.eye(4)[labels_n]
    assert nll(labels_n, right_nk / 0.1) < nll(labels_n, right_nk)  # it falls with T, and has no minimum
    assert np.isnan(fit_temperature(labels_n, right_nk))
    right_nk[0] = -right_nk[0]
    assert 0.01 < fit_temperature(labels_n, right_nk) < 100


def expected_scores(labels_n, logits_nk, temperature):
    both = confidences(labels_n, logits_nk, temperature)
    p_nk = softmax(logits_nk / temperature, axis=1)
    return {
        "ece": ece(*both),
        "ece_mass": ece_mass(*both),
        "ece_classwise": ece_classwise(labels_n, p_nk),
        "brier": brier(labels_n, p_nk),
        "nll": nll(labels_n, logits_nk / temperature),
        "aurc": aurc(*both),
        "e_aurc": excess_aurc(*both),
    }


@pytest.mark.parametrize("split", ["val", "test"])
def test_measure_fits_on_val_and_measures_on_both(tmp_path, split):
    runs = study(tmp_path)
    rows = [row for row in measure(runs, {}) if row["split"] == split]
    assert len(rows) == len(runs) * (2 * len(SCORES) + 1)
    first = {row["metric"]: row["value"] for row in rows if row["run"] == runs[0].row["run"]}
    fitted = fit_temperature(*runs[0].logits("val"))
    expected = {"temperature": fitted} | expected_scores(*runs[0].logits(split), 1.0)
    scaled = expected_scores(*runs[0].logits(split), fitted)
    assert first == pytest.approx(expected | {f"{name}_scaled": value for name, value in scaled.items()})


def test_measure_leaves_out_what_needs_a_temperature_where_none_was_fitted(tmp_path):
    run = study(tmp_path)[0]
    write_outputs(run.folders["predict"], "val", np.arange(5), np.arange(5), np.eye(5), np.eye(5))
    missing = {row["metric"] for row in measure([run], {}) if np.isnan(row["value"])}
    assert missing == {"temperature", *(f"{name}_scaled" for name in SCORES)}
    assert {row["scaled"] for row in reliability.measure([run], {})} == {False}
