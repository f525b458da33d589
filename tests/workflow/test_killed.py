"""Snakemake and all its children killed at random moments: the same plain command goes on, and nothing shows it.

LSKD_KILLS kills (6 unless given) on the short study, or on the tiny one where they are more than 6.
"""

import os
import random
import time

import psutil

from tests.workflow.conftest import SHORT, TINY, Tree, leftovers, measured, published

KILLS = int(os.environ.get("LSKD_KILLS", "6"))


def kill_all(pid):
    """SIGKILL for a process and all below it; how many they were. The first is stopped, so that it starts no more."""
    first = psutil.Process(pid)
    first.suspend()
    everyone = [first, *first.children(recursive=True)]
    for process in everyone:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(everyone[1:], 10)
    return len(everyone)


def killed_after(tree, seconds):
    """Run for so long, then kill; how many processes that were, 0 where it had come to its end before."""
    process = tree.start()
    time.sleep(seconds)
    count = kill_all(process.pid) if process.poll() is None else 0
    process.communicate()
    return count


def test_killed_again_and_again(finished, tmp_path, capsys):
    study = TINY if KILLS > 6 else SHORT
    (tmp_path / "alone").mkdir()
    (tmp_path / "killed").mkdir()
    tree, alone = Tree(tmp_path / "killed", finished.folder), finished
    tree.configure(study)
    if study is SHORT:
        alone = Tree(tmp_path / "alone", finished.folder)
        alone.configure(study)
        for part in ("data", "runs", "predictions", "teacher_logits"):  # the same jobs: measured and drawn anew alone
            (alone.folder / "results").mkdir(exist_ok=True)
            (alone.folder / "results" / part).symlink_to(finished.folder / "results" / part)
        alone.run()
    started = time.monotonic()
    tree.run("--dry-run")
    start = time.monotonic() - started  # of Snakemake, on this machine and now: 2.5 s where nothing else runs
    draw, counts, to_do = random.Random(7), [], []
    for _ in range(KILLS):
        counts.append(killed_after(tree, draw.uniform(0.6 * start, 4 * start)))
        to_do.append(len(tree.pending()))
    tree.run()
    tree.close()
    with capsys.disabled():
        print(f"\n{KILLS} kills between {0.6 * start:.1f} and {4 * start:.1f} s; processes {counts}; left {to_do}")
    assert tree.planned() == set()
    assert measured(tree) == measured(alone)
    assert published(tree) == published(alone)
    assert leftovers(tree) == []
