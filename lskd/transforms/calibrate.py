"""Calibrate a teacher before it teaches: its logits divided by the temperature that fits val best (Guo 2017)."""

import numpy as np

from lskd.transforms.classes import Array

OPTIONS = ()
FITS = "lskd.metrics.calibration:fit_temperature"


def transform(logits_nk: Array, labels_n: Array, rng: np.random.Generator, *, fitted: float) -> Array:
    """z / T*, with T* = `fitted`, the T that minimises the teacher's NLL on val (Guo 2017, section 4.2)."""
    return (logits_nk.astype(np.float64) / fitted).astype(logits_nk.dtype)
