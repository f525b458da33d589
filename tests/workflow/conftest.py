"""A copy of the tree with a tiny finished study, and how to ask what there would be to do there."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest
import yaml

from lskd.study import registry

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "envs", "lskd", "profiles", "workflow")
NO_CLUSTER = ROOT / "tests/no_cluster"
ENVIRONMENT = {
    **os.environ,
    "PYTHONDONTWRITEBYTECODE": "",
    "PATH": os.pathsep.join([str(NO_CLUSTER), os.environ["PATH"]]),
}
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
SHORT = TINY | {  # one teacher, one student, one figure: 8 jobs, which `finished` has but for the last two
    "teachers": {"t": TINY["teachers"]["t"] | {"label_smoothing": [0.1]}},
    "students": {"s": TINY["students"]["s"] | {"temperature": [3]}},
    "figures": {"short": {"kind": "grid"}},
}
LOOKS = {  # what a kind needs beside its name
    "clusters": {"groups": ["t"], "classes": ["3", "9", "6"]},
    "information": {"groups": ["p"], "classes": ["3", "8"]},
    "projection": {"groups": ["t", "s"], "classes": ["3", "9", "6"]},
    "projection_muller": {"groups": ["t"], "classes": ["3", "9", "6"]},
    "soft_targets": {"groups": ["t"], "classes": ["3"], "temperatures": [1, 4, 10]},
    "curves": {"groups": ["s"]},
    "settings": {"groups": ["alone", "virtual", "early"]},
    "best_smoothing": {"groups": ["t", "virtual"]},
    "diffusion": {"groups": ["s"]},
    **{
        kind: {"groups": ["t"]}
        for kind in ("complexity", "inter_stability", "probabilities", "reliability", "stability")
    },
    **{kind: {"groups": ["t", "s"]} for kind in ("calibration_table", "gamma_curve", "grid", "verdict")},
}
OF_IMAGES = [kind for kind, figure in registry.FIGURES.items() if registry.IMAGES in figure.tasks]
ALL = ["alone", "p", "s", "t"]  # whose runs differ in nothing but labels, T and network
VIRTUAL = {"model": {"name": "mlp", "width": 8}, "recipe": "one", "supervision": "tf_kd_reg", "temperature": [20]}
EARLY = TINY["students"]["s"] | {  # taught by a network as it began, with smoothed labels beside
    "teacher": "p",
    "temperature": [3],
    "teacher_epoch": [0],
    "soft_weight": [0.5],
    "hard_smoothing": 0.1,
}
KINDS = TINY | {
    "study": "kinds",
    "recipes": TINY["recipes"] | {"kept": {"epochs": 1, "snapshot_epochs": [0, 1]}},
    "teachers": TINY["teachers"] | {"p": {"model": {"name": "mlp", "width": 8}, "recipe": "kept"}},
    "baselines": {
        "alone": {"model": {"name": "plain_cnn", "width": 2}, "recipe": "two", "label_smoothing": [0.0]},
        "virtual": VIRTUAL,
    },
    "students": TINY["students"] | {"early": EARLY},
    "figures": {f"the_{kind}": {"kind": kind, "groups": ALL} | LOOKS.get(kind, {}) for kind in OF_IMAGES},
}


UNFINISHED = shutil.ignore_patterns("*.pyc.*", ".*.tmp")  # of bytecode, which saves each copy some seconds


class Tree:
    """A checkout of its own in which a test may edit, plan and run: a copy of this one, or of another tree."""

    def __init__(self, folder: Path, of: Path = ROOT):
        self.folder = folder
        for part in PARTS:
            source = of / part
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, folder / part, ignore=UNFINISHED)
            else:
                shutil.copy2(source, folder / part, follow_symlinks=False)

    def configure(self, study: dict) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(study, sort_keys=False))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """A `snakemake` that runs; it and all that it starts are a session of their own."""
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**ENVIRONMENT, **environment},
            start_new_session=True,
        )

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def run(self, *arguments: str, **environment: str) -> str:
        done = self.snakemake(*arguments, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned(self, *targets: str, config: dict[str, str] | None = None) -> set[str]:
        """The jobs that a dry run of Snakemake's plans, by their short names."""
        settings = ["--config", *(f"{key}={value}" for key, value in config.items())] if config else []
        return jobs_of(self.run("--dry-run", *settings, "--quiet", "host", "--", *targets))

    def pending(self, *targets: str, config: dict | None = None) -> set[str]:
        """The same jobs planned without Snakemake, in a fraction of the time."""
        return {short(stage, title) for stage, title, _ in self._planned(targets, config or {}, False)}

    def tell_jobs(self, *targets: str) -> dict[str, Path]:
        """Tell each job that is to do what to make, as a run does first; where its result lies, by short name."""
        jobs = self._planned(targets, {}, True)
        return {short(stage, title): self.folder / folder for stage, title, folder in jobs}

    def refused(self) -> str:
        """Why there is no plan, in the words of the one line that Snakemake would end with."""
        answer = self._answer((), {}, False)
        assert "error" in answer, answer
        return answer["error"]

    def _planned(self, targets: tuple[str, ...], config: dict, write: bool) -> list[tuple[str, str, str]]:
        answer = self._answer(targets, config, write)
        assert "error" not in answer, answer["error"]
        return answer["jobs"]

    def _answer(self, targets: tuple[str, ...], config: dict, write: bool) -> dict:
        assert self._planner.stdin and self._planner.stdout
        print(json.dumps({"targets": targets, "config": config, "write": write}), file=self._planner.stdin, flush=True)
        return json.loads(self._planner.stdout.readline())

    @cached_property
    def _planner(self) -> subprocess.Popen[str]:
        command = [sys.executable, Path(__file__).with_name("pending.py")]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, text=True, stdin=pipe, stdout=pipe, env=ENVIRONMENT)

    def close(self) -> None:
        """End the process that plans, if there is one."""
        if "_planner" in vars(self):
            self._planner.communicate()

    def results(self, pattern: str) -> list[Path]:
        """The files or folders of results that match, of which there must be one at least."""
        paths = sorted((self.folder / "results").glob(pattern))
        assert paths, f"results/{pattern}: none"
        return paths


def jobs_of(text: str) -> set[str]:
    """The short names of the jobs that Snakemake lists in full."""
    jobs = re.findall(
        r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    wildcards: job=(\S+)-[0-9a-f]{10}$", text, re.MULTILINE
    )
    return {short(rule, title) for rule, title in jobs}


def short(stage: str, title: str) -> str:
    """A job in few words: "train ls0.1/0", "train ls0.1/0 T3" for a student, "metrics grid accuracy", "data"."""
    if stage == "data":
        return "data"
    if stage in ("metrics", "figure"):
        return " ".join([stage, *title.split("/")[2:]])
    how, seed = title.split("/")[3:5]
    student = re.fullmatch(r"(?:kd-)?(T.+?|logit_mse.*?)-from-.+?-(ls[^/]+)", how)
    name = f"{student.group(2) if student else how}/{seed.removeprefix('seed')}"
    return f"{stage} {name} {student.group(1)}" if student else f"{stage} {name}"


def published(tree: Tree, pattern: str = "*") -> dict[str, bytes]:
    """The figures of the tiny study that people open by name."""
    return {path.name: path.read_bytes() for path in tree.results(f"figures/demo/tiny/{pattern}")}


def measured(tree: Tree) -> dict[str, bytes]:
    """Every file of metrics, by where it lies."""
    paths = tree.results("metrics/**/metrics.parquet")
    return {str(path.relative_to(tree.folder)): path.read_bytes() for path in paths}


def leftovers(tree: Tree) -> list[str]:
    """What no run that came to its end leaves in its results."""
    results = tree.folder / "results"
    patterns = ("**/.*.tmp", "**/checkpoint.pt*", ".jobs/*", ".running/*", ".running/.*")
    return sorted(str(path.relative_to(results)) for pattern in patterns for path in results.glob(pattern))


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
def every_kind(tmp_path_factory) -> Iterator[Tree]:
    """A tiny study with one figure of each kind, run to its end."""
    tree = Tree(tmp_path_factory.mktemp("kinds"))
    tree.configure(KINDS)
    tree.run()
    assert tree.pending() == set()
    yield tree
    tree.close()
