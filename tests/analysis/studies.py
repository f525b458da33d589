"""Studies of synthetic students with known effects."""

import pandas as pd

from lskd.analysis import comparisons
from tests.figures import synthetic


def study(effects, seeds=(0, 1, 2), val=None, noise=0.0):
    """accuracy rows whose students have `effects`: (alpha, T) -> test top-1 in percent, moved by a seed's own offset.

    `val` overrides the same on val; `noise` is the difference between seeds that is not shared.
    """
    alphas, degrees = (sorted({cell[i] for cell in effects}) for i in (0, 1))
    rows = []
    for row in synthetic.runs(alphas=alphas, temperatures=degrees, seeds=seeds):
        for split in ("val", "test"):
            cell = (row["label_smoothing"], row["temperature"])
            means = (val or effects) if split == "val" else effects
            if row["role"] == "student" and cell in effects:
                own = noise * (0.3, -1.0, 0.7, 0.4, -0.4)[row["seed"] % 5] * (1 + cell[1] / 10) * (cell[0] > 0)
                value = (means[cell] + row["seed"] + own) / 100
                rows.append(row | {"split": split, "metric": "top1", "k": 1, "value": value})
    return pd.DataFrame(rows)


def compared(accuracy):
    return comparisons.verdict({"accuracy": accuracy})


def by_t(numbers):
    rows = numbers[numbers["question"] == "same T"]
    return dict(zip(rows["temperature"], rows["verdict"], strict=True))


def hurt_at_64(**how):
    hard = {(0.0, 1.0): 90.0, (0.0, 2.0): 91.0, (0.0, 64.0): 90.0}
    return study(hard | {(0.1, 1.0): 90.0, (0.1, 2.0): 90.9, (0.1, 64.0): 85.0}, **how)
