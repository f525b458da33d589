"""Does label smoothing in a teacher hurt knowledge distillation? Targets, config, and one include a stage."""

import os
import sys

sys.path.insert(0, workflow.basedir)

if not workflow.overwrite_configfiles:  # a study given by --configfile replaces the default one, it does not mix with it

    configfile: "config.yaml"


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst"


wildcard_constraints:
    data=r"[^/]+",
    run=r".+/seed\d+",
    scale="demo|small|paper",
    study=r"[^/]+",
    figure=r"[^/]+",


rule all:
    input:
        figures_of(MAIN),
    default_target: True


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/dump.smk"
include: "workflow/rules/probe.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/targets.smk"
