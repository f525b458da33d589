import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from lskd.errors import UserError
from lskd.metrics.stability import inter_class_std, measure, stability_algorithm1, stability_eq2, stability_inter
from tests.metrics.made import drawn, quick, study

ALL = (stability_eq2, stability_algorithm1, stability_inter, inter_class_std)
SEEDS = st.integers(0, 2**32 - 1)


def probabilities(seed, samples=90, classes=6):
    labels_n, logits_nk = drawn(seed, samples, classes)
    return labels_n, softmax(logits_nk, axis=1)


def test_eq2_is_a_loop():
    labels_n, p_nk = probabilities(1)
    total = 0.0
    for c in range(6):
        own = p_nk[labels_n == c]
        total += sum(((p - own.mean(0)) ** 2).sum() for p in own) / len(own)
    assert stability_eq2(labels_n, p_nk) == pytest.approx(1 - total / 6, abs=1e-12)


def test_algorithm_1_is_the_papers_code():
    labels_n, p_nk = probabilities(2)
    all_std = 0.0
    for c in range(6):
        softmax_p, target = torch.from_numpy(p_nk[labels_n == c]), torch.from_numpy(labels_n[labels_n == c])
        all_std += softmax_p[:, target[0]].std(dim=0)
    assert stability_algorithm1(labels_n, p_nk) == pytest.approx(float(1 - all_std / 6), abs=1e-9)


def test_inter_class_stability_is_a_loop():
    labels_n, p_nk = probabilities(3)
    mean_all = sum(p_nk) / len(p_nk)
    total = sum(np.linalg.norm(p_nk[labels_n == c].mean(0) - mean_all) ** 2 for c in range(6))
    assert stability_inter(labels_n, p_nk) == pytest.approx(1 - total / 6, abs=1e-12)


def test_inter_class_std_is_torchs():
    labels_n, p_nk = probabilities(4)
    means = torch.tensor([p_nk[labels_n == c, c].mean() for c in range(6)])
    assert inter_class_std(labels_n, p_nk) == pytest.approx(float(1 - means.std()), abs=1e-9)


def test_equal_samples_are_stable_and_one_hot_classes_are_apart():
    labels_n = np.repeat(np.arange(4), 5)
    p_nk = np.eye(4)[labels_n]
    assert stability_eq2(labels_n, p_nk) == stability_algorithm1(labels_n, p_nk) == inter_class_std(labels_n, p_nk) == 1
    assert stability_inter(labels_n, p_nk) == pytest.approx(1 - 3 / 4, abs=1e-12)  # |e_c - 1/K|^2 = 1 - 1/K


@quick
@given(SEEDS)
def test_order_and_names_do_not_matter(seed):
    labels_n, p_nk = probabilities(seed)
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(90), draw.permutation(6)
    renamed_nk = np.empty_like(p_nk)
    renamed_nk[:, names] = p_nk
    for stability in ALL:
        expected = pytest.approx(stability(labels_n, p_nk), abs=1e-9)
        assert stability(labels_n[order], p_nk[order]) == expected
        assert stability(names[labels_n], renamed_nk) == expected


@quick
@given(SEEDS, st.floats(0, 1))
def test_shrinking_towards_uniform_scales_the_instability(seed, keep):
    labels_n, p_nk = probabilities(seed)
    shrunk_nk = keep * p_nk + (1 - keep) / 6
    for stability, power in zip(ALL, (2, 1, 2, 1), strict=True):
        expected = (1 - stability(labels_n, p_nk)) * keep**power
        assert 1 - stability(labels_n, shrunk_nk) == pytest.approx(expected, abs=1e-9)


def test_too_few_images_are_told():
    with pytest.raises(UserError, match="two images"):
        stability_algorithm1(np.arange(3), np.eye(3))
    with pytest.raises(UserError, match="2 classes"):
        inter_class_std(np.zeros(3, dtype=int), np.eye(3))


def test_a_class_with_one_image_is_left_out_of_algorithm_1():
    labels_n, p_nk = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7]])
    assert stability_algorithm1(labels_n, p_nk) == pytest.approx(1 - 0.4 / np.sqrt(2), abs=1e-12)


def test_measure_gives_four_numbers_a_split(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs, {})
    assert len(rows) == len(runs) * 2 * 4
    labels_n, logits_nk = runs[1].logits("test")
    found = [r for r in rows if r["run"] == runs[1].row["run"] and r["split"] == "test"]
    assert [row["value"] for row in found] == [stability(labels_n, softmax(logits_nk, axis=1)) for stability in ALL]
