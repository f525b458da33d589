"""Whether a cluster can run what its site's settings say, a line for each thing to mend. No torch.

Asked of SLURM itself; the last check submits a job of a second, which looks at disk, clock, locks and GPUs from a node.
"""

import fcntl
import getpass
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.io.atomic import write_text
from lskd.jobs.demand import BASE_MB
from lskd.study.site import Slurm, read_site

PLUGIN, LOCKED = "snakemake-executor-plugin-slurm", "2.8.0"
COMMANDS = ("sbatch", "squeue", "scontrol", "sinfo", "scancel")
CLOCK_SECONDS = 5.0  # by which clocks may differ
START_SECONDS = 180  # within which the test job should have run
Partition = dict[str, str]


def doctor(site_file: Path, results: Path) -> tuple[list[str], bool]:
    """What was checked, a line each, and whether all of it is well. Each thing to mend begins with "mend"."""
    site = read_site(site_file, "slurm")
    assert isinstance(site, Slurm)
    lines = [f"ok    {site_file}: can be read"]
    for check in (_commands, _answers, _plugin, _partitions, _account, _states, _node):
        problems = list(check(site, site_file, results))
        lines += [f"mend  {problem}" for problem in problems] or [f"ok    {check.__doc__}"]
        if problems and check in (_commands, _answers):
            break  # all else asks SLURM
    return lines, not any(line.startswith("mend") for line in lines)


def _said(*command: str, seconds: float = 30) -> str | None:
    """What a command says; None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _commands(site: Slurm, site_file: Path, results: Path) -> Iterator[str]:
    """SLURM's commands are here"""
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        yield f"PATH: {', '.join(missing)} not found; log in to a login node of the cluster, or load SLURM's module"


def _answers(site: Slurm, site_file: Path, results: Path) -> Iterator[str]:
    """slurmctld answers"""
    if "is UP" not in (_said("scontrol", "ping") or ""):
        yield "slurmctld: does not answer (scontrol ping); wait until it is up, or ask who runs the cluster"


def _plugin(site: Slurm, site_file: Path, results: Path) -> Iterator[str]:
    """Snakemake's SLURM plugin is installed as it is locked"""
    try:
        version = metadata.version(PLUGIN)
    except metadata.PackageNotFoundError:
        version = ""
    if version != LOCKED:
        found = f"found {version}" if version else "not installed"
        yield f"{PLUGIN}: {found}, {LOCKED} is needed; install what envs/cluster.txt locks"


def _partitions(site: Slurm, site_file: Path, results: Path) -> Iterator[str]:
    """the partitions are there, up, and as the site says"""
    known = partitions()
    for key, name in (("partition", site.partition), ("gpu_partition", site.gpu_partition or site.partition)):
        if name is not None and name not in known:
            yield f"{site_file}: {key}: found {name}, no such partition; known are {', '.join(sorted(known))}"
            continue
        chosen = known.get(name) if name else next((each for each in known.values() if each["Default"] == "YES"), None)
        if chosen is None:
            names = ", ".join(sorted(known))
            yield f"{site_file}: {key}: found null, and the cluster has no default; name one of {names}"
            continue
        yield from _partition(site, site_file, key, chosen)


def partitions() -> dict[str, Partition]:
    """SLURM's partitions by name, with what `scontrol show partition` tells of each."""
    text = _said("scontrol", "show", "partition", "--oneliner") or ""
    fields = [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in text.splitlines()]
    return {each["PartitionName"]: each for each in fields if "PartitionName" in each}


def _partition(site: Slurm, site_file: Path, key: str, chosen: Partition) -> Iterator[str]:
    name = chosen["PartitionName"]
    if chosen.get("State") != "UP":
        yield f"{site_file}: {key}: {name} is {chosen.get('State')}; name another, or wait"
    most = minutes(chosen.get("MaxTime", ""))
    if most is not None and site.time_limit > most:
        yield f"{site_file}: time_limit: found {site.time_limit}, {name} allows {most} minutes; lower it to {most}"
    nodes = _said("sinfo", "--noheader", "--Node", f"--partition={name}", "--format=%G|%m|%T") or ""
    rows = [line.split("|") for line in nodes.splitlines()]
    alive = [row for row in rows if not re.match(r"down|drain|fail|unknown", row[2])]
    if not alive:
        yield f"{site_file}: {key}: {name} has no node that is up; wait, or name another"
        return
    if max(int(row[1].rstrip("+")) for row in alive) < BASE_MB:
        yield f"{site_file}: {key}: no node of {name} has the {BASE_MB} MB that a job takes; name another"
    if key == "gpu_partition":
        models = {model for row in alive for model in re.findall(r"gpu:?([A-Za-z][\w.-]*)?", row[0])}
        if not models:
            yield f"{site_file}: {key}: {name} has no GPU; name one that has, or set runtime.device to cpu"
        elif site.gpu_model and site.gpu_model not in models:
            names = ", ".join(sorted(models))
            yield f"{site_file}: gpu_model: found {site.gpu_model}, {name} has {names}; name one, or null"


def minutes(limit: str) -> int | None:
    """SLURM's time limit (D-HH:MM:SS) in minutes; None for none."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", limit)
    if match is None:
        return None
    days, hours, mins, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + mins


def _account(site: Slurm, site_file: Path, results: Path) -> Iterator[str]:
    """account and qos may be used"""
    config = _config()
    if "slurmdbd" not in config.get("AccountingStorageType", ""):
        return
    text = _said(
        "sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={getpass.getuser()}", "format=account,qos"
    )
    if text is None:
        yield "sacctmgr: does not answer, so account and qos cannot be checked; wait until slurmdbd is up"
        return
    rows = [line.split("|") for line in text.splitlines() if "|" in line]
    accounts, levels = {row[0] for row in rows}, {level for row in rows for level in row[1].split(",") if level}
    if site.account and site.account not in accounts:
        known = f"yours are {', '.join(sorted(accounts))}" if accounts else "you have none"
        yield f"{site_file}: account: found {site.account}, {known}; name one of them, or null"
    if not accounts and "associations" in config.get("AccountingStorageEnforce", ""):
        yield f"{site_file}: account: you have none, and the cluster asks for one; ask who runs it"
    if site.qos and site.qos not in levels:
        yield f"{site_file}: qos: found {site.qos}, yours are {', '.join(sorted(levels)) or 'none'}; name one, or null"


def _config() -> dict[str, str]:
    text = _said("scontrol", "show", "config") or ""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _states(site: Slurm, site_file: Path, results: Path) -> Iterator[str]:
    """how jobs are can be asked"""
    config = _config()
    if site.status == "sacct":
        if "slurmdbd" not in config.get("AccountingStorageType", ""):
            yield f"{site_file}: status: found sacct, but this cluster keeps no accounts; set it to squeue"
        elif _said("sacct", "--noheader", "-X", "--format=JobIdRaw") is None:
            yield f"{site_file}: status: found sacct, which does not answer; set it to squeue, or wait for slurmdbd"
        return
    age = re.match(r"\d+", config.get("MinJobAge", ""))
    if age and int(age[0]) < max(60, 3 * site.status_seconds):
        yield (
            f"{site_file}: status: found squeue, which forgets jobs after {age[0]} s here (MinJobAge); set it to sacct,"
            f" or status_seconds to {max(1, int(age[0]) // 3)} at most"
        )


def _node(site: Slurm, site_file: Path, results: Path) -> Iterator[str]:
    """a job on a node sees this folder, this Python, this clock and its GPU"""
    token = f".doctor-{secrets.token_hex(8)}"
    with _locked(results / token):
        seen, why = _probed(site, results, token)
    if seen is None:
        yield f"a test job: {why}"
        return
    host = seen["host"]
    if not seen["sees"]:
        yield (
            f"{results.absolute()}: {host} does not see what is written here; put the checkout on a disk that all nodes"
            " share"
        )
        return
    if not seen["held"]:
        yield (
            f"{results.absolute()}: locks do not reach {host}, so two jobs might make one result; use a disk with flock"
            " (NFS 4, Lustre with -o flock)"
        )
    if abs(seen["apart"]) > CLOCK_SECONDS:
        apart = f"{seen['apart']:+.0f} s from this one's"
        yield f"{host}: its clock is {apart}; set both by NTP (no result depends on it)"
    if site.gpu_partition and not seen["gpus"]:
        yield f"{host}: the test job asked for a GPU and got none; see gres.conf, or ask who runs the cluster"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """A file that is there, and held by this process, meanwhile."""
    write_text(path, "written by lskd doctor, which removes it\n")
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    finally:
        path.unlink(missing_ok=True)


def _probed(site: Slurm, results: Path, token: str) -> tuple[dict[str, Any] | None, str]:
    """What a job saw, with how far its clock is from this one's; or None, and why there was no job."""
    gpus = int(site.gpu_partition is not None)
    command = ["srun", "--ntasks=1", "--time=2", f"--mem={BASE_MB}", "--job-name=lskd-doctor"]
    where = site.resources(gpus)
    flags = {"slurm_partition": "--partition", "gpu_model": ""}
    command += [f"{flags[name]}={value}" for name, value in where.items() if flags[name]]
    command += [f"--gpus={where['gpu_model']}:1" if "gpu_model" in where else "--gpus=1"] * gpus
    command += [f"--account={site.account}"] * bool(site.account) + [f"--qos={site.qos}"] * bool(site.qos)
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command += [sys.executable, "-m", "lskd.jobs.probe", str(results.absolute()), token]
    before = time.time()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, env=environment, cwd="/")
    except subprocess.TimeoutExpired:
        return None, f"did not end within {START_SECONDS} s; see squeue --me for why it waits"
    after = time.time()
    for line in done.stdout.splitlines():
        if line.startswith("lskd-probe "):
            seen = json.loads(line.removeprefix("lskd-probe "))
            apart = min(max(seen["clock"], before), after)  # within the call no difference can be told
            return seen | {"apart": seen["clock"] - apart}, ""
    if "No such file" in done.stderr or "not found" in done.stderr:
        return None, f"the node has no {sys.executable}; put checkout and .venv on a disk that all nodes share"
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it says nothing")
    return None, f"failed: {last.strip()}"


def check(site_file: Path, results: Path) -> tuple[list[str], bool]:
    """`doctor`; UserError where the results cannot be written."""
    if not results.is_dir():
        try:
            results.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"{results}: cannot be written ({error.strerror}); free or unlock that folder") from None
    return doctor(site_file, results)
