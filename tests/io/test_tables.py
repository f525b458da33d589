"""Small tables: the same bytes for the same rows, and an error of one line."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lskd.errors import UserError
from lskd.io.tables import read_table, write_table

TABLE = pa.table({"run": ["a", "b"], "value": [0.5, float("nan")]})
ORIGIN = {"title": "t", "address": "0123456789", "spec": {"b": 1, "a": None}}


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_table(tmp_path / name, TABLE, dict(sorted(ORIGIN.items())) if name == "a" else ORIGIN)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads(pq.read_schema(tmp_path / "a").metadata[b"lskd"]) == ORIGIN
    table = read_table(tmp_path / "a")
    assert table.schema.metadata is None
    assert table.column("run").to_pylist() == ["a", "b"]


def test_a_damaged_or_missing_table_is_one_line(tmp_path):
    path = tmp_path / "metrics.parquet"
    with pytest.raises(UserError, match=r"metrics\.parquet: cannot be read as Parquet"):
        read_table(path)
    write_table(path, TABLE, ORIGIN)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"metrics\.parquet: cannot be read as Parquet .*make it anew") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"first name", b"one text"])
def test_texts_that_are_no_utf8_are_told_when_the_table_is_read(tmp_path, text):
    path = tmp_path / "metrics.parquet"
    pq.write_table(pa.table({"first name": ["one text"]}), path, use_dictionary=False, write_statistics=False)
    content = path.read_bytes()
    assert text in content
    path.write_bytes(content.replace(text, b"\xff" + text[1:]))
    with pytest.raises(UserError, match=r"metrics\.parquet: cannot be read as Parquet"):
        read_table(path)
