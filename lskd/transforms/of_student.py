"""A student's transform as its spec gives it: where it is trained, and where what it was taught is measured."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lskd.transforms.classes import Array

Transform = Callable[[Array, Array], Array]
"""From the teacher's logits [N, K] and labels [N] at a draw to the logits that teach."""


def transform_of(spec: dict[str, Any], function: Callable[..., Array], fitted: float | None) -> Transform:
    """`function` with the options of a student's spec, the random state of its seed, and what was fitted on val."""
    options = {name: value for name, value in spec["transform"].items() if name != "name"}
    if fitted is not None:
        options["fitted"] = fitted

    def transform(logits_nk: Array, labels_n: Array) -> Array:
        return function(logits_nk, labels_n, np.random.default_rng(spec["seed"]), **options)

    return transform
