"""What planning costs: dry runs of studies of 2,000 and 10,000 runs, beside a bare Snakefile.

The bare one has the same rules by stage, the same outputs and inputs, read from a JSON file: no study, no addresses, no
code looked at. Both are asked in turns, with nothing made and with everything made; processor seconds and peak memory
are those of the `snakemake --dry-run` process. lskd refuses studies
of more runs than `MOST_RUNS`; here that bound is lifted.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.io.layout import FILES, ROOMS
from lskd.io.seal import RECORD
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study import reading

MOST_RUNS, ANY_NUMBER = reading.MOST_RUNS, 1_000_000
ROOT = Path(__file__).resolve().parents[2]
BARE = """
import json
JOBS = json.load(open("jobs.json"))
rule all:
    input: JOBS["wanted"]
"""
RULE = """
rule {stage}:
    input: lambda wildcards: JOBS["inputs"]["{room}/" + wildcards.job]
    output: {outputs}
    shell: "false"
"""


def main() -> None:
    """Measure, and print a row for each size and state."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[2000, 10000])
    parser.add_argument("--turns", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{'runs':>6} {'jobs':>7} {'state':>16} {'CPU s':>7} {'GB':>5} {'bare: CPU s':>12} {'GB':>5} {'ratio':>6}")
    for runs in arguments.runs:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), runs, arguments.turns)


def measure(folder: Path, runs: int, turns: int) -> None:
    """The rows of one size."""
    tree, bare = folder / "tree", folder / "bare"
    study = large_study(runs)
    tree.mkdir()
    for part in ("Snakefile", "envs", "lskd", "workflow"):
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, tree / part)
    lift_bound(tree / "lskd/study/reading.py")
    (tree / "profiles").symlink_to("workflow/profiles")
    (tree / "config.yaml").write_text(yaml.safe_dump(study))
    jobs = jobs_of(study, tree)
    write_bare(bare, jobs)
    for state in ("nothing made", "everything made"):
        if state == "everything made":
            for root in (tree / "results", bare):
                pretend_made(root, jobs)
        for _ in range(turns):
            own, plain = dry_run(tree), dry_run(bare)
            ratio = own[0] / plain[0]
            print(
                f"{runs:>6,} {len(jobs):>7,} {state:>16} {own[0]:>7.1f} {own[1]:>5.2f} {plain[0]:>12.1f} "
                f"{plain[1]:>5.2f} {ratio:>6.2f}",
                flush=True,
            )


def lift_bound(path: Path) -> None:
    """Let a tree, and this process, plan a study of any number of runs."""
    bound = f"MOST_RUNS = {MOST_RUNS:_}"
    text = path.read_text()
    assert text.count(bound) == 1
    path.write_text(text.replace(bound, f"MOST_RUNS = {ANY_NUMBER}"))
    reading.MOST_RUNS = ANY_NUMBER


def large_study(runs: int) -> dict:
    """A study of about so many runs: 10 teachers and 390 students of each seed, in steps of 400."""
    return {
        "study": "large",
        "seeds": list(range(max(1, runs // 400))),
        "recipes": {"r": {"epochs": 1, "crop_padding": 1}},
        "teachers": {
            "t": {"model": "resnet8", "recipe": "r", "label_smoothing": [round(0.05 * i, 2) for i in range(10)]}
        },
        "students": {"s": {"teacher": "t", "model": "plain_cnn", "recipe": "r", "temperature": list(range(1, 40))}},
        "figures": {"grid": {"kind": "grid"}},
    }


def jobs_of(study: dict, tree: Path) -> dict[str, tuple[str, list[str]]]:
    """Below which folder each job's result lies: its stage, and the folders that it reads."""
    parsed = reading.parse(study)
    plan = Plan(parsed, Catalogue({parsed.study: parsed}, Results(tree / "results")), {})
    plan.want([])
    return {job.below: (job.stage, [above.below for above in job.inputs.values()]) for job in plan.to_do()}


def write_bare(folder: Path, jobs: dict[str, tuple[str, list[str]]]) -> None:
    """The Snakefile that plans no more than these jobs."""
    folder.mkdir()
    read = {above for _, inputs in jobs.values() for above in inputs}
    listed = {
        "wanted": [f"{below}/{RECORD}" for below in jobs if below not in read],
        "inputs": {below: [f"{above}/{RECORD}" for above in inputs] for below, (_, inputs) in jobs.items()},
    }
    (folder / "jobs.json").write_text(json.dumps(listed))
    rules = [
        RULE.format(
            stage=stage,
            room=ROOMS[stage],
            outputs=", ".join(f'"{ROOMS[stage]}/{{job}}/{name}"' for name in (*FILES[stage], RECORD)),
        )
        for stage in sorted({stage for stage, _ in jobs.values()})
    ]
    (folder / "Snakefile").write_text(BARE + "".join(rules))


def pretend_made(root: Path, jobs: dict[str, tuple[str, list[str]]]) -> None:
    """Put an empty file in the place of every output: planning looks whether they are there."""
    for below, (stage, _) in jobs.items():
        (root / below).mkdir(parents=True, exist_ok=True)
        for name in (*FILES[stage], RECORD):
            (root / below / name).touch()


def dry_run(folder: Path) -> tuple[float, float]:
    """Processor seconds and GB of a dry run."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--cores", "1"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(said.decode())
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


if __name__ == "__main__":
    main()
