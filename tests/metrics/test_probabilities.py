import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from lskd.metrics.probabilities import class_means, measure
from tests.metrics.made import CLASSES, drawn, quick, study


def test_class_means_are_a_loop():
    labels_n, logits_nk = drawn(1, 70, 5)
    p_nk = softmax(logits_nk, axis=1)
    means_kk = class_means(labels_n, p_nk)
    for c in range(5):
        np.testing.assert_allclose(means_kk[c], p_nk[labels_n == c].mean(0), atol=1e-12)
    np.testing.assert_allclose(means_kk.sum(1), 1, atol=1e-12)


def test_a_class_without_samples_has_no_mean():
    means_kk = class_means(np.array([0, 0]), np.array([[0.9, 0.1], [0.7, 0.3]]))
    assert means_kk[0] == pytest.approx([0.8, 0.2])
    assert np.isnan(means_kk[1]).all()


@quick
@given(st.integers(0, 2**32 - 1))
def test_renaming_classes_renames_the_means(seed):
    labels_n, logits_nk = drawn(seed, 60, 5)
    p_nk, names = softmax(logits_nk, axis=1), np.random.default_rng(seed).permutation(5)
    renamed_nk = np.empty_like(p_nk)
    renamed_nk[:, names] = p_nk
    renamed_kk = class_means(names[labels_n], renamed_nk)
    np.testing.assert_allclose(renamed_kk[np.ix_(names, names)], class_means(labels_n, p_nk), atol=1e-12)


def test_measure_gives_each_pair_of_classes(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs[:1], {"temperatures": [1.0, 4.0]})
    assert len(rows) == 2 * 2 * len(CLASSES) ** 2
    labels_n, logits_nk = runs[0].logits("test")
    expected_kk = class_means(labels_n, softmax(logits_nk / 4, axis=1))
    found = {
        (r["class"], r["predicted"]): r["value"] for r in rows if r["split"] == "test" and r["temperature_at"] == 4
    }
    assert found == {(a, b): expected_kk[i, j] for i, a in enumerate(CLASSES) for j, b in enumerate(CLASSES)}
    assert {row["temperature_at"] for row in measure(runs[:1], {})} == {1}


def test_only_the_first_hundred_classes_are_shown(tmp_path):
    names = [f"class{i:03}" for i in range(104)]
    rows = measure(study(tmp_path, classes=names, each=1)[:1], {})
    assert len(rows) == 2 * 100**2
    assert {row["class"] for row in rows} == {row["predicted"] for row in rows} == set(names[:100])
