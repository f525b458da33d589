"""With everything deleted but the metrics, figures are drawn again, and nothing else runs; torch is not needed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workflow.conftest import Tree


def without_all_but_metrics(tree: Tree, folder: Path) -> Tree:
    """A copy of a finished tree in which results/metrics is all that is left of the results."""
    copy = Tree(folder)
    shutil.copy2(tree.folder / "config.yaml", folder / "config.yaml")
    shutil.copytree(tree.folder / "results/metrics", folder / "results/metrics")
    return copy


@pytest.mark.parametrize("metadata", ["kept", "lost", "lost, with the plans and all times"])
def test_metrics_are_enough(finished, laptop, tmp_path, metadata):
    copy = without_all_but_metrics(finished, tmp_path)
    if metadata == "kept":
        shutil.copytree(finished.folder / ".snakemake", tmp_path / ".snakemake")
    if (
        metadata == "lost, with the plans and all times"
    ):  # Parquet files alone, as a plain copy or a checkout leaves them
        for file in sorted((tmp_path / "results").rglob("*.*")):
            if file.name == "runs.json":
                file.unlink()
            else:
                os.utime(file)
    done = subprocess.run(
        [laptop, "-m", "snakemake", "grid", "stability"],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
    )
    assert done.returncode == 0, done.stdout
    ran = {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith(("rule ", "localrule "))}
    assert ran - {"grid", "stability"} == {"figure"}
    for name in ("grid", "stability"):
        for ending in ("svg", "csv", "md", "tex", "html"):
            mine, before = (
                tree / f"results/figures/demo/tiny/{name}.{ending}" for tree in (copy.folder, finished.folder)
            )
            assert mine.read_bytes() == before.read_bytes()
    assert subprocess.run([laptop, "-c", "import torch"], capture_output=True).returncode != 0
