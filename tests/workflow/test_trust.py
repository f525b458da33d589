"""`trust=code`: figures from metrics that other code made, without torch, with a note of what changed since."""

import os
import re
import shutil
import subprocess

import pytest

from tests.workflow.conftest import ROOT, Tree

RESULTS = ROOT / "docs/results/fashion_mnist/full"


FIGURES = ("grid", "projection", "diffusion", "reliability", "stability")  # a verdict reads what was not kept then


@pytest.fixture(scope="module")
def message(laptop, tmp_path_factory):
    """A copy of the tree with the committed metrics alone, and what a laptop's snakemake says there."""
    tree = Tree(tmp_path_factory.mktemp("trust"))
    shutil.copytree(RESULTS / "metrics", tree.folder / "results/metrics/small/ls_kd")

    def run(*arguments):
        command = [laptop, "-m", "snakemake", *arguments]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
        done = subprocess.run(command, cwd=tree.folder, capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout + done.stderr

    return tree, run


def test_the_figures_whose_metrics_are_committed_render_on_a_laptop(message):
    tree, run = message
    code, text = run(*FIGURES, "--config", "scale=small", "trust=code")
    assert code == 0, text
    assert "5 jobs to do\n  5 figures: new" in text
    (note,) = [line for line in text.splitlines() if line.startswith("note: trust=code")]
    assert "7 results made by other code (commit 6cdeecdca753, 6d692c2c4dd8) stand for today's" in note
    assert re.search(r"since then: lskd/\S+ changed; .*; and \d+ more", note)
    for name in FIGURES:
        drawn = tree.folder / "results/figures/small/ls_kd" / f"{name}.csv"
        assert drawn.read_bytes() == (RESULTS / drawn.name).read_bytes(), name
        assert drawn.with_suffix(".svg").stat().st_size > 10_000


def test_without_trust_the_same_metrics_do_not_stand(message):
    _, run = message
    code, text = run("--dry-run", "--config", "scale=small")
    assert code == 0, text
    assert "20 trainings on labels" in text or "30 trainings on labels" in text
    assert "trust=code" not in text


def test_another_trust_is_told(message):
    _, run = message
    code, text = run("--dry-run", "--config", "trust=all")
    assert code != 0
    assert "error: trust: found 'all'; trust=code accepts results of other code" in text
