import json

import pytest

from lskd.errors import UserError
from lskd.metrics.history import measure
from lskd.metrics.inputs import RunData
from tests.metrics.made import folder, sealed


def test_each_column_becomes_rows(tmp_path):
    path = folder(tmp_path, "runs", "a")
    rows = [{"epoch": 0, "step": 4, "train_loss": 2.5}, {"epoch": 1, "step": 8, "train_loss": 1.5}]
    (path / "history.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert measure([RunData({"run": "a"}, {"train": sealed(path)})], {}) == [
        {"run": "a", "epoch": 0, "metric": "step", "value": 4.0},
        {"run": "a", "epoch": 1, "metric": "step", "value": 8.0},
        {"run": "a", "epoch": 0, "metric": "train_loss", "value": 2.5},
        {"run": "a", "epoch": 1, "metric": "train_loss", "value": 1.5},
    ]


def test_a_missing_or_damaged_file_is_told(tmp_path):
    path = folder(tmp_path, "runs", "a")
    (path / "history.jsonl").write_text('{"epoch": 1, "step": 4}\n')
    run = RunData({"run": "a"}, {"train": sealed(path)})
    (path / "history.jsonl").write_text('{"epoch": 1, "step": 5}\n')
    with pytest.raises(UserError, match=r"history\.jsonl: damaged"):
        measure([run], {})
    (path / "history.jsonl").unlink()
    with pytest.raises(UserError, match=r"history\.jsonl: cannot be read"):
        measure([run], {})
