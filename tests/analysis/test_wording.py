"""The paragraphs of a verdict: whole, in each case, and held to their table over made-up studies."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd.analysis import comparisons, wording
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE
from tests.analysis.studies import by_t, compared, hurt_at_64, random_study, study


def test_the_paragraph_where_it_hurts():
    numbers = compared(hurt_at_64(noise=0.1, seeds=range(5)))
    assert by_t(numbers) == {1.0: NO_DIFFERENCE, 2.0: NO_DIFFERENCE, 64.0: "hurts"}
    (text,) = wording.sentences(numbers)
    low, high = (-numbers.loc[numbers["verdict"] == "hurts", key].iloc[0] for key in ("high", "low"))
    assert text == (
        "On digits, smoothing the teacher resnet8-w16 (α = 0.1) hurts its student resnet8-w4 at T = 64 by 5.00 points"
        f" (95 % interval {low:.2f} to {high:.2f}, 5 seeds); makes no difference of 0.5 points or more to that student"
        " at T = 1 and 2. Against T = 1, its effect is 0.10 points lower at T = 2 and 5.00 points lower at T = 64. Not"
        " told apart from the best on val: no smoothing at T = 1, 2 and 64; α = 0.1 at T = 2, so no advice on"
        " smoothing."
    )


def test_the_paragraph_where_it_helps():
    effects = {(0.0, 1.0): 90.0, (0.0, 3.0): 90.0, (0.1, 1.0): 94.0, (0.1, 3.0): 92.0}
    (text,) = wording.sentences(compared(study(effects, noise=0.02)))
    assert "helps its student resnet8-w4 at T = 1 by 4.00 points" in text and " and at T = 3 by 2.00 points" in text
    assert "Against T = 1, its effect is 2.00 points lower at T = 3." in text
    assert text.endswith(
        "Best on val, all else left out: α = 0.1 at T = 1. Advice: smooth the teacher (α = 0.1), and distil at T = 1."
    )


def test_what_cannot_be_told_has_the_effect_that_would_be_found():
    numbers = compared(study({(0.0, 1.0): 90.0, (0.1, 1.0): 90.6}, noise=1.0, seeds=range(5)))
    (text,) = wording.sentences(numbers)
    size = numbers["detectable"].iloc[0]
    assert (
        f"cannot be told to help or hurt its student resnet8-w4 at T = 1 (5 seeds would find {size:.2g} points" in text
    )
    assert "with 80 % power)" in text and "no effect" not in text and "Advice" not in text


def test_equal_differences_are_told_by_the_sign_test_alone():
    few, many = (study({(0.0, 1.0): 90.0, (0.1, 1.0): 92.0}, seeds=range(n)) for n in (3, 8))
    assert "cannot be told to help or hurt its student resnet8-w4 at T = 1." in wording.sentences(compared(few))[0]
    (text,) = wording.sentences(compared(many))
    assert "helps its student resnet8-w4 at T = 1 by 2.00 points (in each of 8 seeds)" in text


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_sentence_with_too_few_seeds(seeds):
    numbers = compared(hurt_at_64(seeds=seeds, noise=0.01))
    assert set(numbers["verdict"]) == {CANNOT_TELL}
    (text,) = wording.sentences(numbers)
    assert text.startswith(f"With {len(seeds)} seed{'s' * (len(seeds) > 1)} it cannot be told whether smoothing")
    assert "(α = 0.1) helps or hurts its student resnet8-w4 on digits: run 3 seeds or more" in text
    assert not set(text.split()) & {"leave", "smooth", "Advice:"}


def test_two_smoothings_stand_in_one_paragraph():
    effects = {(0.0, 1.0): 90.0, (0.1, 1.0): 95.0, (0.3, 1.0): 80.0}
    (text,) = wording.sentences(compared(study(effects, noise=0.02)))
    assert text.index("(α = 0.1) helps its student") < text.index("Smoothing it (α = 0.3) hurts that student")
    assert text.count("resnet8-w4") == 1


def test_no_shared_t_is_said_and_the_choice_stands():
    numbers = compared(study({(0.0, 1.0): 90.0, (0.1, 2.0): 95.0}, noise=0.02, seeds=range(4)))
    (text,) = wording.sentences(numbers)
    assert "share no T for the student resnet8-w4" in text and "Advice: smooth the teacher (α = 0.1)" in text


def test_advice_needs_val_and_test():
    test = {(0.0, 1.0): 90.0, (0.1, 1.0): 93.0}
    assert "Advice: smooth" in advice(study(test, noise=0.02, seeds=range(5)))
    against = advice(study(test, val={(0.0, 1.0): 93.0, (0.1, 1.0): 90.0}, noise=0.02, seeds=range(5)))
    assert against == "Best on val, all else left out: no smoothing at T = 1; test tells against it, so no advice."
    untold = advice(study({(0.0, 1.0): 90.0, (0.1, 1.0): 90.6}, val=test, noise=1.0, seeds=range(5)))
    assert untold.endswith("α = 0.1 at T = 1; test does not tell so, so no advice.")


def advice(accuracy):
    return wording.advice(compared(accuracy))


def test_the_choices_sentence_names_both_and_says_what_is_told():
    hard = {(0.0, 1.0): 90.0, (0.0, 2.0): 91.0}
    by_word = {}
    for gap, noise in ((3.0, 0.02), (0.05, 0.1), (0.6, 1.0)):
        numbers = compared(study(hard | {(0.1, 1.0): 91.0 + gap}, noise=noise, seeds=range(6)))
        choice = numbers[numbers["question"] == "choice"].to_dict("records")[0]
        by_word[choice["verdict"]] = wording.choice_sentence(choice)
    assert by_word["better"].startswith("The best on val, α = 0.1, T = 1, has 96.")
    assert "above the best unsmoothed choice (no smoothing, T = 2; 95 % interval" in by_word["better"]
    assert by_word["better"].endswith("6 seeds tell this from chance.")
    assert by_word[NO_DIFFERENCE].endswith("no difference of 0.5 points or more.")
    assert by_word[CANNOT_TELL].endswith("6 seeds cannot tell which is better.")


@pytest.mark.parametrize(
    ("top1", "expected"),
    [
        (95.0, "bears the rule out"),
        (80.0, "contradicts the rule"),
        (91.05, "neither bears"),
        (90.0, "within the margin"),
    ],
)
def test_the_rules_sentence(top1, expected):
    effects = {(0.0, 1.0): 90.0, (0.0, 2.0): 90.0 if top1 == 90 else 91.0, (0.1, 1.0): top1, (0.1, 2.0): 70.0}
    noise = {90.0: 0.01, 91.05: 1.0}.get(top1, 0.3)
    rows = comparisons.rule({"accuracy": study(effects, noise=noise, seeds=range(6))})
    assert len(rows) == 3
    assert expected in wording.rule_sentence(rows)
    few = comparisons.rule({"accuracy": study(effects, noise=0.1, seeds=(0, 1))})
    assert wording.rule_sentence(few).startswith("With 2 seeds it cannot be told on digits")


def degrees(text):
    """The temperatures of "T = 1, 2 and 64"."""
    lists = re.findall(r"T = ([\d.]+(?:, [\d.]+)*(?: and [\d.]+)?)", text)
    return {float(number) for one in lists for number in re.findall(r"[\d.]+", one)}


def said_effects(text):
    """What a paragraph says of the effect at each T: word -> temperatures."""
    clauses = re.split(r"; ", re.split(r"\. (?=[A-Z])", text)[0].rstrip("."))
    said = {"helps": set(), "hurts": set(), NO_DIFFERENCE: set(), CANNOT_TELL: set()}
    for clause in clauses:
        for word, sign in (
            ("helps", "helps "),
            ("hurts", "hurts "),
            (NO_DIFFERENCE, "makes no difference"),
            (CANNOT_TELL, "cannot be told"),
        ):
            if sign in clause:
                said[word] |= degrees(re.sub(r"\([^)]*\)", "", clause))
    return said


def said_interactions(text):
    """What a paragraph says of each effect against that at the lowest T; None where it speaks of all at once."""
    against = re.search(r"Against T = [\d.]+, its effect is (.*?)\. (?=[A-Z])", text)
    if not against:
        return None
    apart, _, rest = against[1].partition("; ")
    said = {word: set() for word in ("higher", "lower", NO_DIFFERENCE)}
    for word, t in re.findall(r"points (higher|lower) at T = ([\d.]+)", apart):
        said[word].add(float(t))
    for same in re.findall(r"points or more at (T = [\d., and]+)", apart):
        said[NO_DIFFERENCE] |= degrees(same.rstrip(". "))
    return said | {CANNOT_TELL: degrees(rest.partition(" cannot be told")[0])}


def in_table(rows, words):
    return {word: set(rows.loc[rows["verdict"] == word, "temperature"]) for word in words}


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 10**6),
    st.integers(3, 12),
    st.sampled_from([0.05, 0.2, 0.6]),
    st.sampled_from([0.1, 0.5, 2.0]),
    st.sampled_from([(1.0,), (1.0, 4.0), (1.0, 2.0, 64.0)]),
)
def test_the_paragraph_says_its_table_and_nothing_more(draw, seeds, spread, size, temperatures):
    random = np.random.default_rng(draw)
    numbers = compared(random_study(random, seeds, temperatures, size=size, spread=spread))
    (text,) = wording.sentences(numbers)
    effects, contrasts = (numbers[numbers["question"] == name] for name in ("same T", "interaction"))
    assert said_effects(text) == in_table(effects, said_effects(text))

    said = said_interactions(text)
    different = contrasts[contrasts["verdict"] != CANNOT_TELL]
    assert (said is None) == different.empty
    if said is not None:
        assert said == in_table(contrasts, said)
    differ = (numbers["verdict"] == "differ").any()
    assert ("which from which is not told" in text) == (different.empty and differ)
    assert ("not told apart. " in text) == (different.empty and not differ and len(contrasts) > 0)
    check_advice(numbers, text)


def check_advice(numbers, text):
    against, choice = numbers[numbers["question"] == "best on val"], numbers[numbers["question"] == "choice"].iloc[0]
    kept = against[against["verdict"] == "not told apart"]
    cells = {
        (kept_alpha, t) for kept_alpha, t in zip(kept["other_label_smoothing"], kept["other_temperature"], strict=True)
    }
    cells.add((choice["label_smoothing"], choice["temperature"]))
    named = re.search(r"(?:left out|best on val): (.*?)(?:, so no advice|; test|\. Advice)", text)[1]
    hard, soft = named.partition("α = 0.1")[::2]
    assert {(0.0, t) for t in degrees(hard)} | {(0.1, t) for t in degrees(soft)} == cells
    advised = re.search(r"Advice: (.*)\.$", text)
    is_one_kind = len({alpha > 0 for alpha, _ in cells}) == 1
    assert (advised is not None) == (is_one_kind and choice["verdict"] == "better")
    if advised is not None:
        assert ("leave the teacher unsmoothed" in advised[1]) == (choice["label_smoothing"] == 0)
        assert degrees(advised[1]) in (set(), {choice["temperature"]})
        assert bool(degrees(advised[1])) == (len({t for _, t in cells}) == 1)
    else:
        assert "no advice" in text


def test_the_property_test_meets_every_word():
    """Over its range of studies there is each outcome, so that it cannot pass for want of one."""
    random, words = np.random.default_rng(0), set()
    for place in range(60):
        numbers = compared(
            random_study(random, 3 + place % 9, size=(0.1, 0.5, 2.0)[place % 3], spread=(0.05, 0.3)[place % 2])
        )
        words |= {(row["question"], row["verdict"]) for row in numbers.to_dict("records")}
    for question, expected in (
        ("same T", {"helps", "hurts", NO_DIFFERENCE, CANNOT_TELL}),
        ("interaction", {"higher", "lower", NO_DIFFERENCE, CANNOT_TELL}),
        ("omnibus", {"differ", CANNOT_TELL}),
        ("best on val", {"left out", "not told apart"}),
        ("choice", {"better", NO_DIFFERENCE, CANNOT_TELL}),
    ):
        assert {word for own, word in words if own == question} >= expected
