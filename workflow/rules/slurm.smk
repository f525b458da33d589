"""How the jobs of a SLURM cluster are: in place of what the executor plugin (2.8.0) asks and believes.

The plugin takes UNKNOWN for success, waits for ever for a job that SLURM does not list or that somebody cancelled, forgets
all jobs while SLURM does not answer, and asks ever more rarely. Here COMPLETED and whole results are success, nothing
else; the latter whatever SLURM says: where its daemon is killed it may give one number to two jobs.
"""

import asyncio
import re
import shlex
import sys
import time
from datetime import datetime, timedelta

import snakemake_executor_plugin_slurm

FAILED = {"BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"}
UNSURE = {"", "UNKNOWN", "NODE_FAIL", "PREEMPTED", "REVOKED"}  # lost, or about to be queued again
MEMORY = re.compile(r"memory limit|out.of.memory|oom.kill", re.IGNORECASE)
UNSURE_SINCE = {}  # SLURM's number of a job -> when it was first so


def question(run):
    """The command that lists the states of an invocation's jobs."""
    if SITE.status == "squeue":
        return ["squeue", "--noheader", "--states=all", "--format=%i|%T", "--name", run]
    since = (datetime.now() - timedelta(days=7)).strftime("%Y-%m-%dT00:00")
    return ["sacct", "-X", "--noheader", "--parsable2", "--format=JobIdRaw,State", "--starttime", since, "--name", run]


async def answer(command):
    """The pairs that a command of SLURM's lists; None where SLURM does not answer."""
    try:
        asked = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        listed, _ = await asyncio.wait_for(asked.communicate(), timeout=60)
    except (OSError, asyncio.TimeoutError):
        return None
    return None if asked.returncode else [line.split("|") for line in listed.decode().splitlines() if "|" in line]


async def states_of(run):
    """The state of each job in a word; None where SLURM does not answer."""
    pairs = await answer(question(run))
    return None if pairs is None else {number: state.split()[0].rstrip("+") for number, state in pairs if state.split()}


async def release(run):
    """Let jobs start again that SLURM holds because a node failed as it started them: nobody else would."""
    pairs = await answer(["squeue", "--noheader", "--states=PENDING", "--format=%i|%r", "--name", run])
    for number, reason in pairs or []:
        if reason.startswith("launch failed"):
            await answer(["scontrol", "release", number])


async def check_active_jobs(self, active_jobs):
    """Report the jobs that ended; yield those to be asked about again."""
    self.next_seconds_between_status_checks = SITE.status_seconds
    if not active_jobs:
        return  # the next question comes in time for what is submitted now
    states = await states_of(self.run_uuid)
    if states and "PENDING" in states.values():
        await release(self.run_uuid)
    for job in active_jobs:
        state = "RUNNING" if states is None else states.get(job.external_jobid, "")
        if state not in UNSURE:
            UNSURE_SINCE.pop(job.external_jobid, None)
        unsure = (
            time.monotonic() - UNSURE_SINCE.setdefault(job.external_jobid, time.monotonic()) if state in UNSURE else 0
        )
        if state == "COMPLETED" or (state in FAILED | UNSURE and is_made(job)):
            job.aux["slurm_logfile"].unlink(missing_ok=True)
            self.report_job_success(job)
        elif state in FAILED or unsure > 60 * SITE.lost_minutes:
            print(f"error: {ending(job, state)}", file=sys.stderr)
            self.report_job_error(job, msg=ending(job, state), aux_logs=[str(job.aux["slurm_logfile"])])
        else:
            yield job


def is_made(job):
    """Whether all that a submission makes is sealed: a record is written last."""
    return all(Path(path).exists() for path in job.job.output)


def ending(job, state):
    """How a submission ended, in a line."""
    first, *others = members(job.job)
    more = f" and {len(others)} more" if others else ""
    name = f"{first.rule.name} {first.wildcards.job[:-11]}{more}: SLURM job {job.external_jobid}"
    if state in UNSURE:
        return f"{name} is not listed as alive for {SITE.lost_minutes} minutes (state {state or 'unknown'})"
    asked = job.job.resources.get("mem_mb")
    if state == "OUT_OF_MEMORY" or MEMORY.search(log_of(job)):
        return f"{name} took more memory than the {asked} MB that it asked for; its next attempt asks for more"
    if state == "TIMEOUT":
        return f"{name} met its time limit; its next attempt goes on from its checkpoint"
    errors = [line for line in log_of(job).splitlines() if line.startswith("error: ")]
    said = errors[-1].removeprefix("error: ") if errors else f"see {job.aux['slurm_logfile']}"
    return f"{name} ended as {state}: {said}"


def log_of(job):
    """The end of what SLURM kept of a job's output."""
    try:
        return job.aux["slurm_logfile"].read_text(errors="replace")[-10_000:]
    except OSError:
        return ""


def members(job):
    """The jobs of a submission."""
    return list(job.jobs) if job.is_group() else [job]


def format_job_exec(self, job):
    """The command of a submission: that of its jobs' rules, without two Snakemakes around it: seconds, and memory."""
    logs = [str(member.log[0]) for member in members(job)]
    for log in logs:
        PLAN.write_job_of(log)
    if workflow.deployment_settings.deployment_method:  # which prepares an environment first
        return by_snakemake(self, job)
    gpus = job.resources.get("gpu") or 0
    step = ["srun", "--ntasks=1", "--nodes=1", "--cpu-bind=quiet", f"--cpus-per-task={job.threads}"]
    step += [f"--gpus={gpus}"] * bool(gpus)
    most = SITE.gpus_per_submission * side_by_side(gpus)
    turns = [sys.executable, "-m", "lskd.jobs.turns", str(most)]
    return shlex.join(step + turns + logs)


by_snakemake = snakemake_executor_plugin_slurm.Executor.format_job_exec
snakemake_executor_plugin_slurm.Executor.format_job_exec = format_job_exec
snakemake_executor_plugin_slurm.Executor.check_active_jobs = check_active_jobs
