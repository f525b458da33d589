"""A figure of each kind, drawn in a real run; then drawn anew from its metrics, fast and without torch."""

import json
import os
import resource
import subprocess

import pytest
from PIL import Image

from lskd import tables

FOLDER = "results/figures/demo/kinds"


def look(path) -> tuple[int, int, str]:
    """A picture's smaller side in pixels, how many colours it has, and the spec that it was made for."""
    with Image.open(path) as picture:
        spec = json.loads(picture.text["Description"])["spec"]
        return min(picture.size), len(picture.convert("RGB").getcolors(1 << 24)), spec


@pytest.mark.parametrize("kind", tables.FIGURES)
def test_drawn_and_drawn_again_alike_in_under_three_seconds_without_torch(every_kind, laptop, tmp_path, kind):
    side, colours, spec = look(every_kind.folder / FOLDER / f"the_{kind}.png")
    assert side > 200 and colours > 10
    metrics = every_kind.folder / f"results/metrics/demo/kinds/the_{kind}"
    command = [laptop, "-m", "lskd.figures.render", "--spec", spec, "--out", tmp_path / f"the_{kind}", "--frames"]
    command += [metrics / f"{family}.parquet" for family in tables.FIGURES[kind].families]
    assert min(cpu_seconds(command, every_kind.folder) for _ in range(2)) < 3
    for ending in ("svg", "csv", "md", "tex", "html"):
        name = f"the_{kind}.{ending}"
        assert (tmp_path / name).read_bytes() == (every_kind.folder / FOLDER / name).read_bytes()
    assert subprocess.run([laptop, "-c", "import torch"], capture_output=True).returncode != 0


def cpu_seconds(command, folder) -> float:
    """Processor time of a command: a busy machine takes no more of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
