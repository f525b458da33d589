"""What every data set's loader returns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self

import numpy as np


class Block(NamedTuple):
    """Some images in order: encoded, decoded as uint8 [N, C, H, W], and what was converted of each, "" for nothing."""

    contents: list[bytes]
    images: np.ndarray
    notes: list[str]


class Encoded(Protocol):
    """Images that are decoded when they are needed, to [3, image_size, image_size]; with `stream` in every epoch."""

    @property
    def image_size(self) -> int:
        """Pixels of the square."""

    @property
    def stream(self) -> bool:
        """Whether they are to stay encoded."""

    def __len__(self) -> int: ...

    def __getitem__(self, mask_n: np.ndarray) -> Self:
        """Those where a mask, bool [N], is True."""

    def blocks(self, names: list[str], workers: int, short_side: int | None = None) -> Iterator[Block]:
        """Decode all in `workers` threads; UserError, with its name, for an image that does not decode.

        Where `short_side` is given, what is larger is encoded anew with so many pixels on its shorter side.
        """


@dataclass(frozen=True)
class Samples:
    """Images uint8 [N, C, H, W] or encoded, labels int64 [N], and names by which a user finds each sample.

    A name is the file's posix path relative to the root, with what finds the sample in it: "cat/7.png", "train.npz#17".
    """

    images: np.ndarray | Encoded
    labels: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask_n: np.ndarray) -> "Samples":
        """The samples where a mask, bool [N], is True."""
        return Samples(self.images[mask_n], self.labels[mask_n], [self.names[i] for i in np.flatnonzero(mask_n)])


@dataclass(frozen=True)
class Arrays:
    """A data set: its samples, with labels in 0..K-1, and the K class names.

    Each data set is one function `load(root, *, workers, ...) -> Arrays`: `root` is where the raw files lie, `workers`
    the threads it may use, and the rest those of the options `image_size` (pixels), `test_fraction` (of what comes
    without a test split) and `stream` that it takes. Without `val`, a part of train is taken.

    `skipped` counts, by split and class, the files of each suffix that are no images. `families` names for each class
    the family that it is of, where that is known: classes of one family are similar.
    """

    train: Samples
    test: Samples
    classes: tuple[str, ...]
    val: Samples | None = None
    skipped: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    families: tuple[str, ...] = ()
