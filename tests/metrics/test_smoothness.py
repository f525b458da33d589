import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy as scipys

from lskd.metrics.smoothness import entropy, gamma, measure
from tests.metrics.made import drawn, quick, study


@quick
@given(st.floats(0, 1), st.integers(2, 50))
def test_gamma_of_smoothed_labels_is_alpha(alpha, classes):
    labels_n = np.arange(60) % classes
    assert gamma(labels_n, (1 - alpha) * np.eye(classes)[labels_n] + alpha / classes) == pytest.approx(alpha, abs=1e-12)


def test_gamma_is_muellers_sum():
    labels_n, logits_nk = drawn(1, 50, 6)
    p_nk = softmax(logits_nk, axis=1)
    total = sum(p_nk[i, k] * 6 / 5 for i in range(50) for k in range(6) if k != labels_n[i])
    assert gamma(labels_n, p_nk) == pytest.approx(total / 50, abs=1e-12)


def test_entropy_is_scipys_and_of_a_sure_network_0():
    _, logits_nk = drawn(2, 50, 6)
    p_nk = softmax(logits_nk, axis=1)
    assert entropy(p_nk) == pytest.approx(scipys(p_nk, axis=1).mean(), abs=1e-12)
    assert entropy(np.eye(6)) == 0


@quick
@given(st.integers(0, 2**32 - 1))
def test_order_names_and_shift_do_not_matter(seed):
    labels_n, logits_nk = drawn(seed, 30, 5)
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(30), draw.permutation(5)
    renamed_nk = np.empty_like(logits_nk)
    renamed_nk[:, names] = logits_nk
    expected = pytest.approx(gamma(labels_n, softmax(logits_nk, axis=1)), abs=1e-9)
    assert gamma(labels_n[order], softmax(logits_nk[order], axis=1)) == expected
    assert gamma(names[labels_n], softmax(renamed_nk, axis=1)) == expected
    assert gamma(labels_n, softmax(logits_nk + draw.normal(size=(30, 1)), axis=1)) == expected


def test_measure_takes_teachers_at_each_temperature(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs, {"temperatures": [1.0, 1e4]})
    assert {row["role"] for row in rows} == {"teacher"}
    assert {row["split"] for row in rows} == {"train"}
    labels_n, logits_nk = runs[0].logits("train")
    first = {(row["metric"], row["temperature_at"]): row["value"] for row in rows if row["run"] == runs[0].row["run"]}
    assert first["gamma", 1] == gamma(labels_n, softmax(logits_nk, axis=1))
    assert first["entropy", 1] == entropy(softmax(logits_nk, axis=1))
    assert first["gamma", 1e4] == pytest.approx(1, abs=1e-3)  # as good as uniform
    assert first["entropy", 1e4] == pytest.approx(np.log(5), abs=1e-3)
    assert {row["temperature_at"] for row in measure(runs, {})} == {1, 2, 3, 4, 8, 12, 16}
