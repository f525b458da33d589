"""From the config to the jobs that the rules look up. Runs at every parse, so it imports no torch."""

import sys
from pathlib import Path

from snakemake.dag import DAG

from lskd.study import reading, runtime, studies
from lskd.errors import UserError
from lskd.jobs.catalogue import Catalogue
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
        or_end(PLAN.ask, map(str, workflow.dag_settings.targets))
        for line in PLAN.announcement():
            print(line, file=sys.stderr)
    return PLAN


# No rule has a folder as its output, and to look for one takes a tenth of the time of a large plan.
DAG.check_directory_outputs = lambda dag: None
PLAN = or_end(read_plan)
GPU = int(runtime.wants_gpu(PLAN.main.runtime))
runtime.export(PLAN.main.runtime, workflow.basedir)
