"""What an invocation says: what is planned and why, how far it is, and the answer. Snakemake's own lines come after."""

import atexit
import logging
import os

from lskd.io.hold import hold
from lskd.jobs.live import Line

# how Snakemake's lines begin that come with every job or every start; with `--quiet host` they are there
UNSAID = """
Assuming unrestricted|Building DAG|Cannot restore|Complete log|Conda environments|Config file|Elapsed time|Execute |
Exiting because|Nothing to be|Reasons:|Restored previous|Rules with missing metadata|Select jobs to|Using shell|Using workflow specific
""".replace("\n", "").split("|")
LIVE = []


def is_said(record):
    """Whether one of Snakemake's log records is shown; what a failed job says, it says itself."""
    text = record.getMessage()
    said_by_its_job = text.startswith("RuleException") and text.endswith("exit status 1.")
    of_records = "missing provenance/metadata" in text  # which decide nothing here
    is_short = {"rules", "progress"} <= {str(each) for each in workflow.output_settings.quiet or ()}
    return not (is_short and (text.startswith(tuple(UNSAID)) or said_by_its_job or of_records))


def start():
    """Hold the results against who would remove some, tell the jobs what to make, and show how far they are."""
    if or_end(hold, PLAN.results.root) is None:
        sys.exit(f"error: {PLAN.results.root}: unused results are just being removed (lskd gc); wait for its end")
    or_end(asked().write_jobs)
    LIVE.append(Line(Path("results/.running"), PLAN.costs()))
    LIVE[0].start()


def stop():
    """Show it for the last time."""
    for line in LIVE:
        line.stop()


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
