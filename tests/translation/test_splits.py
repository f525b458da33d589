"""Splits by document: disjoint, stable, near to what was asked for."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.translation.pairs import Pair
from lskd.translation.splits import split

FRACTIONS = {"val": 0.1, "test": 0.2}
SIZES = st.lists(st.integers(1, 40), min_size=3, max_size=40)


def corpus(sizes) -> list[Pair]:
    return [
        Pair(f"page {page}", f"s{page}-{n}", f"t{page}-{n}") for page, size in enumerate(sizes) for n in range(size)
    ]


def splits_of(pairs):
    try:
        return split(pairs, FRACTIONS, "here")
    except UserError as error:
        assert "here: no sentence for" in str(error)
        return None


@given(SIZES)
def test_documents_are_whole_and_every_sentence_is_in_one_split(sizes):
    pairs = corpus(sizes)
    splits = splits_of(pairs)
    assume(splits is not None)
    documents = [{pair.document for pair in chosen} for chosen in splits.values()]
    assert sum(map(len, documents)) == len(set.union(*documents)) == len(sizes)
    assert sorted(pair.source for chosen in splits.values() for pair in chosen) == sorted(pair.source for pair in pairs)
    for name, fraction in FRACTIONS.items():
        goal = fraction * len(pairs)
        assert len(splits[name]) < 2 * goal  # no document took it further away than it was without
        lacking = goal - len(splits[name])
        assert all(size >= 2 * lacking - 1e-9 for size in _sizes(splits["train"])), (
            "a document of train would have come nearer"
        )


def _sizes(pairs):
    documents = [pair.document for pair in pairs]
    return [documents.count(document) for document in set(documents)]


@given(SIZES, st.randoms())
def test_the_order_of_the_pairs_does_not_matter(sizes, random):
    pairs = corpus(sizes)
    shuffled = random.sample(pairs, len(pairs))
    one, other = splits_of(pairs), splits_of(shuffled)
    assume(one is not None)
    for name in one:
        assert {pair.source for pair in one[name]} == {pair.source for pair in other[name]}


def test_many_documents_come_as_near_as_asked_for():
    splits = split(corpus([7] * 300), FRACTIONS, "here")
    assert {name: len(chosen) for name, chosen in splits.items()} == {"train": 1470, "val": 210, "test": 420}


def test_one_more_document_moves_few_others():
    before, after = (split(corpus([7] * count), FRACTIONS, "here") for count in (300, 301))
    places = [{pair.document: name for name, chosen in each.items() for pair in chosen} for each in (before, after)]
    assert sum(places[1][document] != name for document, name in places[0].items()) <= 3


def test_published_splits_stay_and_only_the_missing_ones_are_taken():
    published = [Pair("t", f"test {n}", "x", "test") for n in range(3)]
    splits = split(corpus([5] * 40) + published, FRACTIONS, "here")
    assert splits["test"] == published and len(splits["val"]) == 20 and len(splits["train"]) == 180


@pytest.mark.parametrize(("sizes", "name"), [([5], "val|test"), ([], "train"), ([1000, 1000, 1000], "val")])
def test_a_split_that_stays_empty_is_one_line(sizes, name):
    with pytest.raises(UserError, match=f"here: no sentence for ({name}), of .* give"):
        split(corpus(sizes), FRACTIONS, "here")
