"""What an invocation says: what is planned and why, how far it is, and the answer. Snakemake's own lines come after."""

import atexit
import contextlib
import importlib
import logging
import os
import re
import subprocess

from lskd.io.hold import hold
from lskd.jobs.in_thread import popen
from lskd.jobs.live import Line

# how Snakemake's lines begin that come with every job or every start; with `--quiet host` they are there
UNSAID = """
Assuming unrestricted|Building DAG|Cannot restore|Complete log|Conda environments|Config file|Elapsed time|Execute |
Exiting because|Nothing to be|Reasons:|Restored previous|Rules with missing metadata|Select jobs to|Using shell|Using workflow specific
""".replace("\n", "").split("|")


class Subprocess:
    """The module `subprocess` as Snakemake's shell sees it: a job's command starts no process that only waits."""

    Popen = staticmethod(popen)

    def __getattr__(self, name):
        return getattr(subprocess, name)


LIVE = []
SERVED = contextlib.ExitStack()  # the process whose forks are jobs


def is_said(record):
    """Whether one of Snakemake's log records is shown; what a failed job says, it says itself."""
    name_the_target(record)
    text = record.getMessage()
    said_by_its_job = text.startswith("RuleException") and re.search(r"exit status \d+\.$", text)
    of_records = "missing provenance/metadata" in text  # which decide nothing here
    of_another = "were not present when the DAG was created" in text  # made meanwhile, as one with another, say
    is_short = {"rules", "progress"} <= {str(each) for each in workflow.output_settings.quiet or ()}
    return not (is_short and (text.startswith(tuple(UNSAID)) or said_by_its_job or of_records or of_another))


def name_the_target(record):
    """Put what Snakemake says of a target that is none in a line that names the nearest."""
    text, name = record.getMessage(), ""
    if getattr(record, "exception", "") == "MissingRuleException":
        name = text.partition("No rule to produce ")[2].rpartition(" (if you use input")[0]
    elif "Target rules may not contain wildcards" in text:
        name = next((str(name) for name in workflow.dag_settings.targets if name in studies.STEPS), "")
    if name:
        published = {str(PLAN.published(*pairs[0])): name for name, pairs in PLAN.names.items() if len(pairs) == 1}
        record.msg, record.args = f"error: {studies.no_target(name, PLAN.names, published)}", ()


def start():
    """Hold the results against who would remove some, tell the jobs what to make, and show how far they are."""
    if or_end(hold, PLAN.results.root) is None:
        sys.exit(f"error: {PLAN.results.root}: unused results are just being removed (lskd gc); wait for its end")
    or_end(asked().write_jobs)
    if SITE is None and len(PLAN.pending) > 1:
        from lskd.jobs.forkserver import serving  # here: a plan needs none of it

        SERVED.enter_context(serving(PLAN.main.runtime.threads))
        importlib.import_module("snakemake.shell").sp = Subprocess()  # `snakemake.shell` is the function
    LIVE.append(Line(Path("results/.running"), PLAN.costs()))
    LIVE[0].start()


def stop():
    """Show it for the last time."""
    for line in LIVE:
        line.stop()
    SERVED.close()


def at_the_end():
    """Publish what is asked for and made, and give its answer, whether or not there was anything to do."""
    if PLAN.pending is None or workflow.dryrun:
        return
    try:
        PLAN.publish()
        for answer in PLAN.answers():
            print(answer, file=sys.stderr)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.stdout.flush()
        os._exit(1)  # the last that runs; Snakemake's own status would say that all is well


if workflow.is_main_process:
    atexit.register(at_the_end)
    logging.getLogger("snakemake.logging").addFilter(is_said)
