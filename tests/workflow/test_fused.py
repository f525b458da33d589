"""A real run whose students advance as one: all are made, told and found made as if each had been trained alone."""

import json

import pytest

from lskd.io.layout import TRACE
from tests.workflow.conftest import TINY, Tree

STUDY = TINY | {
    "seeds": [0, 1],
    "teachers": {"t": TINY["teachers"]["t"] | {"label_smoothing": [0.1]}},
    "students": {"s": TINY["students"]["s"] | {"model": {"name": "mlp", "width": 4}, "temperature": [1, 3]}},
    "figures": {"grid": {"kind": "grid"}},
}


@pytest.mark.parametrize("cores", ["1", "2"])
def test_students_that_wait_advance_as_one(tmp_path, cores):
    tree = Tree(tmp_path)
    tree.configure(STUDY | {"runtime": {"device": "cpu", "fuse": 8}})
    said = tree.run("--cores", cores)
    assert "Warning" not in said and "error" not in said
    folders = [path.parent for path in tree.results("runs/digits/mlp-w4/*/*/*/record.json")]
    how = [json.loads((folder / "record.json").read_text())["made_on"]["training"] for folder in folders]
    assert len(folders) == 4 and sum("fused" in each for each in how) >= 2  # who comes first may be alone
    assert sum((folder / TRACE).exists() for folder in folders) <= 2
    assert tree.pending() == set() and not list((tmp_path / "results").glob(".jobs/*.json"))
    (table,) = tree.results("figures/*/tiny/grid.md")
    is_mixed = len({name for each in how for name in each}) > 1
    assert ("These runs mix training alone and fused." in table.read_text()) == is_mixed
    tree.configure(STUDY)  # how it was trained is no part of what it is
    assert tree.pending() == set()
    tree.close()
