"""How the parts of a data set may be called. Standard library only, for planning imports it."""

from typing import TypeVar

Part = TypeVar("Part")

SPELLINGS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def split_of(name: str) -> str | None:
    """The split that a folder's or a file's name means, in any case; None for any other name."""
    return SPELLINGS.get(name.lower())


def as_reported(parts: dict[str, Part]) -> dict[str, Part]:
    """The parts by split; a val without a test becomes the test split.

    It is what papers report where the labels of test are not published, as ImageNet's; lskd's own val, on which epochs
    are selected, is then taken from train, so that selection never sees what is reported.
    """
    if "val" in parts and "test" not in parts:
        return {"test" if split == "val" else split: part for split, part in parts.items()}
    return parts
