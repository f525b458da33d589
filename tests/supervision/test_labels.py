"""Ways of teaching by labels beside smoothing: against plain loops, closed forms and the published algorithm."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from lskd.supervision import labels, maxsup, online_smoothing, squared_error
from tests.supervision.test_losses import batch

SEEDS = st.integers(0, 2**31)


@given(SEEDS, st.floats(0, 0.99), st.integers(2, 9))
def test_maxsup_pulls_the_largest_logit_to_the_mean(seed, alpha, k):
    logits_nk, _, labels_n = batch(seed, k=k)
    rows = [
        -log_softmax(z)[y] + alpha * (max(z) - sum(z) / k)
        for z, y in zip(logits_nk.numpy(), labels_n.tolist(), strict=True)
    ]
    assert maxsup.loss(logits_nk, labels_n, suppression=alpha).item() == pytest.approx(np.mean(rows), rel=1e-10)


@given(SEEDS, st.floats(0, 0.99))
def test_maxsup_is_label_smoothing_where_every_prediction_is_right(seed, alpha):
    logits_nk, _, labels_n = batch(seed)
    predicted_n = logits_nk.argmax(1)
    smooth = labels.loss(logits_nk, predicted_n, label_smoothing=alpha).item()
    assert maxsup.loss(logits_nk, predicted_n, suppression=alpha).item() == pytest.approx(smooth, rel=1e-10)
    wrong = (predicted_n + 1) % 5
    if alpha > 0.01:
        assert maxsup.loss(logits_nk, wrong, suppression=alpha) > labels.loss(logits_nk, wrong, label_smoothing=alpha)


@given(SEEDS, st.floats(0.1, 20), st.floats(0.1, 40), st.integers(2, 9))
def test_squared_error_is_hui_and_belkins(seed, weight, value, k):
    logits_nk, _, labels_n = batch(seed, k=k)
    rows = [
        (weight * (z[y] - value) ** 2 + sum(z[i] ** 2 for i in range(k) if i != y)) / k
        for z, y in zip(logits_nk.tolist(), labels_n.tolist(), strict=True)
    ]
    loss = squared_error.loss(logits_nk, labels_n, label_weight=weight, label_value=value).item()
    assert loss == pytest.approx(np.mean(rows), rel=1e-10)


def test_squared_error_is_torchs_against_one_hot_labels():
    logits_nk, _, labels_n = batch()
    expected = F.mse_loss(logits_nk, F.one_hot(labels_n, 5).double())
    assert squared_error.loss(logits_nk, labels_n).item() == pytest.approx(expected.item(), rel=1e-12)


def published_soft_labels(epoch: list[tuple[np.ndarray, np.ndarray]], classes: int) -> np.ndarray:
    """The soft labels after an epoch of (logits, labels), as the authors' training script makes them."""
    sums, counts = np.zeros((classes, classes)), np.zeros(classes)
    for logits_nk, labels_n in epoch:
        for z, y in zip(logits_nk, labels_n, strict=True):
            if z.argmax() == y:
                sums[y] += softmax(z)
                counts[y] += 1
    return np.array([sums[y] / counts[y] if counts[y] else np.full(classes, 1 / classes) for y in range(classes)])


def test_online_smoothing_is_the_published_algorithm():
    state: dict[str, torch.Tensor] = {}
    soft_kk = np.full((5, 5), 0.2)
    for epoch in range(3):
        seen = []
        for step in range(4):
            logits_nk, _, labels_n = batch(10 * epoch + step, n=3)
            z_nk, y_n = logits_nk.numpy(), labels_n.numpy()
            log_p_nk = log_softmax(z_nk, 1)
            expected = 0.3 * -log_p_nk[np.arange(3), y_n].mean() + 0.7 * -(soft_kk[y_n] * log_p_nk).sum(1).mean()
            value = online_smoothing.loss(logits_nk, labels_n, state, hard_weight=0.3).item()
            assert value == pytest.approx(expected, rel=1e-10)
            seen.append((z_nk, y_n))
        soft_kk = published_soft_labels(seen, 5)
        online_smoothing.end_epoch(state)
        np.testing.assert_allclose(state["soft"].numpy(), soft_kk, rtol=1e-12)
        assert not state["sums"].any() and not state["counts"].any()
    assert len({tuple(row) for row in soft_kk.tolist()}) > 2  # some classes have been learnt from


def test_the_first_epoch_of_online_smoothing_smooths_evenly():
    logits_nk, _, labels_n = batch()
    smooth = labels.loss(logits_nk, labels_n, label_smoothing=0.5).item()
    assert online_smoothing.loss(logits_nk, labels_n, {}).item() == pytest.approx(smooth, rel=1e-12)


def test_online_smoothing_gives_no_gradient_to_what_it_remembers():
    logits_nk, _, labels_n = batch()
    state: dict[str, torch.Tensor] = {}
    for _ in range(2):
        online_smoothing.loss(logits_nk.requires_grad_(), labels_n, state).backward()
    assert not any(tensor.requires_grad for tensor in state.values())
    assert state["counts"].sum() == 2 * (logits_nk.argmax(1) == labels_n).sum()
    torch.testing.assert_close(state["sums"].sum(1), state["counts"])


def test_a_blended_image_counts_for_its_larger_part():
    logits_nk = torch.tensor([[3.0, 0, 0], [0, 3.0, 0]], dtype=torch.float64)
    targets_nk = torch.tensor([[0.7, 0.3, 0], [0.6, 0.4, 0]], dtype=torch.float64)
    state: dict[str, torch.Tensor] = {}
    online_smoothing.loss(logits_nk, targets_nk, state)
    assert state["counts"].tolist() == [1, 0, 0]
    torch.testing.assert_close(state["sums"][0], logits_nk[0].softmax(0))
