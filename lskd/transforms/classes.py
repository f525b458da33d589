"""The images of each class."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def by_class(labels_n: Array) -> Iterator[Array]:
    """The places of the images of each class that occurs, ascending; labels int [N]."""
    order_n = np.argsort(labels_n, kind="stable")
    starts = np.flatnonzero(np.diff(labels_n[order_n])) + 1
    yield from np.split(order_n, starts)
