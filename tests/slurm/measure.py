"""What a submission costs: the default study, and its jobs one by one, on the cluster of these tests.

`python -m tests.slurm.measure` prints what docs/cluster.md tells. Overhead: the time from a submission's start on a
node to its end by SLURM, less what its jobs took by themselves, a job. Wait: from being submitted to the start.
"""

import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.slurm.conftest import PROFILE, tree_of
from tests.slurm.testbed import PATH, Cluster, why_not

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    if reason := why_not():
        sys.exit(f"error: {reason}")
    root = Path(tempfile.mkdtemp(prefix="lskd-slurm-"))
    root.chmod(0o755)
    cluster = Cluster(root, gpus=2)
    try:
        cluster.start()
        study = yaml.safe_load((ROOT / "config.yaml").read_text())
        measure(cluster, root / "packed", study, "the default study, packed")
        alone = study | {"seeds": [0, 1]}
        measure(cluster, root / "alone", alone, "two of its seeds, each job alone", per_submission=1)
    finally:
        cluster.stop()
        shutil.rmtree(root, ignore_errors=True)


def measure(cluster: Cluster, folder: Path, study: dict, name: str, **settings) -> None:
    tree = tree_of(folder, study, **settings)
    known = set(cluster.said("squeue", "-h", "--states=all", "-o%i").split())
    started = time.monotonic()
    output = tree.run(*PROFILE, PATH=PATH)
    wall = time.monotonic() - started
    rows = cluster.said("squeue", "-h", "--states=all", "-o%i|%V|%S|%e").splitlines()
    jobs = [row.split("|") for row in rows if row.split("|")[0] not in known]
    took = {path.stem: json.loads(path.read_text())["seconds"] for path in (tree.folder / "results/.usage").glob("*")}
    overheads: dict[bool, list[float]] = {True: [], False: []}
    waits = []
    for number, submitted, began, ended in jobs:
        members = re.findall(r"-([0-9a-f]{10})/\w+\.log", command_of(cluster, number))
        seconds = seconds_of(ended) - seconds_of(began) - sum(took[address] for address in members)
        overheads[len(members) > 1].append(seconds / len(members))
        waits.append(seconds_of(began) - seconds_of(submitted))
    print(f"{name}: {output.count('has been submitted')} submissions of {len(took)} jobs, {wall:.0f} s")
    tell("overhead of a job alone", overheads[False])
    tell("overhead of a job in a pack", overheads[True])
    tell("wait of a submission", waits)


def tell(what: str, seconds: list[float]) -> None:
    if seconds:
        middle = statistics.median(seconds)
        print(f"  {what}: median {middle:.2f} s (most {max(seconds):.2f} s, n = {len(seconds)})", flush=True)


def command_of(cluster: Cluster, number: str) -> str:
    return cluster.said("scontrol", "write", "batch_script", number, "-")


def seconds_of(moment: str) -> float:
    return time.mktime(time.strptime(moment, "%Y-%m-%dT%H:%M:%S"))


if __name__ == "__main__":
    main()
