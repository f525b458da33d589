"""From the config to the jobs that the rules look up. Runs at every parse, so it imports no torch."""

import atexit
import logging
import sys
from pathlib import Path

from lskd import runtime, studies
from lskd.errors import UserError
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.job import FILES, ROOMS
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.live import Line

IS_MAIN = (
    workflow.is_main_process and "--report" not in sys.argv
)  # and no cluster's job, whose files the main one wrote


UNSAID = (
    "Select jobs to",
    "Execute ",
    "Reasons:",
    "Assuming unrestricted",
    "Building DAG",
    "Elapsed time",
    "Nothing to be",
    "Cannot restore",
    "Restored previous",
    "Using shell",
    "Conda environments",
    "Using workflow specific",
    "Complete log",
    "Exiting because",
)


def made_by(stage):
    """Every file that a job of a stage writes; what is there is never deleted first."""
    return update([f"results/{ROOMS[stage]}/{{job}}/{name}" for name in (*FILES[stage], "record.json")])


def reads(stage):
    """What a job waits for: the records of what it reads, where these are not there yet."""
    if not workflow.is_main_process:
        return lambda wildcards: []
    return lambda wildcards: told(asked().waits_for, f"{ROOMS[stage]}/{wildcards.job}")


def spec_of(wildcards):
    """A figure's spec, which its caption in the report tells."""
    return told(PLAN.spec, f"{ROOMS['figure']}/{wildcards.job}") if workflow.is_main_process else ""


def told(function, *arguments):
    """What a function gives; a user's mistake ends everything with one line."""
    try:
        return function(*arguments)
    except UserError as error:
        sys.exit(f"error: {error}")


def read_plan():
    """The studies, and what is said of all of them."""
    settings = workflow.config_settings.config
    trust, plain, overrides = studies.trust_code(config, settings)
    main, found = studies.read_all(plain, overrides, workflow.configfiles)
    catalogue = Catalogue(found, Results(trust_code=trust))
    return Plan(main, catalogue, overrides)


def asked():
    """The plan, told what is asked for, which Snakemake knows only after the parse; said once."""
    if IS_MAIN and PLAN.pending is None:
        PLAN.catalogue.write_cache = not workflow.dryrun
        told(PLAN.ask, map(str, workflow.dag_settings.targets))
        for line in PLAN.announcement():
            print(line, file=sys.stderr)
    return PLAN


def is_said(record):
    """Leave out lines of Snakemake's that come with every job, or that `asked` says better."""
    quiet = workflow.output_settings.quiet or ()
    text = record.getMessage()
    told_by_its_job = text.startswith("RuleException") and text.endswith("exit status 1.")
    return not (quiet and (text.startswith(UNSAID) or told_by_its_job))


def at_the_end():
    """Publish what is asked for and made, and give its answer, whether or not there was anything to do."""
    if PLAN.pending is None or workflow.dryrun:
        return
    try:
        PLAN.publish()
        print(*PLAN.answers(), sep="\n", file=sys.stderr)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)


def start():
    """Tell the jobs what to make, and say how far they are."""
    told(asked().write_jobs)
    LIVE.append(Line(Path("results/.running"), PLAN.costs()))
    LIVE[0].start()


def stop():
    """Say it for the last time."""
    for line in LIVE:
        line.stop()


PLAN = told(read_plan)
LIVE = []
GPU = int(runtime.wants_gpu(PLAN.main.runtime))
runtime.export(PLAN.main.runtime, workflow.basedir)
if IS_MAIN:
    atexit.register(at_the_end)
    logging.getLogger("snakemake.logging").addFilter(is_said)
