"""The sentences of a verdict, whole, where label smoothing helps, hurts, shows nothing, or cannot be told."""

import pytest

from lskd.analysis import comparisons, wording
from tests.analysis.studies import by_t, compared, hurt_at_64, study


def test_the_sentence_where_it_hurts():
    numbers = compared(hurt_at_64(noise=0.05))
    assert by_t(numbers) == {1.0: comparisons.NOT_SHOWN, 2.0: comparisons.NOT_SHOWN, 64.0: "hurts"}
    (text,) = wording.sentences(numbers)
    low, high = (-numbers.loc[numbers["verdict"] == "hurts", key].iloc[0] for key in ("high", "low"))
    assert text == (
        "On digits, smoothing the teacher resnet8-w16 (α = 0.1) hurts its student resnet8-w4 at T = 64 by 5.0 points"
        f" (95 % interval {low:.1f} to {high:.1f}, 3 seeds) and makes no difference that 3 seeds can show at T = 1 and"
        " 2: leave the teacher unsmoothed, and distil at T = 2."
    )


def test_the_sentence_where_it_helps():
    effects = {(0.0, 1.0): 90.0, (0.0, 3.0): 90.0, (0.1, 1.0): 94.0, (0.1, 3.0): 92.0}
    (text,) = wording.sentences(compared(study(effects, noise=0.02)))
    assert "helps its student resnet8-w4 at T = 1 by 4.0 points" in text and " and at T = 3 by 2.0 points" in text
    assert text.endswith(": smooth the teacher (α = 0.1), and distil at T = 1.")


def test_the_sentence_with_no_difference_never_says_no_effect():
    numbers = compared(study({(0.0, 1.0): 90.0, (0.1, 1.0): 90.0}))
    (text,) = wording.sentences(numbers)
    assert "makes no difference to its student resnet8-w4 that 3 seeds can show at T = 1" in text
    assert text.endswith("leave the teacher unsmoothed, and distil at T = 1.") and "no effect" not in text
    equal = wording.sentences(compared(study({(0.0, 1.0): 90.0, (0.1, 1.0): 92.0})))[0]  # the same in all 3: p = 0.25
    assert "makes no difference to its student resnet8-w4 that 3 seeds can show" in equal
    assert equal.endswith(
        "the best choice on val, not shown to be better, is to smooth it (α = 0.1) and distil at T = 1."
    )
    six = wording.sentences(compared(study({(0.0, 1.0): 90.0, (0.1, 1.0): 92.0}, seeds=range(6))))[0]
    assert "helps its student resnet8-w4 at T = 1 by 2.0 points (in each of 6 seeds)" in six


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_sentence_with_too_few_seeds(seeds):
    numbers = compared(hurt_at_64(seeds=seeds, noise=0.01))
    assert set(numbers["verdict"]) == {comparisons.CANNOT_TELL}
    (text,) = wording.sentences(numbers)
    assert text.startswith(f"With {len(seeds)} seed{'s' * (len(seeds) > 1)} it cannot be told whether smoothing")
    assert "run 3 seeds or more" in text and not set(text.split()) & {"leave", "smooth"}


def test_two_smoothings_stand_in_one_sentence():
    effects = {(0.0, 1.0): 90.0, (0.1, 1.0): 95.0, (0.3, 1.0): 80.0}
    (text,) = wording.sentences(compared(study(effects, noise=0.02)))
    assert text.index("(α = 0.1) helps its student") < text.index("; with α = 0.3 it hurts that student")
    assert text.count("resnet8-w4") == 1


@pytest.mark.parametrize(
    ("top1", "expected"), [(95.0, "bears the rule out"), (80.0, "contradicts the rule"), (91.05, "without proof")]
)
def test_the_rules_sentence(top1, expected):
    effects = {(0.0, 1.0): 90.0, (0.0, 2.0): 91.0, (0.1, 1.0): top1, (0.1, 2.0): 70.0}
    rows = comparisons.rule({"accuracy": study(effects, noise=0.1)})
    assert len(rows) == 3
    assert expected in wording.rule_sentence(rows)
    few = comparisons.rule({"accuracy": study(effects, noise=0.1, seeds=(0, 1))})
    assert wording.rule_sentence(few).startswith("With 2 seeds it cannot be told on digits")
