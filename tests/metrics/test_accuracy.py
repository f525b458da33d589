import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss, top_k_accuracy_score

from lskd.metrics.accuracy import correct, measure, nll, of_teachers, top_k_accuracy
from tests.metrics.made import drawn, quick, study

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_is_scikit_learns(k):
    labels_n, logits_nk = drawn(3, 200, 7)
    expected = top_k_accuracy_score(labels_n, logits_nk, k=k, labels=range(7))
    assert top_k_accuracy(labels_n, logits_nk, k) == pytest.approx(expected, abs=1e-12)


def test_nll_is_scikit_learns():
    labels_n, logits_nk = drawn(4, 200, 7)
    expected = log_loss(labels_n, softmax(logits_nk, axis=1), labels=range(7))
    assert nll(labels_n, logits_nk) == pytest.approx(expected, abs=1e-9)


def test_nll_of_uniform_logits_is_log_k_and_large_logits_do_not_overflow():
    labels_n = np.array([0, 3])
    assert nll(labels_n, np.zeros((2, 4))) == pytest.approx(np.log(4), abs=1e-12)
    assert nll(labels_n, np.array([[1e4, 0, 0, 0], [1e4, 0, 0, 0]])) == pytest.approx(5e3)


def test_equal_logits_rank_by_index_as_argmax_does():
    logits_nk = np.array([[1.0, 1.0, 0.0]] * 3)
    hits = [[top_k_accuracy(np.array([label]), logits_nk[:1], k) for k in (1, 2, 3)] for label in range(3)]
    assert hits == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]


@quick
@given(SEEDS)
def test_order_names_and_shift_do_not_matter(seed):
    labels_n, logits_nk = drawn(seed, 40, 6)
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(40), draw.permutation(6)
    renamed_nk = np.empty_like(logits_nk)
    renamed_nk[:, names] = logits_nk
    shifted_nk = logits_nk + draw.normal(size=(40, 1))
    for measured in (nll, lambda y, z: top_k_accuracy(y, z, 2)):
        expected = pytest.approx(measured(labels_n, logits_nk), abs=1e-9)
        assert measured(labels_n[order], logits_nk[order]) == expected
        assert measured(names[labels_n], renamed_nk) == expected
        assert measured(labels_n, shifted_nk) == expected


@quick
@given(SEEDS, st.floats(0.01, 100))
def test_scaling_logits_keeps_the_ranks(seed, scale):
    labels_n, logits_nk = drawn(seed, 40, 6)
    assert top_k_accuracy(labels_n, logits_nk * scale, 3) == top_k_accuracy(labels_n, logits_nk, 3)


def test_measure_reads_each_split(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs, {})
    assert len(rows) == len(runs) * 6
    for row in rows:
        run = next(run for run in runs if run.row["run"] == row["run"])
        labels_n, logits_nk = run.logits(row["split"])
        assert row["group"] == run.row["group"]
        if row["metric"] == "nll":
            assert row["value"] == pytest.approx(nll(labels_n, logits_nk))
        else:
            assert row["k"] == {"top1": 1, "top5": 4}[row["metric"]]
            assert row["value"] == top_k_accuracy(labels_n, logits_nk, row["k"])


def test_two_classes_have_top_1_alone(tmp_path):
    rows = measure(study(tmp_path, classes=["cat", "dog"]), {})
    assert {row["k"] for row in rows if row["metric"] == "top5"} == {1}


def test_correct_tells_of_each_test_image_whether_it_is_right(tmp_path):
    runs = study(tmp_path)
    for run, row in zip(runs, correct(runs, {}), strict=True):
        labels_n, logits_nk = run.logits("test")
        bits = "".join(f"{byte:08b}" for byte in bytes.fromhex(row["correct"]))
        expected = [
            "01"[int(max(range(len(z)), key=z.__getitem__) == y)] for y, z in zip(labels_n, logits_nk, strict=True)
        ]
        assert bits[: row["images"]] == "".join(expected) and set(bits[row["images"] :]) <= {"0"}
        assert (row["run"], row["split"], row["images"]) == (run.row["run"], "test", len(labels_n))


def test_a_students_teacher_is_measured_under_the_students_name(tmp_path):
    runs = study(tmp_path)
    own = {(row["run"], row["split"]): row["value"] for row in measure(runs, {}) if row["metric"] == "top1"}
    rows = of_teachers(runs, {})
    assert len(rows) == 2 * sum(run.teacher is not None for run in runs) > 0
    for row in rows:
        assert row["role"] == "student" and row["value"] == own[row["teacher"], row["split"]]
    assert len({row["value"] for row in rows}) > 1
