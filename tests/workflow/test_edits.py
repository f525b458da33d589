"""What makes a job stale, and nothing else does: each edit with the exact set of jobs that Snakemake then plans."""

import ast
import copy
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xxhash
import yaml

from tests.workflow.conftest import TINY

FIGURES = {"metrics grid accuracy", "figure grid", "metrics stability stability", "metrics stability accuracy"}
FIGURES |= {"figure stability"}
GRID = {"metrics grid accuracy", "figure grid"}
SPLITS = ("train", "test")  # of which stability is measured
PLANS = {"plan grid", "plan stability"}


def teacher(alpha, seed=0):
    """A teacher, its dump and the views that its students read."""
    return {f"{rule} ls{alpha}/{seed}" for rule in ("train", "dump", "views")}


def student(alpha, temperature, seed=0):
    """A student and its dump."""
    return {f"{rule} ls{alpha}/{seed} T{temperature}" for rule in ("distill", "dump")}


ALL_STUDENTS = student("0", 1) | student("0", 3) | student("0.1", 1) | student("0.1", 3)
SMOOTHED = teacher("0.1") | student("0.1", 1) | student("0.1", 3)
EVERYTHING = teacher("0") | SMOOTHED | student("0", 1) | student("0", 3) | FIGURES


def replaced(path, old, new):
    """An edit of one file's text, which must stand there exactly once."""

    def edit(root: Path):
        text = (root / path).read_text()
        assert text.count(old) == 1, f"{path}: {old!r} stands {text.count(old)} times"
        (root / path).write_text(text.replace(old, new))

    return edit


def inserted(path, function, line):
    """An edit that puts a statement first in a function's body."""

    def edit(root: Path):
        tree = ast.parse((root / path).read_text())
        found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
        found.body[1:1] = ast.parse(line).body  # after the docstring
        (root / path).write_text(ast.unparse(tree))

    return edit


def reformatted(path):
    """An edit that drops all comments and changes the layout: what ast.unparse makes of the file."""
    return lambda root: (root / path).write_text(ast.unparse(ast.parse((root / path).read_text())))


def configured(change):
    """An edit of the config."""

    def edit(root: Path):
        study = copy.deepcopy(TINY)
        study = change(study) or study
        (root / "config.yaml").write_text(yaml.safe_dump(study, sort_keys=False))

    return edit


def put(*path_and_value):
    """A config edit: put(key, key, ..., value)."""
    *path, last, value = path_and_value

    def change(study):
        place = study
        for key in path:
            place = place[key]
        place[last] = value

    return configured(change)


def touched(pattern):
    """An edit that gives files a new time."""
    return lambda root: [os.utime(path) for path in root.glob(pattern)]


def copied_in(pattern):
    """An edit that replaces files by copies of themselves."""

    def edit(root: Path):
        for path in root.glob(pattern):
            shutil.copyfile(path, path.with_suffix(".copy"))
            path.with_suffix(".copy").replace(path)

    return edit


def byte_changed(pattern):
    """An edit that flips one bit in the middle of each file."""

    def edit(root: Path):
        for path in root.glob(pattern):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)

    return edit


RUN = "results/digits/mlp-w8/one/ls0.1/seed0"
LOGITS = f"{RUN}/logits/test.parquet"
VIEWS = f"{RUN}/logits/views2-*.parquet"


def reordered(study):
    """The same study, told in another order."""
    study = dict(reversed(study.items()))
    study["teachers"]["t"] = dict(reversed(study["teachers"]["t"].items())) | {"label_smoothing": [0.1, 0.0]}
    study["students"]["s"]["temperature"] = [3, 1]
    return study


EDITS = {
    "a comment": (replaced("lskd/losses.py", "def kd(", "# said\ndef kd("), set()),
    "a docstring": (replaced("lskd/train.py", '"""The one training loop', '"""One loop'), set()),
    "a touch of code": (touched("lskd/**/*.py"), set()),
    "a touch of rules": (touched("workflow/rules/*.smk"), set()),
    "a reformat of the losses": (reformatted("lskd/losses.py"), set()),
    "a reformat of the training": (reformatted("lskd/train.py"), set()),
    "another order of keys and lists": (configured(reordered), set()),
    "another name of the study": (put("name", "Renamed"), set()),
    "another number of workers": (put("runtime", {"device": "cpu", "workers": 7}), set()),
    "another number of threads": (put("runtime", {"device": "cpu", "threads": 2}), set()),
    "a new option left at its default": (
        replaced(
            "lskd/config.py", "    nesterov: bool = False\n", "    nesterov: bool = False\n    new: bool = False\n"
        ),
        set(),
    ),
    "an edit of a model that no run uses": (
        inserted("lskd/models/resnet_cifar.py", "resnet8", "print('resnet')"),
        set(),
    ),
    "a new alpha": (
        put("teachers", "t", "label_smoothing", [0.0, 0.1, 0.2]),
        teacher("0.2") | student("0.2", 1) | student("0.2", 3) | PLANS | FIGURES,
    ),
    "a new T": (
        put("students", "s", "temperature", [1, 2, 3]),
        student("0", 2) | student("0.1", 2) | {"plan grid"} | GRID,
    ),
    "one more seed": (
        put("seeds", [0, 1]),
        teacher("0", 1)
        | teacher("0.1", 1)
        | PLANS
        | FIGURES
        | {job for alpha in ("0", "0.1") for T in (1, 3) for job in student(alpha, T, 1)},
    ),
    "the body of the KD loss": (inserted("lskd/losses.py", "kd", "temperature = temperature + 0"), ALL_STUDENTS | GRID),
    "the smoothing loss": (
        inserted("lskd/losses.py", "smoothed_cross_entropy", "label_smoothing = label_smoothing + 0"),
        SMOOTHED | FIGURES,
    ),
    "the hard loss": (
        inserted("lskd/losses.py", "cross_entropy", "labels_n = labels_n + 0"),
        None,  # see test_shared_code
    ),
    "the student's model file": (
        inserted("lskd/models/plain_cnn.py", "plain_cnn", "print('student')"),
        ALL_STUDENTS | GRID,
    ),
    "the teacher's model file": (inserted("lskd/models/mlp.py", "mlp", "print('teacher')"), EVERYTHING),
    "one metric's body": (
        inserted("lskd/metrics/stability.py", "measure", "runs = list(runs)"),
        {"metrics stability stability", "figure stability"},
    ),
    "a metric that two figures show": (
        inserted("lskd/metrics/accuracy.py", "measure", "runs = list(runs)"),
        GRID | {"metrics stability accuracy", "figure stability"},
    ),
    "a figure's style": (inserted("lskd/figures/grid.py", "draw", "options = dict(options)"), {"figure grid"}),
    "how pictures are written": (
        inserted("lskd/figures/render.py", "render", "pass"),
        {"figure grid", "figure stability"},
    ),
    "the dump": (
        inserted("lskd/dump.py", "dump", "pass"),
        {job for job in EVERYTHING if job.startswith("dump")} | FIGURES,
    ),
    "the stored views": (
        inserted("lskd/views.py", "views", "pass"),
        {"views ls0/0", "views ls0.1/0"} | ALL_STUDENTS | GRID,
    ),
    "the loader of the data": (inserted("lskd/data/digits.py", "load", "pass"), {"data"} | EVERYTHING),
    "the teachers' recipe": (put("recipes", "one", "lr", 0.05), EVERYTHING | PLANS),
    "the students' recipe": (put("recipes", "two", "lr", 0.05), ALL_STUDENTS | GRID | {"plan grid"}),
    "a figure's own option": (
        put("figures", "grid", {"kind": "grid", "classes": ["3"]}),
        {"metrics grid accuracy", "figure grid"},
    ),
    "a picture deleted": (lambda root: (root / "results/figures/demo/tiny/grid.svg").unlink(), {"figure grid"}),
    "a logits file touched": (touched(LOGITS), set()),
    "a views file touched": (touched(VIEWS), set()),
    "weights touched": (touched(f"{RUN}/*.safetensors"), set()),
    "a logits file copied in with the same content": (copied_in(LOGITS), set()),
    "a views file copied in with the same content": (copied_in(VIEWS), set()),
    "a logits file with one bit changed": (byte_changed(LOGITS), FIGURES),
    "a views file with one bit changed": (byte_changed(VIEWS), student("0.1", 1) | student("0.1", 3) | GRID),
}
EDITS.pop("the hard loss")


@contextmanager
def put_back(root: Path):
    """Give everything that an edit may change back its content and its times."""
    kept = root.parent / "kept"
    folders = ("lskd", "workflow", "results", ".snakemake")
    for folder in folders:
        shutil.copytree(root / folder, kept / folder)
    shutil.copy2(root / "config.yaml", kept / "config.yaml")
    try:
        yield
    finally:
        for folder in folders:
            shutil.rmtree(root / folder)
            shutil.move(kept / folder, root / folder)
        shutil.move(kept / "config.yaml", root / "config.yaml")
        shutil.rmtree(kept)


@pytest.mark.parametrize("edit", EDITS)
def test_edit_plans_exactly(finished, edit):
    change, expected = EDITS[edit]
    with put_back(finished.folder):
        change(finished.folder)
        assert finished.planned() == expected


def test_every_edit_taken_back_plans_nothing(finished):
    sources = [path for part in ("lskd", "config.yaml") for path in [finished.folder / part]]
    files = [file for source in sources for file in ([source] if source.is_file() else source.rglob("*.py"))]
    with put_back(finished.folder):
        before = {file: file.read_bytes() for file in files}
        for change, _ in EDITS.values():
            if not change.__qualname__.startswith(("touched", "copied_in", "byte_changed", "<lambda>")):
                try:
                    change(finished.folder)
                finally:
                    for file, content in before.items():
                        file.write_bytes(content)
        assert finished.planned() == set()


def test_alpha_and_temperature_swapped_between_two_runs(finished):
    """Snakemake compares params as a set of values; a run's spec is one string, and its path carries both."""
    with put_back(finished.folder):
        finished.configure(_crossed(alpha=0.5, temperature=0.25))
        finished.run()
        finished.configure(_crossed(alpha=0.25, temperature=0.5))
        assert {"train ls0.25/0", "distill ls0.25/0 T0.5"} <= finished.planned()


def _crossed(alpha, temperature):
    study = copy.deepcopy(TINY)
    study["teachers"]["t"]["label_smoothing"] = [alpha]
    study["students"]["s"]["temperature"] = [temperature]
    return study


def test_a_changed_byte_is_told_at_reading(finished):
    with put_back(finished.folder):
        byte_changed(LOGITS)(finished.folder)
        done = finished.snakemake("stability")
        assert done.returncode != 0
        told = [line for line in done.stdout.splitlines() if line.startswith("error:")]
        assert told
        assert all("logits/test.parquet" in line for line in told)
        assert "Traceback" not in done.stdout


def test_logits_of_another_run_are_told_at_reading(finished):
    with put_back(finished.folder):
        other = finished.folder / LOGITS.replace("ls0.1", "ls0")
        shutil.copyfile(other, finished.folder / LOGITS)
        done = finished.snakemake("stability")
        assert done.returncode != 0
        assert "another run" in done.stdout


def test_code_edited_while_a_job_waits_stops_it(finished):
    """On a cluster files get edited while jobs wait: a step checks that its code is the code it was planned with."""
    with put_back(finished.folder):
        inserted("lskd/losses.py", "kd", "temperature = temperature + 0")(finished.folder)
        waiting = (
            'sed -i "s/temperature = temperature + 0/temperature = temperature * 1/" lskd/losses.py; exec python "$@"'
        )
        (finished.folder / "python").write_text(f"#!/bin/sh\n{waiting}\n")
        (finished.folder / "python").chmod(0o755)
        rule = finished.folder / "workflow/rules/train.smk"
        rule.write_text(rule.read_text().replace('"python -m lskd.distill', '"./python -m lskd.distill'))
        done = finished.snakemake("grid")
        (finished.folder / "python").unlink()
        assert done.returncode != 0
        assert "the code changed from" in done.stdout


def test_a_published_number_edited_draws_its_papers_figures_again(finished):
    with put_back(finished.folder):
        note = "note: shen2021_fig3: a paper's study, which --config name does not touch"
        assert note in finished.run("shen2021_fig3", "--config", "name=Renamed")
        assert finished.planned("shen2021_fig3") == set()
        replaced("lskd/papers/shen2021.yaml", "paper: ", "paper:  ")(finished.folder)
        assert finished.planned("shen2021_fig3", "grid", "stability") == {"figure fig3"}


def test_metrics_name_the_digest_of_every_file_they_were_made_of(finished):
    table = pq.read_table(finished.folder / "results/metrics/demo/tiny/stability/stability.parquet")
    named = json.loads(json.loads(table.schema.metadata[b"lskd"])["inputs"])
    plan = finished.folder / "results/metrics/demo/tiny/stability/runs.json"
    assert named.pop("plan") == xxhash.xxh3_128(plan.read_bytes()).hexdigest()
    files = {f"digits/mlp-w8/one/ls{alpha}/seed0/logits/{split}.parquet" for alpha in (0, 0.1) for split in SPLITS}
    assert set(named) == files
    for file, digest in named.items():
        assert digest == xxhash.xxh3_128((finished.folder / "results" / file).read_bytes()).hexdigest()
