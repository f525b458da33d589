"""The 1,000 synsets of ILSVRC 2012 in the order of their labels: WordNet id, name and parent.

imagenet_classes.csv was made by workflow/imagenet_classes.py of WordNet 3.0, (c) 2006 by Princeton University, whose
licence stands at the end of docs/data.md. A name is the synset's first word, with its WordNet id where two share it.
The parent is the synset's hypernym; of several the one that most of the 1,000 have. No NumPy, for planning reads it.
"""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Synset(NamedTuple):
    """A class of ImageNet: classes of one parent are similar."""

    wnid: str
    name: str
    parent: str


@cache
def synsets() -> tuple[Synset, ...]:
    """All of them; label k is number k."""
    with Path(__file__).with_name("imagenet_classes.csv").open(newline="", encoding="utf-8") as file:
        return tuple(Synset(*row) for row in list(csv.reader(file))[1:])


def parents() -> dict[str, str]:
    """The parent of each WordNet id."""
    return {synset.wnid: synset.parent for synset in synsets()}
