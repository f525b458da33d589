"""What of its teacher's distributions a student of translation was given: all, the k likeliest tokens, or samples."""

import math

from lskd.io.seal import read_record
from lskd.metrics.inputs import Row, RunData


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """A row (way, kept, tail, sampled) a student, as its record says.

    `kept` is the number of tokens that were kept of each distribution, `sampled` that of the samples drawn from it (NaN
    where neither was done), and `tail` whether what lies outside the kept ones was told too, as one mass.
    """
    rows = []
    for run in runs:
        if run.row["role"] == "student":
            supervision = read_record(run.folders["train"])["spec"]["supervision"]
            kept, sampled = (float(supervision.get(name, math.nan)) for name in ("k", "sampled"))
            how = {"way": supervision["way"], "kept": kept, "tail": bool(supervision.get("tail", False))}
            rows.append(run.row | how | {"sampled": sampled})
    return rows
