"""A copy of the tree with a tiny finished study, and how to ask Snakemake what it would do there."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

from lskd import tables

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "envs", "lskd", "profiles", "workflow")
TINY = {
    "study": "tiny",
    "name": "A tiny study",
    "seeds": [0],
    "data": "digits",
    "recipes": {
        "one": {"epochs": 1, "crop_padding": 1},
        "two": {"epochs": 2, "crop_padding": 1},
    },
    "teachers": {"t": {"model": {"name": "mlp", "width": 8}, "recipe": "one", "label_smoothing": [0.0, 0.1]}},
    "students": {
        "s": {"teacher": "t", "model": {"name": "plain_cnn", "width": 2}, "recipe": "two", "temperature": [1, 3]}
    },
    "figures": {"grid": {"kind": "grid"}, "stability": {"kind": "stability", "groups": ["t"]}},
    "runtime": {"device": "cpu"},
}
LOOKS = {  # what a kind needs beside its name
    "clusters": {"groups": ["t"], "classes": ["3", "9", "6"]},
    "information": {"groups": ["p"], "classes": ["3", "8"]},
    "projection": {"groups": ["t", "s"], "classes": ["3", "9", "6"]},
    "projection_muller": {"groups": ["t"], "classes": ["3", "9", "6"]},
    "soft_targets": {"groups": ["t"], "classes": ["3"], "temperatures": [1, 4, 10]},
    "curves": {"groups": ["s"]},
    "diffusion": {"groups": ["s"]},
    **{
        kind: {"groups": ["t"]}
        for kind in ("complexity", "inter_stability", "probabilities", "reliability", "stability")
    },
    **{kind: {"groups": ["t", "s"]} for kind in ("calibration_table", "gamma_curve", "grid", "verdict")},
}
KINDS = TINY | {
    "study": "kinds",
    "recipes": TINY["recipes"] | {"kept": {"epochs": 1, "snapshot_epochs": [0, 1]}},
    "teachers": TINY["teachers"] | {"p": {"model": {"name": "mlp", "width": 8}, "recipe": "kept"}},
    "baselines": {"alone": {"model": {"name": "plain_cnn", "width": 2}, "recipe": "two", "label_smoothing": [0.0]}},
    "figures": {f"the_{kind}": {"kind": kind} | LOOKS.get(kind, {}) for kind in tables.FIGURES},
}


class Tree:
    """A checkout of its own in which a test may edit, plan and run."""

    def __init__(self, folder: Path):
        self.folder = folder
        for part in PARTS:
            source = ROOT / part
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / part, follow_symlinks=False)

    def configure(self, study: dict) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(study, sort_keys=False))

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
        )

    def run(self, *arguments: str, **environment: str) -> str:
        done = self.snakemake(*arguments, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned(self, *arguments: str) -> set[str]:
        """The jobs that a dry run plans, each as "rule run-or-figure"; targets without output are left out."""
        text = self.run("--dry-run", *arguments)
        jobs = re.findall(r"^(?:local)?rule (\w+):\n(?:    input:.*\n)?    output: ([^\n]+)$", text, re.MULTILINE)
        return {f"{rule} {_short(output.split(', ')[0])}".strip() for rule, output in jobs}


def _short(output: str) -> str:
    """results/digits/mlp-w8/one/ls0.1/seed0/kd/plain_cnn-w2/two/T3/seed0/model.safetensors -> ls0.1/0 T3."""
    run = re.search(r"/(ls[^/]+)/seed(\d+)(?:/kd/.*/(T[^/]+)/seed\d+)?/", output)
    if run:
        alpha, seed, temperature = run.groups()
        return f"{alpha}/{seed}" + (f" {temperature}" if temperature else "")
    measured = re.search(r"results/metrics/\w+/[^/]+/([^/]+)/(\w+)\.parquet", output)
    if measured:
        return " ".join(measured.groups())
    drawn = re.search(r"results/(?:figures|metrics)/\w+/[^/]+/([^/.]+)", output)
    return drawn.group(1) if drawn else ""


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Tree:
    """The tiny study, run to its end. Tests that edit it put everything back."""
    tree = Tree(tmp_path_factory.mktemp("finished"))
    tree.configure(TINY)
    tree.run()
    assert tree.planned() == set()
    return tree


@pytest.fixture(scope="session")
def laptop(tmp_path_factory) -> Path:
    """The python of an environment made from envs/figures.txt alone."""
    folder = tmp_path_factory.mktemp("laptop")
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", ROOT / "envs/figures.txt"]
    subprocess.run(command, check=True)
    return python


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory) -> Tree:
    """A tiny study with one figure of each kind, run to its end."""
    tree = Tree(tmp_path_factory.mktemp("kinds"))
    tree.configure(KINDS)
    tree.run()
    return tree
