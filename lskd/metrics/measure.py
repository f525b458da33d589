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
) -> tuple[pa.Table, list[Path]]:
    """The rows that `family` makes of the runs in `plan`, whose folders lie under `results`, and the files it read."""
    opened: set[Path] = set()
    rows = family(runs_of(plan, results, opened), options)
    return pa.Table.from_pylist(rows), sorted(opened)


def runs_of(plan: list[Row], results: Path, opened: set[Path]) -> list[RunData]:
    """The runs' data behind their rows of identity columns, each student with its teacher.

    A missing temperature or soft_weight reads as NaN. `opened` gathers every file that is read.
    """
    by_path = {row["run"]: row for row in plan}

    def run(row: Row, teacher: RunData | None) -> RunData:
        columns = {key: math.nan if value is None else value for key, value in row.items() if key != "digest"}
        return RunData(columns, results / row["run"], teacher, row.get("digest", ""), opened)

    def teacher(path: str | None) -> RunData | None:
        return run(by_path.get(path, {"run": path}), None) if path else None

    return [run(row, teacher(row["teacher"])) for row in plan]


def main(arguments: argparse.Namespace) -> None:
    """Measure one family and write its Parquet file."""
    spec, plan = arguments.spec, json.loads(arguments.plan.read_text())
    family = stage.resolve(tables.METRICS[spec["family"]].entry)
    table, opened = measure(family, plan, arguments.results, spec["options"])
    read = {str(path.relative_to(arguments.results)): path for path in opened}
    origin = provenance.collect(spec, arguments.code, {"plan": arguments.plan} | read)
    with atomic(arguments.out) as tmp:
        pq.write_table(table.replace_schema_metadata({"lskd": json.dumps(origin, sort_keys=True)}), tmp)


if __name__ == "__main__":
    stage.call("metrics", main, stage.parser("metrics.measure", "plan", "results", "out").parse_args())
