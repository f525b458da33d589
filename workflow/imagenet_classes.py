"""Makes lskd/data/imagenet_classes.csv: `python workflow/imagenet_classes.py data.noun synsets.txt`.

`data.noun` is WordNet 3.0's (Debian's wordnet-base has it in /usr/share/wordnet), `synsets.txt` the 1,000 WordNet ids
of ILSVRC 2012, one a line (timm's timm/data/_info/imagenet_synsets.txt). WordNet's licence, which allows
copies with its notice, stands in docs/data.md.
"""

import csv
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parents[1] / "lskd/data/imagenet_classes.csv"


class Noun(NamedTuple):
    """A synset of data.noun: its first word, and the WordNet ids of its hypernyms."""

    word: str
    above: list[str]


def nouns(path: Path) -> dict[str, Noun]:
    """The synsets of a data.noun by WordNet id; wndb(5WN) says how a line reads."""
    synsets = {}
    for line in path.read_text(encoding="latin1").splitlines():
        if line.startswith("  "):  # the licence
            continue
        fields = line.partition(" | ")[0].split()
        words = int(fields[3], 16)
        pointers = fields[5 + 2 * words :]
        above = [
            f"n{pointers[place + 1]}" for place in range(0, 4 * int(fields[4 + 2 * words]), 4) if pointers[place] == "@"
        ]
        synsets[f"n{fields[0]}"] = Noun(fields[4].replace("_", " "), above)
    return synsets


def rows(synsets: dict[str, Noun], wnids: list[str]) -> list[tuple[str, str, str]]:
    """WordNet id, name and parent of each; of several parents the one that most have, of such the first."""
    names = Counter(synsets[wnid].word for wnid in wnids)
    children = Counter(above for wnid in wnids for above in synsets[wnid].above)
    table = []
    for wnid in wnids:
        word, above = synsets[wnid]
        name = word if names[word] == 1 else f"{word} ({wnid})"
        table.append((wnid, name, max(above, key=lambda parent: children[parent])))
    return table


def main() -> None:
    """Write the table."""
    data_noun, listed = map(Path, sys.argv[1:])
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("wnid", "name", "parent"))
        table.writerows(rows(nouns(data_noun), sorted(listed.read_text().split())))


if __name__ == "__main__":
    main()
