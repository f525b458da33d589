"""Train, val and test of a corpus: as published, else whole documents."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from lskd.errors import UserError
from lskd.translation.pairs import Pair


def split(pairs: Sequence[Pair], fractions: dict[str, float], place: str) -> dict[str, list[Pair]]:
    """The pairs of each split: the published ones, and of the others whole documents for what was not published.

    `fractions` are of the sentences that are split here, for "val" and "test". A document goes to test, then to val,
    if that brings the split's number of sentences nearer to its fraction. The order is that of a digest of the
    documents' names, so that one more document hardly moves the others. Raises UserError where a split stays empty.
    """
    published = {name: [pair for pair in pairs if pair.split == name] for name in ("val", "test")}
    documents = defaultdict(list)
    for pair in pairs:
        if pair.split in ("", "train"):
            documents[pair.document].append(pair)
    total = sum(map(len, documents.values()))
    missing = [name for name in ("test", "val") if not published[name]]
    splits: dict[str, list[Pair]] = {"train": [], **published}
    for document in sorted(documents, key=_digest):
        sentences = documents[document]
        wanting = [name for name in missing if _is_nearer(len(splits[name]), len(sentences), fractions[name] * total)]
        splits[wanting[0] if wanting else "train"] += sentences
    for name, chosen in splits.items():
        if not chosen:
            larger = f"give a larger {name}_fraction" if name in missing else "give smaller fractions"
            raise UserError(
                f"{place}: no sentence for {name}, of {total:,} in {len(documents):,} document(s), which are split "
                f"whole; give more text, or {larger}"
            )
    return splits


def _is_nearer(count: int, more: int, goal: float) -> bool:
    return abs(count + more - goal) < abs(count - goal)


def _digest(document: str) -> bytes:
    return hashlib.sha256(document.encode()).digest()
