"""The metrics stage: a metric family over the runs of a figure, as one small tidy Parquet file."""

import math
from pathlib import Path
from typing import Any

import pyarrow as pa

from lskd.io.tables import write_table
from lskd.jobs.work import Work
from lskd.metrics.inputs import RunData

Row = dict[str, Any]
Folders = dict[str, Path]


def run(work: Work) -> None:
    """Measure the family of a job's spec over the runs in its rows."""
    rows = work.functions["measure"](runs_of(work.spec["rows"], work.inputs), work.spec["options"])
    origin = {key: value for key, value in work.origin.items() if key != "spec"} | {"family": work.spec["family"]}
    write_table(work.folder / "metrics.parquet", pa.Table.from_pylist(rows), origin)


def runs_of(rows: list[Row], inputs: Folders) -> list[RunData]:
    """The runs behind rows of identity columns, each student with its teacher.

    `inputs` are the folders of jobs by role: "predict TITLE", "snapshots TITLE", "train TITLE", "data NAME". A missing
    temperature or soft_weight reads as NaN.
    """
    folders: dict[str, Folders] = {}
    for role, folder in inputs.items():
        stage, _, title = role.partition(" ")
        folders.setdefault(title, {})[stage] = folder
    by_title = {row["run"]: row for row in rows}

    def data_of(row: Row, teacher: RunData | None) -> RunData:
        columns = {key: math.nan if value is None else value for key, value in row.items()}
        return RunData(columns, folders.get(row["run"], {}) | folders.get(row.get("dataset", ""), {}), teacher)

    def teacher_of(row: Row) -> RunData | None:
        title = row["teacher"]
        return data_of(by_title.get(title, {"run": title, "dataset": row["dataset"]}), None) if title else None

    return [data_of(row, teacher_of(row)) for row in rows]
