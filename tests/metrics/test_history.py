import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lskd.errors import UserError
from lskd.metrics.history import measure
from lskd.metrics.inputs import RunData


def test_each_column_becomes_rows(tmp_path):
    pq.write_table(pa.table({"epoch": [0, 1], "step": [4, 8], "train_loss": [2.5, 1.5]}), tmp_path / "history.parquet")
    rows = measure([RunData({"run": "a"}, tmp_path)], {})
    assert rows == [
        {"run": "a", "epoch": 0, "metric": "step", "value": 4.0},
        {"run": "a", "epoch": 1, "metric": "step", "value": 8.0},
        {"run": "a", "epoch": 0, "metric": "train_loss", "value": 2.5},
        {"run": "a", "epoch": 1, "metric": "train_loss", "value": 1.5},
    ]


def test_a_missing_or_damaged_file_is_told(tmp_path):
    run = RunData({"run": "a"}, tmp_path)
    with pytest.raises(UserError, match=r"history\.parquet: missing or damaged"):
        measure([run], {})
    (tmp_path / "history.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(UserError, match=r"history\.parquet: missing or damaged"):
        measure([run], {})
