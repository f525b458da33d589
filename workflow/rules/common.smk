"""From the config to the jobs that the rules look up. Runs at every parse, so it imports no torch."""

import sys
import threading
from pathlib import Path

from snakemake.dag import DAG
from snakemake.scheduling.job_scheduler import JobScheduler

from lskd.study import reading, runtime, site, studies
from lskd.errors import UserError
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.demand import Demands, processes
from lskd.jobs.submissions import packs
from lskd.io.layout import FILES, ROOMS
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results


def made_by(stage):
    """Every file that a job of a stage writes; what is there is never deleted first."""
    return update([f"results/{ROOMS[stage]}/{{job}}/{name}" for name in (*FILES[stage], "record.json")])


def reads(stage):
    """What a job waits for: of what it reads, what is not there yet.

    A cluster's job reads its own file, which the main process wrote when all this was planned.
    """
    if not workflow.is_main_process:
        return lambda wildcards: []
    return lambda wildcards: or_end(asked().waits_for, f"{ROOMS[stage]}/{wildcards.job}")


def asks_for(stage, gpus=0):
    """The resources of a stage's jobs: a GPU; on a cluster memory, time, and a turn among those in one submission."""
    of_job = per_process(stage, gpus)
    if SITE is None:
        return {"gpu": of_job} if gpus else {}
    fixed = {"turn": 1, "gpu": of_job}
    if not workflow.is_main_process:
        return fixed

    def demand(wildcards, attempt):
        return DEMANDS.of(PLAN.job(f"{ROOMS[stage]}/{wildcards.job}")).at(attempt, SITE.time_limit)

    growing = {
        "mem_mb": lambda wildcards, attempt: side_by_side(gpus) * demand(wildcards, attempt).megabytes,
        "runtime": lambda wildcards, attempt: demand(wildcards, attempt).minutes,
    }
    return fixed | SITE.resources(gpus) | growing


def per_process(stage, number):
    """So many of something for each process of a job; a cluster's job has them already."""
    if not number or stage != "train" or not workflow.is_main_process:
        return number
    return lambda wildcards: number * processes(PLAN.job(f"{ROOMS[stage]}/{wildcards.job}").spec)


def side_by_side(gpus):
    """How many jobs of a submission share each of its GPUs, or its processors."""
    return PLAN.main.runtime.runs_per_gpu if gpus else 1


def pack(stage):
    """The submission that a small job of a cluster shares with others; none on this machine."""
    if SITE is None or SITE.per_submission == 1 or not workflow.is_main_process:
        return None
    return lambda wildcards: or_end(packed).get(f"{ROOMS[stage]}/{wildcards.job}")


def packed():
    """The pack of each job that is to do."""
    if not PACKS:
        minutes = lambda job: DEMANDS.of(job).minutes
        PACKS.append(packs(asked().pending or [], SITE.per_submission, SITE.submission_minutes, minutes))
        workflow.parent_groupids.update(
            {name: "pack" for name in PACKS[0].values()}
        )  # of the profile's group-components
    return PACKS[0]


def or_end(function, *arguments):
    """What a function gives; a user's mistake ends everything with one line."""
    try:
        return function(*arguments)
    except UserError as error:
        sys.exit(f"error: {error}")


def read_plan():
    """The studies, and the jobs that they come to."""
    overrides = workflow.config_settings.config
    trust, plain, overrides = studies.trust_code(config, overrides)
    main, by_name = studies.read_all(plain, overrides, workflow.configfiles)
    catalogue = Catalogue(by_name, Results(trust_code=trust))
    if filled := reading.filled_by_pictures(plain, overrides):
        catalogue.notes.append(f"for your own images `pictures` gives {filled}; what you write yourself holds over it")
    return Plan(main, catalogue, overrides)


def asked():
    """The plan, which is told what is asked for, and says it once: Snakemake knows that only after the parse."""
    if workflow.is_main_process and PLAN.pending is None:
        PLAN.catalogue.write_cache = not workflow.dryrun
        or_end(PLAN.ask, map(str, workflow.dag_settings.targets), workflow.dryrun)
        for line in PLAN.announcement():
            print(line, file=sys.stderr)
    return PLAN


def look_again(self, seconds):
    """Have the scheduler look at all jobs that are ready once more, after some seconds.

    Its own way begins another timer with each look, so that it looks as often a second as jobs have ended; and it waits
    for the last timer after all is done.
    """
    if not IS_TO_LOOK.is_set():
        IS_TO_LOOK.set()
        timer = threading.Timer(seconds, looking, [self])
        timer.daemon = True
        timer.start()


def looking(scheduler):
    """Wake it; before that the next look may be asked for."""
    IS_TO_LOOK.clear()
    scheduler._open_jobs.release()


# No rule has a folder as its output, and to look for one takes a tenth of the time of a large plan.
DAG.check_directory_outputs = lambda dag: None
IS_TO_LOOK = threading.Event()
JobScheduler._schedule_reevalutation = look_again
PLAN = or_end(read_plan)
SITE = site.of_profile()
GPU = int(runtime.wants_gpu(PLAN.main.runtime, SITE is not None))
DEMANDS = Demands(PLAN.results.root, on_gpu=bool(GPU)) if SITE and workflow.is_main_process else None
PACKS = []
runtime.export(PLAN.main.runtime, workflow.basedir, SITE)
