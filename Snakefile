"""Does label smoothing in a teacher hurt knowledge distillation? Targets, config, and one include a stage."""

import gc
import sys

from snakemake.utils import min_version

min_version("9.27")

gc.set_threshold(5_000_000)  # a plan of thousands of jobs is no garbage; a fifth of its time went to looking
sys.path.insert(0, workflow.basedir)

from lskd.study import studies

# A study given by --configfile replaces the default one, it does not mix with it.
if not workflow.overwrite_configfiles:
    studies.check_file("config.yaml")

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/output.smk"


report: "workflow/report/workflow.rst"


wildcard_constraints:
    job=r".+-[0-9a-f]{10}",


onstart:
    start()


onsuccess:
    stop()


onerror:
    stop()


rule all:
    default_target: True
    input:
        lambda wildcards: or_end(asked().figures, PLAN.main.study),


if SITE is not None and SITE.executor == "slurm" and workflow.is_main_process:

    include: "workflow/rules/slurm.smk"


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/inference.smk"
include: "workflow/rules/translation.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/targets.smk"
