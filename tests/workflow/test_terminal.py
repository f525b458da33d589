"""What a user of a plain `snakemake` sees, and what it leaves alone."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.workflow.conftest import ENVIRONMENT, Tree, leftovers
from tests.workflow.edits import inserted, put, put_back, replaced


def errors(text):
    """The lines that say what went wrong."""
    return [line for line in text.splitlines() if line.startswith("error:")]


def listing(folder):
    """Every file and folder with its size and time, but for bytecode."""
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths}


def test_a_whole_run_says_little(finished):
    lines = (finished.folder / "output.txt").read_text().splitlines()
    assert len(lines) <= 40
    assert "20 jobs to do" in lines
    assert lines[-1].startswith("20 of 20 jobs done in ")
    assert leftovers(finished) == []


def test_nothing_to_do_is_said_in_a_line_or_two(finished):
    assert len(finished.run().splitlines()) <= 2


def test_snakemakes_own_words_are_one_option_away(finished):
    text = finished.run("--dry-run", "--quiet", "host", "--", "grid", "stability")
    assert "Nothing to be done" in text
    with put_back(finished.folder, "lskd"):
        inserted("lskd/figures/grid.py", "draw")(finished.folder)
        text = finished.run("--dry-run", "--quiet", "host", "--", "grid")
        assert re.search(r"^rule figure:$", text, re.MULTILINE)
        assert "This was a dry-run" in text
        short = finished.run("--dry-run")
        assert "rule figure" not in short
        assert "1 job to do" in short
        assert "lskd/figures/grid.py:draw changed" in short


@pytest.mark.parametrize("edit", ["none", "of a figure", "of everything"])
def test_a_dry_run_writes_nothing(finished, edit):
    """Only Snakemake's own empty folder of locks and its log come: it makes them before a Snakefile is read."""
    with put_back(finished.folder, "lskd", ".snakemake"):
        if edit == "of a figure":
            inserted("lskd/figures/grid.py", "draw")(finished.folder)
        elif edit == "of everything":
            inserted("lskd/data/digits.py", "load")(finished.folder)
        before = listing(finished.folder)
        finished.run("--dry-run")
        after = listing(finished.folder)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if ".snakemake" not in str(path)} == set()


def test_a_failing_job_says_its_line_and_the_others_go_on(finished):
    """One of the two teachers diverges: its line stands on the terminal, and what does not need it is made."""
    with put_back(finished.folder, "config.yaml", "results"):
        put("recipes", "one", "lr", 1e6)(finished.folder)
        done = finished.snakemake()
        assert done.returncode != 0
        lines = errors(done.stdout)
        assert len(lines) == 2  # a line for each of the two trainings
        assert all("lower its recipe's lr" in line for line in lines)
        assert "Traceback" not in done.stdout
        assert len(done.stdout.splitlines()) <= 40
        assert "0 of 19 jobs done" in done.stdout


def test_code_edited_while_a_job_waits_stops_it(finished):
    """On a cluster files get edited while jobs wait: a job checks that its code is the code it was planned with."""
    with put_back(finished.folder, "lskd", "results"):
        inserted("lskd/figures/grid.py", "draw")(finished.folder)
        folder = finished.tell_jobs("grid")["figure grid"]
        replaced("lskd/figures/grid.py", "hash(1) == 2", "hash(1) == 3")(finished.folder)
        command = [sys.executable, "-m", "lskd.jobs.run", str(folder / "figure.log")]
        done = subprocess.run(command, cwd=finished.folder, text=True, capture_output=True, env=ENVIRONMENT)
        assert done.returncode == 1
        assert errors(done.stderr) == [
            "error: demo/tiny/grid: the code changed since this job was planned (lskd/figures/grid.py:draw); run again"
        ]
        assert not (folder / "record.json").exists()
        (folder / "figure.log").unlink()
        folder.rmdir()


def test_code_edited_within_a_run_stops_it(finished):
    """The same through Snakemake: `python` edits the code before each job."""
    with put_back(finished.folder, "lskd", "results"):
        inserted("lskd/figures/grid.py", "draw")(finished.folder)
        sed = "sed -i 's/hash(1) == 2/hash(1) == 3/' lskd/figures/grid.py"
        shim = finished.folder / "bin/python"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\n{sed}\nexec {sys.executable} "$@"\n')
        shim.chmod(0o755)
        common = finished.folder / "workflow/rules/common.smk"
        text = common.read_text()
        common.write_text(f'{text}\nimport os\n\nos.environ["PATH"] = f"{shim.parent}:" + os.environ["PATH"]\n')
        done = finished.snakemake("grid")
        common.write_text(text)
        shim.unlink()
        shim.parent.rmdir()
        assert done.returncode != 0
        (line,) = errors(done.stdout)
        assert "the code changed since this job was planned (lskd/figures/grid.py:draw); run again" in line


@pytest.mark.parametrize("place", ["results", "figures"])
def test_results_that_may_not_be_written(finished, tmp_path, place):
    """One line. Root may write anywhere but where the kernel forbids it, such as /sys/kernel."""
    (tmp_path / "tree").mkdir()
    tree = Tree(tmp_path / "tree", finished.folder)
    shutil.copytree(finished.folder / "results", tree.folder / "results")
    locked = "/sys/kernel" if not os.getuid() else str(tmp_path / "locked")
    if os.getuid():
        (tmp_path / "locked").mkdir(mode=0o555)
    if place == "results":
        (tree.folder / "results").rename(tmp_path / "elsewhere")
        (tree.folder / "results").symlink_to(locked)
    else:
        for path in (tree.folder / "results/figures/demo/tiny").iterdir():
            path.unlink()
        (tree.folder / "results/figures/demo/tiny").rmdir()
        (tree.folder / "results/figures/demo/tiny").symlink_to(locked)
    done = tree.snakemake()
    assert done.returncode != 0
    (line,) = errors(done.stdout)
    assert "cannot be written" in line
    assert "Traceback" not in done.stdout


def test_a_result_is_made_by_its_path(finished, tmp_path):
    (tmp_path / "tree").mkdir()
    tree = Tree(tmp_path / "tree", finished.folder)
    shutil.copytree(finished.folder / "results", tree.folder / "results")
    (weights,) = tree.folder.glob("results/runs/digits/mlp-w8/one/ls0/seed0-*/model.safetensors")
    before = weights.read_bytes()
    weights.unlink()
    text = tree.run(str(weights.relative_to(tree.folder)))
    assert "1 training on labels: model.safetensors is gone" in text
    assert weights.read_bytes() == before
