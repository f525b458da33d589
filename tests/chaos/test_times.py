"""Clocks and places decide nothing: times of files, a clock set back, results copied, moved or behind a link."""

import os
import random
import shutil
import sys
import time
from pathlib import Path

import pytest

from lskd.io.seal import read_record
from tests.chaos.conftest import FULL, copy_of, equals, removed, start, trials
from tests.workflow.conftest import Tree, leftovers

DAYS = 24 * 3600
LAST = ["metrics", "drawn", "figures"]


def set_times(results, seconds_of):
    """Other times for every file and folder of results; `seconds_of` gives one from now."""
    for path in [results, *results.rglob("*")]:
        when = time.time() + seconds_of()
        os.utime(path, (when, when))


TIMES = {
    "two days ago": lambda draw: -2 * DAYS,
    "in two days": lambda draw: 2 * DAYS,
    "in any order": lambda draw: draw.uniform(-2 * DAYS, 2 * DAYS),
}


@pytest.mark.parametrize("when", TIMES if FULL else ["in any order"])
def test_files_with_other_times(short, tmp_path, when):
    """Nothing is planned anew, and what is missing is made of what is there."""
    tree, draw = copy_of(short, tmp_path / "tree"), random.Random(5)
    for _ in range(trials(1, 10)):
        set_times(tree.folder / "results", lambda: TIMES[when](draw))
        assert tree.pending() == set()
    removed(tree, *LAST)
    tree.run()
    tree.close()
    equals(tree, short)


def cp(source, target):
    """Copied with new times, as `cp -r` does."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)


def mv(source, target):
    """Moved."""
    shutil.copytree(source, target)
    shutil.rmtree(source)


def linked(source, target):
    """Moved, with a link where they were."""
    elsewhere = source.with_name("elsewhere")
    mv(source, elsewhere)
    target.symlink_to(elsewhere)


@pytest.mark.parametrize("how", [cp, mv, linked] if FULL else [linked])
def test_results_in_another_place(short, tmp_path, how):
    """Another checkout finds them, at once and after some are gone."""
    (tmp_path / "tree").mkdir()
    shutil.copytree(short.folder / "results", tmp_path / "results")
    tree = Tree(tmp_path / "tree", short.folder)
    how(tmp_path / "results", tree.folder / "results")
    assert tree.planned() == set()
    removed(tree, *LAST)
    tree.run()
    tree.close()
    equals(tree, short)


@pytest.mark.skipif(not shutil.which("faketime"), reason="Debian's package faketime is not installed")
def test_a_clock_set_back_two_days(short, tmp_path):
    """What is made two days before that of which it is made is as good, by the same clock and by today's again."""
    tree = copy_of(short, tmp_path / "tree", "runs/**/kd-*", "predictions", *LAST)
    few = tmp_path / "bin"  # no `scontrol`: Python waits for it by a clock that faketime cannot set
    few.mkdir()
    for name in ("bash", "sh", "which", "faketime"):
        (few / name).symlink_to(shutil.which(name))
    path = os.pathsep.join([str(Path(sys.executable).parent), str(few)])
    process = start(tree, before=("faketime", "-f", "-2d"), FAKETIME_DONT_FAKE_MONOTONIC="1", PATH=path)
    assert process.wait(300) == 0, (tree.folder / "output.txt").read_text()
    (teacher,), (student,) = (tree.results(f"runs/digits/*/*/{each}/seed0-*") for each in ("ls0.1", "kd-*"))
    assert read_record(student)["made"] < read_record(teacher)["made"]
    assert tree.planned() == set()
    equals(tree, short)
    removed(tree, *LAST)
    tree.run()
    tree.close()
    equals(tree, short)
    assert leftovers(tree) == []
