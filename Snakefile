"""Does label smoothing in a teacher hurt knowledge distillation? Targets, config, and one include a stage."""

import gc
import sys
import time

gc.set_threshold(5_000_000)  # a plan of thousands of jobs is no garbage; a fifth of its time went to looking
sys.path.insert(0, workflow.basedir)
STARTED = time.time()

# A study given by --configfile replaces the default one, it does not mix with it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst"


wildcard_constraints:
    data=r"[^/]+",
    run=r".+/seed\d+",
    scale="demo|small|paper",
    study=r"[^/]+",
    figure=r"[^/]+",


onstart:
    for note in untouched():
        print(f"note: {note}", file=sys.stderr)


onsuccess:
    for verdict in verdicts(STARTED):
        print(verdict, file=sys.stderr)


rule all:
    default_target: True
    input:
        figures_of(MAIN),


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/dump.smk"
include: "workflow/rules/probe.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/targets.smk"
