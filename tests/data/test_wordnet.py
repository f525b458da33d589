"""The table of ImageNet's classes, against the papers' and WordNet itself where it is installed."""

import runpy
from collections import Counter
from pathlib import Path

import pytest

from lskd.data.class_names import class_names
from lskd.data.wordnet import parents, synsets

DATA_NOUN = Path("/usr/share/wordnet/data.noun")


def test_a_thousand_classes_in_the_order_of_their_ids():
    wnids = [synset.wnid for synset in synsets()]
    assert len(set(wnids)) == len({synset.name for synset in synsets()}) == 1000
    assert wnids == sorted(wnids)
    assert class_names("imagenet", Path("nowhere")) == tuple(synset.name for synset in synsets())
    by_name = {synset.name: synset.wnid for synset in synsets()}
    expected = {"tench": "n01440764", "meerkat": "n02138441", "cleaver": "n03041632", "submarine": "n04347754"}
    assert {name: by_name[name] for name in expected} == expected


def test_the_siblings_that_chandrasegaran_names():
    """The talk's two sets of targets: retrievers, and snakes of one family."""
    parent = {synset.name: synset.parent for synset in synsets()}
    retrievers = {name for name in parent if name.endswith("retriever")}
    assert len(retrievers) == 5
    assert {name for name in parent if parent[name] == parent["golden retriever"]} == retrievers
    snakes = {name for name in parent if parent[name] == parent["king snake"]}
    assert {"thunder snake", "ringneck snake", "hognose snake", "water snake", "king snake"} < snakes
    assert len(snakes) == 9


@pytest.mark.skipif(not DATA_NOUN.exists(), reason="needs Debian's wordnet-base")
def test_the_table_is_wordnets():
    script = runpy.run_path(str(Path(__file__).parents[2] / "workflow/imagenet_classes.py"))
    nouns = script["nouns"](DATA_NOUN)
    wnids = [synset.wnid for synset in synsets()]
    assert script["rows"](nouns, wnids) == [tuple(synset) for synset in synsets()]
    lines = {line[:8]: line for line in DATA_NOUN.read_text(encoding="latin1").splitlines()}
    for synset in synsets():  # each parent is a hypernym: its pointer stands in the line
        assert f" @ {synset.parent[1:]} n 0000" in lines[synset.wnid[1:]]
    children = Counter(above for wnid in wnids for above in nouns[wnid].above)
    assert all(children[parents()[wnid]] == max(children[above] for above in nouns[wnid].above) for wnid in wnids)
