"""A figure of each kind, drawn in a real run; then drawn anew from its metrics, fast and without torch."""

import json
import resource
import shutil
import subprocess

import pytest
from PIL import Image

from tests.workflow.conftest import ENVIRONMENT, OF_IMAGES, Tree

EMPTY = """
import io
import pandas, pyarrow.parquet, scipy.optimize
from matplotlib.figure import Figure
figure = Figure()
figure.subplots(2, 2)
for ending in ("png", "svg", "pdf"):
    figure.savefig(io.BytesIO(), format=ending)
"""
FOLDER = "results/figures/demo/kinds"
ENDINGS = ("svg", "csv", "md", "tex", "html")  # PNG and PDF are packed by libraries of the machine's


@pytest.fixture(scope="module")
def metrics_alone(every_kind, tmp_path_factory):
    """A tree that has the metrics of all kinds, and nothing else."""
    tree = Tree(tmp_path_factory.mktemp("metrics"), every_kind.folder)
    shutil.copytree(every_kind.folder / "results/metrics", tree.folder / "results/metrics")
    yield tree
    tree.close()


@pytest.fixture(scope="module")
def empty_figure(laptop, tmp_path_factory) -> float:
    """Processor seconds of four empty axes in three formats."""
    folder = tmp_path_factory.mktemp("empty")
    return min(cpu_seconds([laptop, "-c", EMPTY], folder) for _ in range(3))


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_drawn_and_drawn_again_alike_and_fast_without_torch(every_kind, metrics_alone, laptop, empty_figure, kind):
    name = f"the_{kind}"
    with Image.open(every_kind.folder / FOLDER / f"{name}.png") as picture:
        assert min(picture.size) > 200
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10
        origin = json.loads(picture.text["Description"])
    assert origin["title"] == f"demo/kinds/{name}"
    assert origin["spec"]["kind"] == kind
    seconds = []
    for _ in range(5):  # the first time warms the disk's cache; other tests may run beside it
        jobs = metrics_alone.tell_jobs(name)
        assert set(jobs) == {f"figure {name}"}
        folder = jobs[f"figure {name}"]
        assert folder.name.endswith(origin["address"])
        seconds.append(cpu_seconds([laptop, "-m", "lskd.jobs.run", folder / "figure.log"], metrics_alone.folder))
        for ending in ENDINGS:
            published = every_kind.folder / FOLDER / f"{name}.{ending}"
            assert (folder / f"figure.{ending}").read_bytes() == published.read_bytes()
        shutil.rmtree(folder)
        if seconds[-1] < 2.5 * empty_figure:
            break
    assert min(seconds) < 2.5 * empty_figure


def test_the_laptop_has_no_torch(laptop, every_kind):
    assert subprocess.run([laptop, "-c", "import torch"], capture_output=True).returncode != 0
    command = [laptop, "-m", "lskd", "adopt", "--check"]
    done = subprocess.run(command, cwd=every_kind.folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: adopt --check: needs torch, which is not installed here; install envs/")
    assert done.stderr.count("\n") == 1


def cpu_seconds(command, folder) -> float:
    """Processor time of a command: a busy machine takes no more of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
