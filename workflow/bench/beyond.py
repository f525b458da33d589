"""What a study takes beyond its epochs: the default study from nothing, in a copy whose trainings time their epochs.

With `--edition COMMIT` the default study of that commit too, from nothing by it and by this one, in turns. Seconds are
processor seconds of all processes, and by the clock; nothing else shall run on these cores.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTE = """

def _noted(advance):
    def noted(self, *arguments):
        import time

        began = time.process_time()
        advance(self, *arguments)
        with open({path!r}, "a") as file:
            file.write(f"{{time.process_time() - began:.4f}}\\n")

    return noted


Training.advance = _noted(Training.advance)
"""


def main() -> None:
    """Take the turns, and print a row for each study made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edition", help="a commit of an older edition")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{'study':>10} {'by':>8} {'CPU s':>7} {'in epochs':>9} {'beyond / in':>11} {'seconds':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for turn in range(arguments.turns):
            own = folder / f"own-{turn}"
            shutil.copytree(ROOT, own, ignore=shutil.ignore_patterns(".*", "results", "docs", "tests"))
            epochs = note_epochs(own)
            cpu, seconds = made(own, "config.yaml", arguments.cores)
            inside = sum(map(float, epochs.read_text().split()))
            print_row("today's", "this", cpu, f"{inside:.1f}", f"{cpu / inside - 1:.2f}", seconds)
            if arguments.edition:
                pair(folder / f"pair-{turn}", arguments.edition, arguments.cores)


def note_epochs(tree: Path) -> Path:
    """Have a tree's trainings note the processor seconds of each epoch in a file, a line an epoch."""
    path = tree / "epochs.txt"
    with (tree / "lskd/training/loop.py").open("a") as file:
        file.write(NOTE.format(path=str(path)))
    return path


def pair(folder: Path, edition: str, cores: int) -> None:
    """The older edition's default study, by it and by this one."""
    old, own = folder / "old", folder / "own"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(old)], check=True)
    subprocess.run(["git", "-C", str(old), "checkout", "--quiet", edition], check=True)
    shutil.copytree(ROOT, own, ignore=shutil.ignore_patterns(".*", "results", "docs", "tests"))
    shutil.copy2(old / "config.yaml", own / "older.yaml")
    for who, tree, config in (("older", old, "config.yaml"), ("this", own, "older.yaml")):
        cpu, seconds = made(tree, config, cores)
        print_row("older's", who, cpu, "", "", seconds)


def made(tree: Path, config: str, cores: int) -> tuple[float, float]:
    """Processor seconds and seconds to make a tree's study from nothing."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", config]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # jobs are started as `python`
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": path}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - began


def print_row(study: str, who: str, cpu: float, inside: str, beyond: str, seconds: float) -> None:
    """A study that was made."""
    print(f"{study:>10} {who:>8} {cpu:>7.1f} {inside:>9} {beyond:>11} {seconds:>7.1f}", flush=True)


if __name__ == "__main__":
    main()
