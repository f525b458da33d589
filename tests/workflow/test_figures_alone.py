"""With everything deleted but the metrics, figures are drawn again, and nothing else runs; torch is not needed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workflow.conftest import ENVIRONMENT, Tree, jobs_of, published


def without_all_but_metrics(tree: Tree, folder: Path) -> Tree:
    """A copy of a finished tree in which results/metrics is all that is left of the results."""
    copy = Tree(folder, tree.folder)
    shutil.copytree(tree.folder / "results/metrics", folder / "results/metrics")
    return copy


@pytest.mark.parametrize("metadata", ["kept", "lost", "lost, with all times"])
def test_metrics_are_enough(finished, laptop, tmp_path, metadata):
    copy = without_all_but_metrics(finished, tmp_path)
    if metadata == "kept":
        shutil.copytree(finished.folder / ".snakemake", tmp_path / ".snakemake")
    if metadata == "lost, with all times":  # as a plain copy or a checkout leaves them
        for file in sorted((tmp_path / "results").rglob("*.*"), reverse=True):
            os.utime(file)
    done = subprocess.run(
        [laptop, "-m", "snakemake", "--quiet", "host", "--", "grid", "stability"],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout
    assert jobs_of(done.stdout) == {"figure grid", "figure stability"}
    for ending in ("svg", "csv", "md", "tex", "html"):  # PNG and PDF are packed by libraries of the machine's
        assert published(copy, f"*.{ending}") == published(finished, f"*.{ending}")
    assert subprocess.run([laptop, "-c", "import torch"], capture_output=True).returncode != 0


@pytest.mark.parametrize("said", ["", "trust"])
def test_a_pack_of_metrics_with_a_later_checkout(finished, laptop, tmp_path, said):
    """Code above the metrics changed since: all would be made anew, unless what is there is trusted."""
    copy = without_all_but_metrics(finished, tmp_path)
    kd = tmp_path / "lskd/supervision/kd.py"
    kd.write_text(kd.read_text().replace("temperature**2", "temperature**3"))
    arguments = ["--config", "trust=code"] if said else []
    done = subprocess.run(
        [laptop, "-m", "snakemake", "--dry-run", "--quiet", "host", *arguments],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout
    if said:
        assert jobs_of(done.stdout) == {"figure grid", "figure stability"}
        assert "note: trust=code: " in done.stdout
        assert "lskd/supervision/kd.py:loss changed" in done.stdout
    else:
        assert {"data", "train ls0/0", "train ls0/0 T1", "figure grid"} <= jobs_of(done.stdout)
    copy.close()
