"""What is left out of a corpus' training sentences, and why; val and test that were published are never touched."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from lskd.errors import UserError
from lskd.translation.pairs import Pair

RATIO = 3.0  # of the words of the two sides: beyond, they are hardly translations
REASONS = ("empty", "identical", "long", "ratio", "script", "repeated", "leaked")

_SCRIPTS = {
    "CYRILLIC": "ru uk be bg mk kk ky mn tg tt",
    "GREEK": "el",
    "HEBREW": "he yi",
    "ARABIC": "ar fa ur ug ckb",
    "HANGUL": "ko",
    "DEVANAGARI": "hi ne mr",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "THAI": "th",
    "CJK": "zh ja",
}
SCRIPT = {language: script for script, languages in _SCRIPTS.items() for language in languages.split()}
"""The script of a language, by the first word of its letters' Unicode names; others are not looked at."""

_SHARE = 1 / 4  # of a sentence's letters in its language's script: names of products and commands are often Latin
_BETWEEN = re.compile(r"[\W_]+")
_UNSPACED = ("zh", "ja", "th", "lo", "km", "my", "bo")
_RESERVED = str.maketrans("\u2581\u2585", "  ")  # by which sentencepiece marks words


def normalise(text: str) -> str:
    """Words with one space between them, without control characters and the two marks of sentencepiece."""
    if not text.isprintable():
        text = "".join(letter for letter in text if letter.isspace() or unicodedata.category(letter) != "Cc")
    return " ".join(text.translate(_RESERVED).split())


def words(text: str, language: str) -> int:
    """How many words a text has: by spaces, or two characters a word where a language sets none."""
    return math.ceil(len(text) / 2) if _base(language) in _UNSPACED else len(text.split())


def is_well_formed(text: str, translation: str, longest: int) -> bool:
    """What Moses' clean-corpus-n.perl keeps with `-ratio 1.5 1 LONGEST`, words being those between spaces."""
    counts = len(text.split()), len(translation.split())
    return min(counts) >= 1 and max(counts) <= min(longest, 1.5 * min(counts))


def key(text: str) -> str:
    """What two texts share that are the same but for case, punctuation and spaces; all of it without a letter."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _BETWEEN.sub(" ", folded).strip() or folded


def clean(pairs: Iterable[Pair], source: str, target: str, longest: int) -> tuple[list[Pair], Counter[str]]:
    """The pairs, normalised, without those that are no good to train on, and how many were removed by each reason.

    Removed are, in this order, an empty side; both sides equal; a side of more than `longest` words; more than RATIO
    times the words of the other side; hardly a letter of the language's script; a pair that stood before (by `key`).
    Pairs of a published val or test are normalised and kept, all of them.
    """
    kept, removed, seen = [], Counter[str](), set()
    for pair in pairs:
        pair = replace(pair, source=normalise(pair.source), target=normalise(pair.target))
        if pair.split in ("", "train"):
            both = (key(pair.source), key(pair.target))
            reason = _reason(pair, source, target, longest) or ("repeated" if both in seen else "")
            if reason:
                removed[reason] += 1
                continue
            seen.add(both)
        kept.append(pair)
    return kept, removed


def without_leaks(
    splits: dict[str, list[Pair]], published: Iterable[str]
) -> tuple[dict[str, list[Pair]], Counter[str]]:
    """The splits without the pairs of train that have a side (by `key`) in val or test, and of val in test.

    A split that was published is kept whole, train aside.
    """
    held = _keys(splits["test"])
    val = splits["val"] if "val" in published else list(_outside(splits["val"], held))
    held |= _keys(val)
    train = list(_outside(splits["train"], held))
    removed = len(splits["train"]) - len(train) + len(splits["val"]) - len(val)
    return {"train": train, "val": val, "test": splits["test"]}, Counter({"leaked": removed} if removed else {})


def refuse_leaks(train: list[Pair], published: Iterable[Pair], place: str) -> None:
    """UserError where a pair of train has a side (by `key`) in a published val or test: how many, and the first."""
    held = _keys(published)
    leaking = [pair for pair in train if not held.isdisjoint(_keys([pair]))]
    if leaking:
        raise UserError(
            f"{place}: {len(leaking):,} of {len(train):,} training pairs have a sentence that val or test has too, "
            f"such as {leaking[0].source[:60]!r}; take them out of train, or say leaks: drop"
        )


def _reason(pair: Pair, source: str, target: str, longest: int) -> str:
    if not pair.source or not pair.target:
        return "empty"
    if pair.source == pair.target:
        return "identical"
    counts = words(pair.source, source), words(pair.target, target)
    if max(counts) > longest:
        return "long"
    if max(counts) > RATIO * min(counts):
        return "ratio"
    return "" if _is_of(pair.source, source) and _is_of(pair.target, target) else "script"


def _is_of(text: str, language: str) -> bool:
    """Whether a text is not surely written in another script than its language's."""
    script = SCRIPT.get(_base(language))
    if script is None:
        return True
    letters = [letter for letter in text if letter.isalpha()]
    return sum(_script(letter) == script for letter in letters) >= _SHARE * len(letters)


@lru_cache(maxsize=1 << 16)
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "").split(" ")[0]
    return "CJK" if name in ("HIRAGANA", "KATAKANA") else name


def _base(language: str) -> str:
    return language.replace("_", "-").split("-")[0]


def _keys(pairs: Iterable[Pair]) -> set[tuple[str, str]]:
    return {(side, key(getattr(pair, side))) for pair in pairs for side in ("source", "target")}


def _outside(pairs: Iterable[Pair], held: set[tuple[str, str]]) -> Iterator[Pair]:
    return (pair for pair in pairs if held.isdisjoint(_keys([pair])))
