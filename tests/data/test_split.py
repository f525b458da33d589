import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lskd.data.split import stratified_mask

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=300).map(lambda labels: np.array(labels, dtype=np.int64))
FRACTIONS = st.floats(0.01, 0.99)


@given(LABELS, FRACTIONS, st.integers(0, 2**32 - 1))
def test_proportion_of_each_class(labels, fraction, seed):
    mask = stratified_mask(labels, fraction, seed)
    assert mask.shape == labels.shape
    for label in set(labels.tolist()):
        total, chosen = int((labels == label).sum()), int(mask[labels == label].sum())
        if total == 1:
            assert chosen == 0
        else:
            assert 1 <= chosen <= total - 1
            assert abs(chosen - fraction * total) <= 1
            if 1 <= fraction * total <= total - 1:
                assert abs(chosen - fraction * total) <= 0.5


@given(LABELS, FRACTIONS, st.integers(0, 2**32 - 1))
def test_same_labels_same_split(labels, fraction, seed):
    assert (stratified_mask(labels, fraction, seed) == stratified_mask(labels.copy(), fraction, seed)).all()


@given(LABELS, FRACTIONS)
def test_a_class_is_split_whatever_the_others_are(labels, fraction):
    members = labels == labels[0]
    alone = stratified_mask(labels[members], fraction, 3)
    assert (stratified_mask(labels, fraction, 3)[members] == alone).all()


def test_another_seed_chooses_others():
    labels = np.repeat(np.arange(3), 100)
    assert (stratified_mask(labels, 0.5, 0) != stratified_mask(labels, 0.5, 1)).any()


def test_the_choice_is_pinned():
    """Finished results stand on it: a new NumPy must not move it."""
    assert np.flatnonzero(stratified_mask(np.array([0] * 10 + [1] * 10), 0.2, 5)).tolist() == [1, 5, 10, 17]


def test_every_member_can_be_chosen_about_equally():
    labels = np.zeros(10, dtype=np.int64)
    hits = sum(stratified_mask(labels, 0.3, seed).astype(int) for seed in range(2000))
    assert abs(hits - 600).max() < 5 * (2000 * 0.3 * 0.7) ** 0.5
