"""Studies in which the cause is known, and each row by a loop."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress, spearmanr, ttest_1samp

from lskd.analysis.cause_words import CAUSES, NOT, PART, SURVIVES
from lskd.analysis.causes import causes, doses, margin, reference
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE
from lskd.analysis.interventions import HARD, SMOOTH, pairs, plain
from lskd.errors import UserError
from tests.analysis import taught

T0 = taught.T0


def by_softness(kind, way, transform, keep, teachers_t, t, soft):
    """Softer targets teach worse, whoever's they are and whatever is erased."""
    return 76 - 2 * soft


def by_erasure(kind, way, transform, keep, teachers_t, t, soft):
    """What is told of an image within its class teaches; LS erases it, and nothing else counts."""
    erased = kind == "LS" or transform in ("shuffle", "randomize")
    return 76 if np.isnan(keep) and not erased else 73 + 3 * np.nan_to_num(keep)


def by_scale(kind, way, transform, keep, teachers_t, t, soft):
    """How large logits are is all that differs."""
    return 76 - 3 * (kind == "LS" and way != "standardized_kd")


def by_calibration(kind, way, transform, keep, teachers_t, t, soft):
    """A calibrated teacher teaches better; half of the gap is something else."""
    if kind == "hard":
        return 76
    return 76 - 1.5 - 1.5 * (transform != "calibrate")


def by_nothing(kind, way, transform, keep, teachers_t, t, soft):
    return 76


def words(top1, **how):
    numbers = causes(taught.study(top1, **how))
    rows = numbers[numbers["question"] == "cause"]
    return dict(zip(rows["cause"], rows["verdict"], strict=True))


def rows_of(numbers, what):
    return numbers[numbers["what"] == what].to_dict("records")


def only_row(numbers, what):
    (row,) = rows_of(numbers, what)
    return row


def test_pure_softness():
    # standardised and calibrated logits are as soft from both teachers here, and nothing is erased
    expected = {"softness": SURVIVES, "calibration": SURVIVES, "scale": SURVIVES, "erasure": NOT}
    assert words(by_softness) == expected
    numbers = causes(taught.study(by_softness))
    assert only_row(numbers, "matched entropy")["verdict"] == NO_DIFFERENCE
    assert only_row(numbers, "matched entropy, smaller")["verdict"] == "smaller"
    assert only_row(numbers, "matched T")["mean"] < -0.5


def test_pure_erasure():
    assert words(by_erasure) == {"softness": NOT, "calibration": NOT, "scale": NOT, "erasure": SURVIVES}
    numbers = causes(taught.study(by_erasure))
    assert only_row(numbers, "slope")["verdict"] == "seen"
    assert only_row(numbers, "lambda of LS")["mean"] == pytest.approx(0, abs=0.05)
    contrasts = {what: only_row(numbers, what)["verdict"] for what in ("shuffled", "shuffled, erased")}
    assert contrasts == {"shuffled": "worse", "shuffled, erased": NO_DIFFERENCE}


def test_pure_scale():
    expected = {"softness": NOT, "calibration": NOT, "scale": SURVIVES, "erasure": NOT}
    assert words(by_scale) == expected


def test_half_of_it():
    assert words(by_calibration) == {"softness": NOT, "calibration": PART, "scale": NOT, "erasure": NOT}
    row = only_row(causes(taught.study(by_calibration)), "calibrated, smaller")
    assert row["share"] == pytest.approx(0.5, abs=0.05) and row["mean"] == pytest.approx(1.5, abs=0.1)


def test_no_gap_is_not_explained_and_few_seeds_tell_nothing():
    assert set(words(by_nothing).values()) == {CANNOT_TELL}
    assert set(words(by_softness, seeds=(0, 1)).values()) == {CANNOT_TELL}


def test_words_where_ls_helps():
    def helped(*how):
        return 150 - by_erasure(*how)

    assert words(helped) == {"softness": NOT, "calibration": NOT, "scale": NOT, "erasure": SURVIVES}


def test_noise_alone_makes_no_claim_most_of_the_time():
    false_studies = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        frames = taught.study(lambda *how, draw=random: 75 + draw.normal(), noise=0.0, students=1)
        numbers = causes(frames)
        is_told = (numbers["weight"] > 0) & ~numbers["verdict"].isin([CANNOT_TELL, NO_DIFFERENCE])
        false_studies += is_told.any()
    assert false_studies <= 3  # at 5 %, more than 3 of 20 have a chance of 1.6 %


def by_all(kind, way, transform, keep, teachers_t, t, soft):
    """Each way of teaching has an accuracy of its own."""
    return 70 + sum(map(ord, f"{kind}{way}{transform}")) % 7 + np.nan_to_num(keep) + np.log2(teachers_t) - soft / 3


class Looked:
    """Top-1 on test of students taught so, seed by seed, the mean over students, straight from the frames."""

    def __init__(self, frames):
        top1 = frames["accuracy"].query("split == 'test' and role == 'student'")
        ways = frames["taught"].query("metric == 'entropy'").set_index("run").to_dict("index")
        self.rows = [self.setting_and_top1(row, ways[row["run"]]) for row in top1.to_dict("records")]

    @staticmethod
    def setting_and_top1(row, about):
        rival = next((name for name in taught.RIVALS if name in row["teacher"]), None)
        kind = rival or ("LS" if row["label_smoothing"] else "hard")
        key = kind, about["way"], about["transform"], about["teacher_temperature"], row["temperature"]
        return key, about["keep"], row["seed"], 100 * row["value"]

    def __call__(self, kind, way="kd", transform="none", keep=None, teachers_t=None, t=T0):
        values = {}
        for key, kept, seed, value in self.rows:
            if key == (kind, way, transform, teachers_t or t, t) and keep in (None, kept):
                values.setdefault(seed, []).append(value)
        return np.array([np.mean(values[seed]) for seed in sorted(values)])


def test_each_row_by_a_loop():
    frames = taught.study(by_all, noise=0.3)
    numbers, looked = causes(frames), Looked(frames)
    hard, smooth = looked("hard"), looked("LS")
    gap = smooth - hard

    def of_both(way="kd", transform="none", t=T0):
        return looked("LS", way, transform, t=t) - looked("hard", way, transform, t=t)

    erased, shuffled, noise = (
        looked("hard", transform=name, keep=keep)
        for name, keep in (("erase", 0.0), ("shuffle", None), ("randomize", None))
    )
    doses_ks = [looked("hard", transform="erase", keep=keep) for keep in taught.KEEPS] + [hard]
    slopes = [linregress([*taught.KEEPS, 1.0], by_seed).slope for by_seed in zip(*doses_ks, strict=True)]
    expected = {
        "plain": gap,
        "calibrated": of_both(transform="calibrate"),
        "calibrated, other T": of_both(transform="calibrate", t=1.0),
        "calibrated, smaller": of_both(transform="calibrate") - gap,
        "calibrated, smaller, other T": of_both(transform="calibrate", t=1.0) - of_both(t=1.0),
        "standardized": of_both("standardized_kd"),
        "standardized, smaller": of_both("standardized_kd") - gap,
        "erased": smooth - erased,
        "shuffled": shuffled - hard,
        "shuffled, erased": shuffled - erased,
        "randomized, erased": noise - erased,
        "slope": np.array(slopes),
    }
    for what, difference_s in expected.items():
        row = only_row(numbers, what)
        test = ttest_1samp(difference_s, 0)
        assert (row["mean"], row["p"]) == pytest.approx((difference_s.mean(), test.pvalue), abs=1e-9), what
        assert row["spread"] == pytest.approx(difference_s.std(ddof=1), abs=1e-9)
    for row in rows_of(numbers, "loss"):
        assert row["mean"] == pytest.approx(of_both(row["kind"]).mean(), abs=1e-9)
    for row in rows_of(numbers, "rival"):
        t = row["temperature"]
        difference_s = looked(row["kind"], t=t) - looked("hard", t=t)
        assert row["mean"] == pytest.approx(difference_s.mean(), abs=1e-9)
    for row in rows_of(numbers, "plain, other T"):
        assert row["mean"] == pytest.approx(of_both(t=row["temperature"]).mean(), abs=1e-9) and row["weight"] == 0


def test_softness_is_matched_at_t0_by_the_t_of_the_hard_teacher_alone():
    frames = taught.study(by_all, noise=0.3)
    looked = Looked(frames)
    top1_st = np.array([looked("hard", teachers_t=t) for t in taught.DEGREES]).T
    entropies = [taught.entropy("hard", "kd", "none", t) for t in taught.DEGREES]
    matched = [np.interp(taught.entropy("LS", "kd", "none", T0), entropies, top1_t) for top1_t in top1_st]
    row = only_row(causes(frames), "matched at T0")
    assert row["other"] == pytest.approx(np.mean(matched), abs=1e-9)
    assert row["mean"] == pytest.approx((looked("LS") - matched).mean(), abs=1e-9)

    def without(kind, way, transform, keep, teachers_t, t):
        return teachers_t == t

    fewer = taught.study(by_all, noise=0.3, only=without)
    looked_fewer = Looked(fewer)
    top1_st = np.array([looked_fewer("hard", t=t) for t in taught.DEGREES]).T
    matched = [np.interp(taught.entropy("LS", "kd", "none", T0), entropies, top1_t) for top1_t in top1_st]
    assert only_row(causes(fewer), "matched at T0")["other"] == pytest.approx(np.mean(matched), abs=1e-9)


def test_calibration_beside_students():
    frames = taught.study(by_all, noise=0.0)
    numbers, looked = causes(frames), Looked(frames)
    for row in rows_of(numbers, "ece"):
        assert row["mean"] == pytest.approx(100 * (taught.ECE[row["kind"]] - taught.ECE["hard"]), abs=1e-9)
        assert row["weight"] == 0
    points = [(taught.ECE[kind], looked(kind).mean()) for kind in taught.ECE]
    points += [(0.02, looked(kind, transform="calibrate").mean()) for kind in ("hard", "LS")]
    (row,) = [row for row in rows_of(numbers, "ece and top-1") if row["temperature"] == T0]
    assert row["mean"] == pytest.approx(spearmanr(*zip(*points, strict=True)).statistic, abs=1e-9) and row["n"] == 7
    without = causes({name: frames[name] for name in ("accuracy", "taught")})
    assert not rows_of(without, "ece") and not rows_of(without, "ece and top-1")


def test_one_family_and_its_margin():
    frames = taught.study(by_softness)
    numbers = causes(frames)
    claims = numbers[numbers["weight"] > 0]
    assert set(numbers["claims"]) == {len(claims)} == {27}
    assert claims["p_adj"].to_numpy() == pytest.approx(np.minimum(1, claims["p"] * 27).to_numpy(), rel=1e-9)
    (pair,) = pairs(frames)
    best = max(pair.mean("val", plain(HARD, t)) for t in taught.DEGREES)
    assert margin(pair, {}) == pytest.approx(0.2 * (best - 73.5)) and margin(pair, {"margin": 0.3}) == 0.3
    assert set(claims["margin"].dropna().round(9)) == {round(margin(pair, {}), 9)}
    assert causes(frames, {"looks": [3]})["level"].unique() == pytest.approx([0.025])
    assert numbers.loc[numbers["question"] == "same T", "between_students"].notna().any()


def test_t0_is_best_on_val_among_the_interventions_or_given():
    frames = taught.study(by_softness)
    (pair,) = pairs(frames)
    assert reference(pair, {}) == T0  # 2 is better on val, but nothing was done there
    assert reference(pair, {"reference_temperature": 2.0}) == 2.0
    assert set(causes(frames, {"reference_temperature": 2.0})["reference"]) == {2.0}
    (alone,) = pairs(taught.study(by_softness, only=lambda kind, way, transform, keep, tt, t: way == "kd" and tt == t))
    assert reference(alone, {}) == T0  # where teachers were calibrated
    (bare,) = pairs(taught.study(by_softness, only=plain_alone))
    assert reference(bare, {}) == 2.0
    with pytest.raises(UserError, match="found 5, but both teachers have students by kd at T 0.25, 0.5, 1"):
        reference(pair, {"reference_temperature": 5.0})
    (cold,) = pairs(taught.study(by_softness, only=lambda *how: plain_alone(*how) and how[-1] <= 1))
    with pytest.raises(UserError, match="add a T above 1 for both teachers"):
        reference(cold, {})
    with pytest.raises(UserError, match="no hard and smoothed teacher"):
        causes(taught.study(by_softness, only=lambda kind, *how: kind == "LS"))


def plain_alone(kind, way, transform, keep, teachers_t, t):
    return (way, transform) == ("kd", "none") and teachers_t == t and kind in ("hard", "LS")


def test_a_study_of_plain_distillation_alone_has_what_there_is():
    numbers = causes(taught.study(by_softness, only=lambda *how: plain_alone(*how) and how[-1] in (1.0, 3.0)))
    assert set(numbers.query("question == 'cause'")["cause"]) == {"softness"}
    assert {"plain", "best T", "matched entropy"} <= set(numbers["what"])
    one = causes(taught.study(by_softness, seeds=(0,), only=lambda *how: plain_alone(*how) and how[-1] == 3.0))
    assert set(one["verdict"]) <= {CANNOT_TELL, "no claim"} and "matched entropy" not in set(one["what"])


def test_pairs_are_judged_together_and_told_apart():
    networks = (("a", "b"), ("c", "d"))
    numbers = causes(taught.study(by_softness, networks=networks))
    assert set(numbers["claims"]) == {54} and numbers["pair"].nunique() == 2
    for _, part in numbers[numbers["question"] == "cause"].groupby("pair"):
        assert list(part["cause"]) == list(CAUSES)


def test_doses_end_with_plain_distillation():
    (pair,) = pairs(taught.study(by_erasure, noise=0.0, seeds=(0,)))
    keeps, top1_sjk = doses(pair, T0)
    assert keeps.tolist() == [0, 0.25, 0.5, 0.75, 1] and top1_sjk[0, 0] == pytest.approx(73 + 3 * keeps)
    assert doses(pair, 2.0)[0].tolist() == [1.0] and pair.has(plain(SMOOTH, 2.0))


def test_order_of_rows_does_not_matter():
    frames = taught.study(by_all, noise=0.3, seeds=range(4))
    shuffled = {name: frame.sample(frac=1, random_state=1) for name, frame in frames.items()}
    pd.testing.assert_frame_equal(causes(frames), causes(shuffled))
