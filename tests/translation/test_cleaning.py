"""What cleaning removes, that its counts add up, and that no test sentence is ever dropped."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.translation.cleaning import REASONS, clean, key, normalise, refuse_leaks, without_leaks, words
from lskd.translation.pairs import Pair

TEXTS = st.text(st.sampled_from("ab дЖ.\u2581\x00\t"), max_size=8)
PAIRS = st.lists(st.builds(Pair, st.sampled_from("xyz"), TEXTS, TEXTS, st.sampled_from(["", "train", "val", "test"])))


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("A good sentence.", "Ein guter Satz.", ""),
        (" \t", "Nur einer.", "empty"),
        ("LibreOffice  Calc", "LibreOffice Calc", "identical"),
        ("one two three four five six", "eins zwei drei vier fünf sechs", "long"),
        ("one two three four", "eins", "ratio"),
        ("one two three", "eins", ""),
        ("This is Latin.", "Это не по-немецки.", "script"),
    ],
)
def test_each_reason(source, target, reason):
    if reason == "script":
        source, target, languages = source, "This is Latin as well", ("en", "ru")
    else:
        languages = ("en", "de")
    kept, removed = clean([Pair("d", source, target)], *languages, longest=5)
    assert removed == ({reason: 1} if reason else {}) and len(kept) == (not reason)


def test_a_name_in_latin_letters_is_no_wrong_script():
    assert len(clean([Pair("d", "Opens LibreOffice Writer", "Открывает LibreOffice Writer")], "en", "ru", 9)[0]) == 1


def test_a_pair_that_stood_before_but_for_case_and_punctuation_is_removed():
    pairs = [
        Pair("a", "Save as", "Sichern als"),
        Pair("b", "save as:", "Sichern als…"),
        Pair("b", "Save as", "Speichern"),
    ]
    kept, removed = clean(pairs, "en", "de", 9)
    assert [pair.target for pair in kept] == ["Sichern als", "Speichern"] and removed == {"repeated": 1}


def test_words_of_a_language_without_spaces_are_counted_by_characters():
    assert words("两个字符一词", "zh-CN") == 3 and words("两个字符一词", "de") == 1


@given(st.text())
def test_normalised_text_has_single_spaces_and_is_normal(text):
    normal = normalise(text)
    assert normal == " ".join(normal.split()) == normalise(normal)
    assert not set(normal) & {"\u2581", "\u2585", "\x00", "\n"}


@given(PAIRS)
def test_counts_add_up_and_published_val_and_test_stay_whole(pairs):
    kept, removed = clean(pairs, "en", "de", longest=3)
    assert len(kept) + removed.total() == len(pairs) and set(removed) <= set(REASONS)
    for split in ("val", "test"):
        expected = [(normalise(pair.source), normalise(pair.target)) for pair in pairs if pair.split == split]
        assert [(pair.source, pair.target) for pair in kept if pair.split == split] == expected
    assert clean(kept, "en", "de", longest=3) == (kept, Counter())


@given(PAIRS, st.sets(st.sampled_from(["val", "test"])))
@settings(max_examples=200)
def test_no_training_sentence_is_in_val_or_test(pairs, published):
    splits = {name: [pair for pair in pairs if pair.split == name] for name in ("train", "val", "test")}
    kept, removed = without_leaks(splits, published)
    assert kept["test"] == splits["test"] and sum(map(len, splits.values())) == removed.total() + sum(
        map(len, kept.values())
    )
    if "val" in published:
        assert kept["val"] == splits["val"]
    for name, others in (("train", ["val", "test"]), ("val", [] if "val" in published else ["test"])):
        for pair in splits[name]:
            is_leak = any(
                key(pair.source) == key(other.source) or key(pair.target) == key(other.target)
                for part in others
                for other in kept[part]
            )
            assert (pair in kept[name]) == (not is_leak)


def test_leaks_may_be_refused_with_their_number():
    train = [Pair("a", "Save as", "Sichern als"), Pair("a", "Open it", "Öffnen"), Pair("b", "Other", "Andere")]
    held = [Pair("c", "save as.", "Speichern", "test"), Pair("c", "Show", "ÖFFNEN!", "val")]
    with pytest.raises(
        UserError, match="here: 2 of 3 training pairs have a sentence .* such as 'Save as'.*leaks: drop"
    ):
        refuse_leaks(train, held, "here")
    refuse_leaks(train[2:], held, "here")
