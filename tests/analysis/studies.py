"""Studies of synthetic students with known effects."""

import pandas as pd

from lskd.analysis import comparisons
from tests.figures import synthetic


def study(effects, seeds=(0, 1, 2), val=None, noise=0.0, students=1):
    """accuracy rows whose students have `effects`: (alpha, T) -> test top-1 in percent, moved by a seed's own offset.

    `val` overrides the same on val; `noise` is the difference between seeds that is not shared. The students of a seed
    lie symmetrically around its mean.
    """
    alphas, degrees = (sorted({cell[i] for cell in effects}) for i in (0, 1))
    rows = []
    for row in synthetic.runs(alphas=alphas, temperatures=degrees, seeds=seeds):
        cell = (row["label_smoothing"], row["temperature"])
        if row["role"] != "student" or cell not in effects:
            continue
        own = noise * (0.3, -1.0, 0.7, 0.4, -0.4)[row["seed"] % 5] * (1 + cell[1] / 10) * (cell[0] > 0)
        for student in range(students):
            title = row | {"run": row["run"] + (f".{student}" if student else ""), "student": student}
            apart = 0.4 * (student - (students - 1) / 2) * (1 if cell[0] else -1)
            for split in ("val", "test"):
                means = (val or effects) if split == "val" else effects
                value = (means[cell] + row["seed"] + own + apart) / 100
                rows.append(title | {"split": split, "metric": "top1", "k": 1, "value": value})
    return pd.DataFrame(rows)


def random_study(random, seeds=6, degrees=(1.0, 2.0, 64.0), alphas=(0.0, 0.1), size=0.5, spread=0.1):
    """accuracy rows of a study whose effects and noise are drawn: test and val share their true means."""
    means = {(a, t): 90 + size * random.choice([-2, -1, 0, 0, 0, 1, 2]) for a in alphas for t in degrees}
    rows = study(means, seeds=range(seeds))
    return rows.assign(value=rows["value"] + spread / 100 * random.normal(size=len(rows)))


def compared(accuracy, **options):
    return comparisons.verdict({"accuracy": accuracy}, options)


def by_t(numbers):
    rows = numbers[numbers["question"] == "same T"]
    return dict(zip(rows["temperature"], rows["verdict"], strict=True))


def hurt_at_64(**how):
    hard = {(0.0, 1.0): 90.0, (0.0, 2.0): 91.0, (0.0, 64.0): 90.0}
    return study(hard | {(0.1, 1.0): 90.0, (0.1, 2.0): 90.9, (0.1, 64.0): 85.0}, **how)
