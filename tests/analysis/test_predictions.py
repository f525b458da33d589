"""What the papers predict: the algebra behind the rows, each number by a loop, and what is a claim."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from lskd.analysis import comparisons, predictions
from lskd.metrics.diffusion import NORMALISATIONS, Centroids, distances
from lskd.metrics.stability import stability_algorithm1, stability_eq2
from tests.analysis.studies import compared, hurt_at_64
from tests.figures import synthetic

ROWS = synthetic.runs(seeds=(0, 1, 2, 3))


def several_normalisations(seed=0):
    """eta of the same students under three normalisations; on mean_distance it falls elsewhere."""
    frame = synthetic.diffusion(ROWS)
    other = frame.assign(normalisation="mean_distance", value=-frame["value"])
    free = frame.assign(normalisation="unit", value=frame["value"] + 1)
    return pd.concat([frame, other, free]).sample(frac=1, random_state=seed)


def drawn_centroids(random):
    mean_kh = random.normal(size=(6, 4)) * 3
    return Centroids(mean_kh, mean_kh / np.linalg.norm(mean_kh, axis=1, keepdims=True), random.uniform(1, 5))


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_similar_and_other_classes_are_tied_where_the_module_says(normalisation):
    """sum_k d1_k r_k with r = d2 / d1 - 1, over a target's classes (mean_distance) or over all targets (mean_norm)."""
    random = np.random.default_rng(0)
    first_kk, second_kk = (distances(drawn_centroids(random), normalisation) for _ in range(2))
    off = ~np.eye(6, dtype=bool)
    change_kk = np.where(off, second_kk / np.where(off, first_kk, 1) - 1, 0)
    by_target = (first_kk * change_kk).sum(1)
    assert (abs(by_target.sum()) < 1e-9) == (normalisation in predictions.TIED)
    assert (np.abs(by_target).max() < 1e-9) == (normalisation == "mean_distance")


def test_eta_is_against_the_hard_teachers_students_and_one_claim():
    frame = several_normalisations()
    rows = list(predictions.diffusion(frame))
    assert [row["unit"] for row in rows if row["weight"]] == ["mean_norm"]
    whats = {(row["unit"], row["what"]) for row in rows}
    assert whats == {("mean_norm", "eta_S1_S2"), ("mean_distance", "eta_S1_S2")} | {
        ("unit", what) for what in ("eta_S1_S2", "eta_S1", "eta_S2")
    }
    val = frame[frame["split"] == "val"]
    for row in rows:
        of = val[val["normalisation"] == row["unit"]]
        by_seed = []
        for seed in range(4):
            own = of[of["seed"] == seed]
            means = {
                (a, s): np.mean(own.loc[(own["label_smoothing"] == a) & (own["set"] == s), "value"])
                for a in (0.0, 0.1)
                for s in ("S1", "S2")
            }
            sides = {"eta_S1": (1, 0), "eta_S2": (0, 1), "eta_S1_S2": (1, -1)}[row["what"]]
            by_seed.append(sum(w * (means[0.1, s] - means[0.0, s]) for w, s in zip(sides, ("S1", "S2"), strict=True)))
        assert row["n"] == 4 and row["mean"] == pytest.approx(np.mean(by_seed), rel=1e-9)


def test_eta_is_seen_and_in_how_many_normalisations_it_moves_so():
    frames = {"accuracy": hurt_at_64(seeds=range(4)), "diffusion": several_normalisations()}
    numbers = comparisons.verdict(frames)
    ((claim, agreeing, count),) = predictions.agreement(numbers)
    assert (claim["verdict"], agreeing, count) == ("seen", 2, 3)
    opposite = frames["diffusion"].assign(value=-frames["diffusion"]["value"])
    ((claim, agreeing, count),) = predictions.agreement(comparisons.verdict(frames | {"diffusion": opposite}))
    assert (claim["verdict"], agreeing, count) == ("opposite seen", 1, 3)


def test_without_a_hard_teacher_eta_and_stability_have_nothing_to_be_against():
    for build, family in ((predictions.diffusion, "diffusion"), (predictions.stability, "stability")):
        frame = getattr(synthetic, family)(ROWS)
        assert list(build(frame)) and not list(build(frame[frame["label_smoothing"] > 0]))
        assert not list(build(None)) and not list(build(pd.DataFrame()))
    assert not list(predictions.calibration(None))


@pytest.mark.parametrize("alpha", [0.1, 0.3])
@pytest.mark.parametrize(
    ("metric", "power"), [(stability_eq2, 2), (stability_algorithm1, 1)], ids=["equation 2", "algorithm 1"]
)
def test_the_factor_is_what_mixing_with_the_uniform_distribution_gives(alpha, metric, power):
    random = np.random.default_rng(0)
    labels_n, probabilities_nk = random.integers(0, 5, 200), softmax(random.normal(size=(200, 5)) * 3, axis=1)
    mixed_nk = (1 - alpha) * probabilities_nk + alpha / 5
    ratio = (1 - metric(labels_n, mixed_nk)) / (1 - metric(labels_n, probabilities_nk))
    assert ratio == pytest.approx((1 - alpha) ** power, rel=1e-9)
    assert set(predictions.POWERS.values()) == {1, 2}


def test_stability_claims_what_goes_beyond_the_factor_on_train():
    frame = synthetic.stability(ROWS)
    frame["value"] += np.random.default_rng(0).normal(0, 1e-5, len(frame))
    rows = {(row["what"], row["split"]): row for row in predictions.stability(frame)}
    claims = {key for key, row in rows.items() if row["weight"]}
    assert claims == {("stability_eq2_beyond", "train"), ("stability_alg1_beyond", "train")}
    for (what, split), row in rows.items():
        metric = what.removesuffix("_beyond")
        of = frame[(frame["role"] == "teacher") & (frame["metric"] == metric) & (frame["split"] == split)]
        hard, soft = (1 - of[of["label_smoothing"] == a].sort_values("seed")["value"].to_numpy() for a in (0.0, 0.1))
        factor = {"stability_eq2_beyond": 0.81, "stability_alg1_beyond": 0.9}.get(what, 1.0)
        assert row["factor"] == pytest.approx(factor) and row["n"] == 4
        assert row["mean"] == pytest.approx((soft - factor * hard).mean(), rel=1e-9)
        assert row["this"] / row["hard"] == pytest.approx(soft.mean() / hard.mean(), rel=1e-9)


def test_of_two_forms_of_smoothing_the_uniform_one_and_of_the_other_no_factor():
    frame = synthetic.stability(ROWS)
    others = frame[frame["label_smoothing"] > 0]
    others = others.assign(run=others["run"].str.replace("ls0.1/", "ls0.1-others/"), smoothing="others")
    others = others.assign(value=others["value"] - 0.1)
    both = pd.concat([frame, others]).sample(frac=1, random_state=0)
    assert [row["mean"] for row in predictions.stability(both)] == [row["mean"] for row in predictions.stability(frame)]
    alone = list(predictions.stability(pd.concat([frame[frame["label_smoothing"] == 0], others])))
    assert {row["what"] for row in alone} == {"stability_eq2", "stability_alg1"}
    assert not any(row["weight"] for row in alone)


def test_inherited_calibration_stands_beside():
    calibration = synthetic.calibration(ROWS)
    numbers = comparisons.verdict({"accuracy": hurt_at_64(seeds=range(4)), "calibration": calibration})
    rows = numbers[numbers["question"] == "calibration"]
    assert list(rows["temperature"]) == [1, 2, 3, 64] and set(rows["verdict"]) == {"lower, no claim"}
    assert rows["mean"].to_numpy() == pytest.approx([-9.6] * 4)  # points
    assert set(numbers["claims"]) == set(compared(hurt_at_64(seeds=range(4)))["claims"])
