"""docs/extending.md does what it says: its files and lines, applied to a finished study, measure and draw."""

import math
import re
import shutil
from collections.abc import Iterator

import matplotlib.image
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from tests.workflow.conftest import ROOT, TINY, Tree

PAGE = (ROOT / "docs/extending.md").read_text()
NEW = {"metrics entropy entropy", "figure entropy"}


def block(after: str) -> str:
    """The fenced block that follows the only line with these words."""
    (text,) = re.findall(rf"^[^\n]*{re.escape(after)}:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return text


@pytest.fixture(scope="module")
def extended(finished, tmp_path_factory) -> Iterator[Tree]:
    """A copy of the finished study to which the page was applied: its two files, its two lines and its config."""
    tree = Tree(tmp_path_factory.mktemp("extended"), finished.folder)
    shutil.copytree(finished.folder / "results", tree.folder / "results")
    tree.configure(TINY)
    assert tree.pending() == set()
    for file in ("lskd/metrics/entropy.py", "lskd/figures/entropy.py"):
        (tree.folder / file).write_text(block(f"`{file}`"))
    tables = (tree.folder / "lskd/study/registry.py").read_text()
    for name in ("METRICS", "FIGURES"):
        line = block(f"In `{name}` of `lskd/study/registry.py`")
        assert line.count("\n") == 1
        assert tables.count(f"\n{name} = {{\n") == 1
        tables = tables.replace(f"\n{name} = {{\n", f"\n{name} = {{\n{line}")
    (tree.folder / "lskd/study/registry.py").write_text(tables)
    tree.configure(TINY | {"figures": TINY["figures"] | yaml.safe_load(block("Under `figures` of `config.yaml`"))})
    yield tree
    tree.close()


def entropy(path) -> float:
    """Mean entropy of the softmax of a file's logits, number by number."""
    logits = pq.read_table(path).column("logits").to_pylist()
    total = 0.0
    for row in logits:
        weights = [math.exp(z - max(row)) for z in row]
        total -= sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights if w)
    return total / len(logits)


def test_the_page_runs(extended):
    assert extended.pending() == extended.planned("entropy") == NEW
    extended.run("entropy")
    assert extended.pending() == set()

    (measured,) = extended.results("metrics/demo/tiny/entropy/entropy-*/metrics.parquet")
    rows = pq.read_table(measured).to_pandas()
    predictions = extended.folder / "results/predictions"
    expected = {
        str(path.parent.relative_to(predictions))[:-11]: entropy(path)  # the run's title, without the address
        for path in predictions.rglob("test.logits.parquet")
    }
    assert len(expected) == 6
    assert dict(zip(rows["run"], rows["value"], strict=True)) == pytest.approx(expected, rel=1e-9)
    assert rows["value"].between(0, math.log(10)).all()

    stem = extended.folder / "results/figures/demo/tiny/entropy"
    numbers = pd.read_csv(stem.with_suffix(".csv"))
    assert sorted(numbers["mean"]) == pytest.approx(sorted(expected.values()), rel=1e-9)
    assert (numbers["n"] == 1).all()
    assert stem.with_suffix(".md").read_text().count("\n| ") == 2 + 6
    picture = matplotlib.image.imread(stem.with_suffix(".png"))
    assert picture.shape[1] > 600 and picture.std() > 0.01


def test_an_edit_of_the_new_metric_reruns_it_alone(extended):
    extended.run("entropy")
    file = extended.folder / "lskd/metrics/entropy.py"
    source = file.read_text()
    file.write_text(source.replace(".sum(1).mean())", ".sum(1).mean()) / 2"))
    assert file.read_text() != source
    assert extended.pending() == extended.planned() == NEW
    file.write_text(source)
    assert extended.pending() == extended.planned() == set()
