"""Faults on one machine: how many trials, and what a fault must not have changed.

LSKD_CHAOS=full does the trials of docs/reliability.md; without it there are a few of each.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from lskd.io.layout import ROOMS
from lskd.io.seal import read_record
from tests.workflow.conftest import ENVIRONMENT, LOOKS, SHORT, TINY, Tree, leftovers

FULL = os.environ.get("LSKD_CHAOS") == "full"
JUDGED = TINY | {"figures": TINY["figures"] | {"verdict": {"kind": "verdict"} | LOOKS["verdict"]}}
MADE = ("runs", "predictions", "teacher_logits", "metrics", "drawn", "figures")  # all but the data
OF_STUDENT = ("runs/**/kd-*", "predictions/**/kd-*", "metrics", "drawn", "figures")  # of the short study
Contents = dict[str, dict[str, str]]


def trials(few: int, full: int) -> int:
    """How many trials of a fault there are."""
    return full if FULL else few


def contents(tree: Tree) -> Contents:
    """The digest of each file of each result, by its folder; the records themselves hold times and seconds."""
    results = tree.folder / "results"
    folders = [record.parent for room in ROOMS.values() for record in sorted((results / room).rglob("record.json"))]
    return {str(folder.relative_to(results)): read_record(folder)["files"] for folder in folders}


def equals(tree: Tree, undisturbed: Tree) -> None:
    """Assert that a tree has the results of another byte for byte, each whole, and the same published figures."""
    verified(tree)
    assert contents(tree) == contents(undisturbed)
    assert all_published(tree) == all_published(undisturbed)


def all_published(tree: Tree) -> dict[str, bytes]:
    """Every published file, by where it lies."""
    figures = tree.folder / "results/figures"
    return {str(path.relative_to(figures)): path.read_bytes() for path in sorted(figures.rglob("*")) if path.is_file()}


def lskd(tree: Tree, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m lskd` in a tree."""
    command = [sys.executable, "-m", "lskd", *arguments]
    return subprocess.run(command, cwd=tree.folder, text=True, capture_output=True, env=ENVIRONMENT)


def verified(tree: Tree) -> str:
    """What `python -m lskd verify` says, which must find nothing wrong."""
    done = lskd(tree, "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def start(tree: Tree, *arguments: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
    """`snakemake` in a session of its own, which writes to output.txt, as jobs that outlive it do."""
    with (tree.folder / "output.txt").open("a") as output:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "snakemake", *arguments],
            cwd=tree.folder,
            text=True,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**ENVIRONMENT, **environment},
            start_new_session=True,
        )


def jobs_in(tree: Tree) -> list[psutil.Process]:
    """The processes of jobs that run in a tree, whoever started them: a server and its forks, or who waits."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_of_job = any("lskd.jobs.run" in part or "lskd.jobs.forkserver" in part for part in process.cmdline())
            if is_of_job and process.cwd() == str(tree.folder):
                processes.append(process)
    return processes


def kill(process: psutil.Process) -> bool:
    """SIGKILL; False where it was dead."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


# Ctrl-C as a Python begins or ends, in no function of lskd
BY_PYTHON = re.compile(r"Traceback .*\n(  (?!.*/lskd/.* in (?!<module>)).*\n)*KeyboardInterrupt:? ?\n")


def errors_of(output: str) -> list[str]:
    """The lines that tell a fault, after no traceback was seen but of `BY_PYTHON`."""
    said = output.replace(
        "Terminating processes on user request, this might take some time.", ""
    )  # maybe within a line
    assert "Traceback" not in BY_PYTHON.sub("", re.sub(r"\n\n+", "\n", said)), output
    return [line for line in output.splitlines() if line.startswith("error:")]


@pytest.fixture(scope="session")
def short(finished, tmp_path_factory) -> Iterator[Tree]:
    """The short study of 8 jobs, run to its end without a fault. Tests leave it as it is, and copy it."""
    tree = Tree(tmp_path_factory.mktemp("short"), finished.folder)
    tree.configure(SHORT)
    folders = [folder.relative_to(tree.folder) for folder in tree.tell_jobs().values()]
    shutil.rmtree(tree.folder / "results")
    for folder in folders:
        if (finished.folder / folder).exists():  # all but what is measured and drawn
            shutil.copytree(finished.folder / folder, tree.folder / folder)
    tree.run()
    assert leftovers(tree) == []
    yield tree
    tree.close()


@pytest.fixture(scope="session")
def judged(finished, tmp_path_factory) -> Iterator[Tree]:
    """The tiny study with figures that judge, run to its end without a fault, and what it said."""
    tree = copy_of(finished, tmp_path_factory.mktemp("judged") / "tree")
    tree.configure(JUDGED)
    (tree.folder / "output.txt").write_text(tree.run())
    yield tree
    tree.close()


def copy_of(tree: Tree, folder: Path, *without: str) -> Tree:
    """A tree with the results of another, but for the folders of results that match."""
    folder.mkdir(exist_ok=True)
    copy = Tree(folder, tree.folder)
    shutil.copytree(tree.folder / "results", folder / "results", symlinks=True, dirs_exist_ok=True)
    removed(copy, *without)
    return copy


def removed(tree: Tree, *patterns: str) -> None:
    """Remove the folders of results that match, if there are any."""
    for pattern in patterns:
        for path in (tree.folder / "results").glob(pattern):
            shutil.rmtree(path)
