"""The word of a cause by its rule, and the words of rows and paragraphs."""

import re
from itertools import product

import pytest

from lskd.analysis import cause_words as words
from lskd.analysis.causes import causes
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE
from tests.analysis import taught


def claim(mean, told, within=False):
    verdict = "told" if told else NO_DIFFERENCE if within else CANNOT_TELL
    return {"mean": mean, "verdict": verdict, "p_equivalence": 0.01 if within else 1.0, "level": 0.05}


GAP = claim(-2.0, True)
CASES = {
    "removed": (GAP, claim(-0.1, False, within=True), claim(1.9, True), words.SURVIVES),
    "removed, and a trace is told": (GAP, claim(-0.1, True, within=True), claim(1.9, True), words.SURVIVES),
    "turned round": (GAP, claim(1.0, True), claim(3.0, True), words.SURVIVES),
    "halved": (GAP, claim(-1.0, True), claim(1.0, True), words.PART),
    "smaller, rest unclear": (GAP, claim(-0.4, False), claim(1.6, True), words.PART_OR_ALL),
    "the same": (GAP, claim(-2.1, True), claim(-0.1, False), words.NOT),
    "larger": (GAP, claim(-4.0, True), claim(-2.0, True), words.NOT),
    "nothing is told after": (GAP, claim(-1.0, False), claim(1.0, False), CANNOT_TELL),
    "within the margin, but not told to be smaller": (GAP, claim(-0.2, False, True), claim(1.8, False), CANNOT_TELL),
    "turned round, but not told to be smaller": (GAP, claim(1.0, True), claim(3.0, False), CANNOT_TELL),
    "no gap": (claim(-0.5, False), claim(0.0, False, True), claim(0.5, True), CANNOT_TELL),
    "a gap within the margin": (claim(-0.2, True, True), claim(0.0, False, True), claim(0.2, True), CANNOT_TELL),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sign", [1, -1], ids=["LS hurts", "LS helps"])
def test_the_rule(name, sign):
    *claims, expected = CASES[name]
    turned = [row | {"mean": sign * row["mean"]} for row in claims]
    assert words.word(*turned) == expected


def test_each_case_has_one_word_and_no_survivor_leaves_a_gap():
    for told, within, smaller, mean in product((True, False), (True, False), (True, False), (-1.0, 1.0)):
        result = words.word(GAP, claim(mean, told, within), claim(2.0 + mean, smaller))
        assert result in words.SAID
        if result == words.SURVIVES:
            assert smaller and (within or mean > 0)
        if result == words.NOT:
            assert not smaller and told and mean < 0


def test_the_words_of_rows():
    gap = {"question": "interaction", "weight": 1.0, "verdict": "higher", "mean": 1.5, "other": -2.0}
    assert words.in_words(gap) == "smaller"
    assert words.in_words(gap | {"verdict": "lower", "mean": -1.5}) == "larger"
    assert words.in_words(gap | {"other": 2.0}) == "larger"
    assert words.in_words(gap | {"weight": 0.0, "verdict": "higher, no claim"}) == "smaller, no claim"
    assert words.in_words(gap | {"verdict": CANNOT_TELL}) == CANNOT_TELL
    slope = {"question": "prediction", "weight": 0.0, "verdict": "higher, no claim", "mean": 1.0}
    assert words.in_words(slope) == "no claim" and words.in_words(slope | {"weight": 1.0, "verdict": "seen"}) == "seen"


def harm_of_soft_targets(kind, way, transform, keep, teachers_t, t, soft):
    return 76 - 2 * soft


def paragraph(**how):
    numbers = causes(taught.study(harm_of_soft_targets, **how))
    (text,) = words.sentences(numbers)
    return numbers, text


def test_a_paragraph_says_each_word_and_each_loss_once():
    numbers, text = paragraph()
    assert text.startswith("On digits, smoothing the teacher resnet8-w16 (α = 0.1) hurts its student resnet8-w4 at T =")
    (gap,) = numbers.query("what == 'plain'").to_dict("records")
    assert f"by {-gap['mean']:.2f} points (95 % interval {-gap['high']:.2f} to {-gap['low']:.2f}, 8 seeds)" in text
    for row in numbers.query("question == 'cause'").to_dict("records"):
        said = words.SAID[row["verdict"]].format(cause=row["cause"])
        sizes = f"{row['this']:+.2f} points remain of {row['other']:+.2f}".replace("-", "−")
        assert re.search(rf"{said[0].upper()}{said[1:]}: [^.]*, {re.escape(sizes)}\.", text), row["cause"]
    assert "Smoothing hurts under dist, dkd, nkd, wsld and wttm (T = 4)." in text
    rivals = "maxsup-a0.1, online_smoothing and squared_error"  # which are softer than the hard teacher at each T
    assert f"Against students of the hard teacher, those of {rivals} (T = 1) and {rivals} (T = 4) are worse." in text


def test_a_paragraph_without_a_gap_explains_nothing():
    numbers, text = paragraph(seeds=(0, 1))
    assert set(numbers.query("question == 'cause'")["verdict"]) == {CANNOT_TELL}
    assert "cannot be told to help or hurt its student resnet8-w4 at T = 4 (2 seeds). So there is nothing here" in text
    assert "survives" not in text
