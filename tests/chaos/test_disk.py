"""A disk that is full in the middle of a file, or only to be read: told in a line, and nothing half written counts."""

import random
import resource
import shutil
import subprocess
import sys
from collections import Counter

from lskd.io.seal import read_record
from lskd.jobs.execute import is_whole
from tests.chaos.conftest import OF_STUDENT, contents, copy_of, equals, errors_of, removed, trials
from tests.chaos.disk import disk, fill, make_room, set_writable
from tests.workflow.conftest import ENVIRONMENT, leftovers

JOBS = ["train ls0.1/0 T3", "predict ls0.1/0 T3", "metrics short accuracy", "figure short"]  # each reads that before it


def attempt(tree, job, folder, largest=None):
    """A job's process; no file that it writes gets larger than `largest` bytes."""
    log = f"{folder.relative_to(tree.folder)}/{job.split()[0]}.log"
    return subprocess.run(
        [sys.executable, "-m", "lskd.jobs.run", log],
        cwd=tree.folder,
        text=True,
        capture_output=True,
        env=ENVIRONMENT | {"LSKD_RUNTIME": '{"device": "cpu"}', "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=largest and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))),
    )


def failed(done, folder, why):
    """The file that a failed job named in its one line; it left nothing that could be taken for a result."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = errors_of(done.stdout + done.stderr)
    assert why in line
    assert not is_whole(folder, ())
    assert list(folder.rglob(".*.tmp")) == []
    return line.split(": ")[1].rpartition("/")[2]


def size_of(folder):
    """What a job's files take on a disk of pages of 4096 bytes."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.iterdir() if path.suffix != ".log")


def test_a_full_disk(short, tmp_path, capsys):
    """Full after so many bytes of what a job writes; with room again, the same job or plain command makes it."""
    draw, ends = random.Random(4), Counter()
    with disk(tmp_path / "tree/results"):
        tree = copy_of(short, tmp_path / "tree", *OF_STUDENT)
        results, folders = tree.folder / "results", tree.tell_jobs()
        for job in JOBS:
            size = size_of(short.folder / folders[job].relative_to(tree.folder))
            for _ in range(trials(1, 10)):
                shutil.rmtree(folders[job], ignore_errors=True)  # what is there already needs no room
                fill(results, int(draw.uniform(0, 0.9) * size))
                done = attempt(tree, job, folders[job])
                make_room(results)
                ends[failed(done, folders[job], "No space left on device")] += 1
            if job != JOBS[-1]:  # which is left to the plain command
                assert attempt(tree, job, folders[job]).returncode == 0
        fill(results, 0)
        done = tree.snakemake()
        make_room(results)
        assert done.returncode == 1
        assert len(errors_of(done.stdout)) == 1, done.stdout
        tree.run()
        tree.close()
        equals(tree, short)
        assert leftovers(tree) == []
    with capsys.disabled():
        print(f"\nfull while writing {dict(ends)}")


def test_a_file_that_may_get_no_larger(short, tmp_path):
    """What a full disk is to a process where no file system can be mounted: a limit on files, as of a quota."""
    tree = copy_of(short, tmp_path / "tree", *OF_STUDENT)
    folder = tree.tell_jobs()[JOBS[0]]
    tree.close()
    failed(attempt(tree, JOBS[0], folder, largest=2048), folder, "File too large")
    assert attempt(tree, JOBS[0], folder).returncode == 0
    below = str(folder.relative_to(tree.folder / "results"))
    assert contents(tree)[below] == contents(short)[below]


def test_results_that_can_only_be_read(judged, tmp_path):
    """What is there says its verdict; what is not is told, and made once it can be."""
    with disk(tmp_path / "tree/results"):
        tree = copy_of(judged, tmp_path / "tree")
        set_writable(tree.folder / "results", False)
        (folder,) = tree.results("drawn/demo/tiny/verdict-*")
        assert read_record(folder)["notes"]["answer"] in tree.run()
        set_writable(tree.folder / "results", True)
        removed(tree, "drawn/demo/tiny/stability-*")
        set_writable(tree.folder / "results", False)
        done = tree.snakemake()
        assert done.returncode == 1
        lines = errors_of(done.stdout)
        assert lines and all("Read-only file system" in line for line in lines)  # the job's file; the study's page
        set_writable(tree.folder / "results", True)
        tree.run()
        tree.close()
        equals(tree, judged)
