"""A user's own corpus: two text files side by side, a sentence a line; `root` is their folder.

`train.SOURCE` and `train.TARGET`, and if there are `val.*` and `test.*`. Without these, blocks of lines are split.
"""

from collections.abc import Iterator
from pathlib import Path

from lskd.errors import UserError
from lskd.translation.pairs import Pair, aligned, are_there

_BLOCK = 10  # lines of a "document", so that neighbours, which resemble each other, are rarely in two splits


def load(root: Path, source: str, target: str) -> Iterator[Pair]:
    """The pairs of each file; UserError, with file and line, where they are not aligned, empty or not UTF-8."""
    for sources, targets in _couples(root, source, target):
        split = sources.name.removesuffix(f".{source}")
        for number, (text, translation) in enumerate(aligned(sources, targets), 1):
            for path, line in ((sources, text), (targets, translation)):
                if not line.strip():
                    raise UserError(f"{path}: line {number} is empty; delete that line in both files, or fill it")
            yield Pair(f"{split}/{(number - 1) // _BLOCK:06}", text, translation, split)


def files(root: Path, source: str, target: str) -> list[Path]:
    """The two files of each split that is there; UserError where a file of train or half of a couple is missing."""
    return [path for couple in _couples(root, source, target) for path in couple]


def _couples(root: Path, source: str, target: str) -> list[tuple[Path, Path]]:
    couples = []
    for split in ("train", "val", "test"):
        couple = (root / f"{split}.{source}", root / f"{split}.{target}")
        if split == "train" or any(path.is_file() for path in couple):
            are_there(couple, f"put both {couple[0].name} and {couple[1].name} there, a sentence a line{_hint(root)}")
            couples.append(couple)
    return couples


def _hint(root: Path) -> str:
    """Which languages are there, where a file is missing."""
    languages = sorted(path.suffix[1:] for path in root.glob("train.*"))
    return f" (train is there in {', '.join(languages)})" if languages else ""
