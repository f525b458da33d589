"""Next-token predictions given a correct prefix: NLL, accuracy and calibration over the decoding temperature.

Mueller 2019, section 3, figures 3 and 4: each target token, the end of its sentence too, is one prediction. Its
temperature divides the logits, as in decoding; `is_fitted` marks the one that was fitted on val by NLL.
Legend of suffixes: n tokens.
"""

from collections.abc import Iterator

import numpy as np

from lskd.metrics.bleu import FINAL, chosen
from lskd.metrics.calibration import ece, ece_mass
from lskd.metrics.inputs import Array, Row, RunData
from lskd.metrics.reliability import bin_rows

Columns = dict[str, Array]


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, temperature_at, is_fitted, metric, value) of each run, split and decoding temperature.

    Metrics: nll (nats a token), perplexity (its exponential), accuracy, ece and ece_mass (0..1; 15 bins, as of
    images), tokens (their number).
    """
    return [
        own | {"metric": name, "value": value}
        for run in runs
        for own, part in _parts(run)
        for name, value in _values(part).items()
    ]


def reliability(runs: list[RunData], options: Row) -> list[Row]:
    """Rows as `lskd.metrics.reliability` gives them, of the tokens of test: at temperature 1, and at the fitted one."""
    rows = []
    for run in runs:
        for own, part in _parts(run):
            if own["split"] == "test" and (own["is_fitted"] or own["temperature_at"] == 1):
                bins = bin_rows(part["confidence"], part["is_correct"].astype(np.float64))
                rows += [run.row | {"split": "test", "scaled": own["is_fitted"]} | each for each in bins]
    return rows


def _parts(run: RunData) -> Iterator[tuple[Row, Columns]]:
    """The tokens of each split and decoding temperature of a trained network."""
    table = chosen(run.tokens("translate"), update=FINAL)
    for split in np.unique(table["split"]).tolist():
        of_split = chosen(table, split=split)
        for is_fitted in (False, True):
            of_kind = chosen(of_split, is_fitted=is_fitted)
            for temperature in np.unique(of_kind["temperature"]).tolist():
                own = {"split": split, "temperature_at": float(temperature), "is_fitted": is_fitted}
                yield run.row | own, chosen(of_kind, temperature=temperature)


def _values(part: Columns) -> dict[str, float]:
    both = part["confidence"], part["is_correct"].astype(np.float64)
    nll = float(part["nll"].mean(dtype=np.float64))
    return {
        "nll": nll,
        "perplexity": float(np.exp(nll)),
        "accuracy": float(both[1].mean()),
        "ece": ece(*both),
        "ece_mass": ece_mass(*both),
        "tokens": float(len(both[1])),
    }
