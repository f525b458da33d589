"""Small tables as Parquet files that say where they come from."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lskd.errors import UserError, mend
from lskd.io.atomic import atomic


def write_table(path: Path, table: pa.Table, origin: dict[str, Any]) -> None:
    """Write a table with `origin` in its metadata, atomically; the same table and origin give the same bytes."""
    with atomic(path) as tmp:
        pq.write_table(table.replace_schema_metadata({"lskd": json.dumps(origin, sort_keys=True)}), tmp)


def read_table(path: Path) -> pa.Table:
    """A table without its metadata. UserError where the file is missing or no Parquet."""
    try:
        table = pq.read_table(path).replace_schema_metadata(None)
        table.validate(full=True)  # texts are UTF-8
        table.column_names  # noqa: B018  # these too, which are decoded when they are asked for
        return table
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: cannot be read as Parquet ({reason}); {mend(path)}") from None
