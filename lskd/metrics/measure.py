"""The metrics stage: a metric family over the runs of a figure, as one small tidy Parquet file."""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lskd import provenance, stage, tables
from lskd.files import atomic
from lskd.metrics.inputs import RunData

Row = dict[str, Any]


def measure(
    family: Callable[[list[RunData], Row], list[Row]], plan: list[Row], results: Path, options: Row
) -> pa.Table:
    """The rows that `family` makes of the runs in `plan`, whose folders lie under `results`.

    `plan` holds one row of identity columns a run; a missing temperature or soft_weight reads as NaN.
    """
    return pa.Table.from_pylist(family(runs_of(plan, results), options))


def runs_of(plan: list[Row], results: Path) -> list[RunData]:
    """The runs' data behind their identity rows, each student with its teacher."""
    by_path = {row["run"]: row for row in plan}
    found = []
    for row in plan:
        taught = row["teacher"]
        teacher = _run(by_path.get(taught, {"run": taught}), results, None) if taught else None
        found.append(_run(row, results, teacher))
    return found


def _run(row: Row, results: Path, teacher: RunData | None) -> RunData:
    columns = {key: math.nan if value is None else value for key, value in row.items() if key != "digest"}
    return RunData(columns, results / row["run"], teacher, row.get("digest", ""))


def main(arguments: argparse.Namespace) -> None:
    """Measure one family and write its Parquet file."""
    spec, plan = arguments.spec, json.loads(arguments.plan.read_text())
    family = stage.resolve(tables.METRICS[spec["family"]].entry)
    table = measure(family, plan, arguments.results, spec["options"])
    origin = provenance.collect(spec, arguments.code, {"plan": arguments.plan})
    with atomic(arguments.out) as tmp:
        pq.write_table(table.replace_schema_metadata({"lskd": json.dumps(origin, sort_keys=True)}), tmp)


if __name__ == "__main__":
    stage.call("metrics", main, stage.parser("metrics.measure", "plan", "results", "out").parse_args())
