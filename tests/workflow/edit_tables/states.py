"""What may happen to the results, each with the jobs that it makes anew."""

from tests.workflow.edit_tables.jobs import ALL, GRID, NOTHING
from tests.workflow.edits import appended, deleted, each, shell, touched

STATES = {  # of the results
    ".snakemake is gone": (shell("rm -rf .snakemake"), NOTHING),
    "everything has the time of now": (touched("results/**/*"), NOTHING),
    "everything is old": (touched("results/**/*", 0), NOTHING),
    "a teacher's weights are new": (touched("results/runs/digits/mlp-w8/one/ls0.1/*/*"), NOTHING),
    "the data are of tomorrow": (touched("results/data/*/*", 4e9), NOTHING),
    "the code is of tomorrow": (touched("lskd/**/*.py", 4e9), NOTHING),
    "metrics are older than what they were made of": (touched("results/metrics/**/*", 1), NOTHING),
    "the metrics are all that is left": (
        shell("cd results && rm -rf data runs predictions teacher_logits .jobs .running .cache"),
        NOTHING,
    ),
    "the drawn figures are all that is left": (
        shell("cd results && rm -rf data runs predictions teacher_logits metrics .jobs .running"),
        NOTHING,
    ),
    "all is gone": (shell("rm -rf results"), ALL),
    "a published figure is gone": (deleted("results/figures/demo/tiny/grid.svg"), NOTHING),
    "a published figure is overwritten": (
        lambda root: (root / "results/figures/demo/tiny/grid.svg").write_text("mine"),
        NOTHING,
    ),
    "a drawn figure's picture is gone": (deleted("results/drawn/demo/tiny/grid-*/figure.svg"), {"figure grid"}),
    "a drawn figure's numbers are gone": (deleted("results/drawn/demo/tiny/grid-*/figure.csv"), {"figure grid"}),
    "a drawn figure's record is gone": (deleted("results/drawn/demo/tiny/grid-*/record.json"), {"figure grid"}),
    "a drawn figure's log is gone": (deleted("results/drawn/demo/tiny/grid-*/figure.log"), NOTHING),
    "a figure and its metrics are gone": (
        deleted("results/drawn/demo/tiny/grid-*/record.json", "results/metrics/demo/tiny/grid/*/metrics.parquet"),
        GRID,
    ),
    "a figure and a prediction's file are gone": (
        deleted("results/drawn/demo/tiny/grid-*/figure.md", "results/predictions/**/kd-T3-*ls0.1/*/head.safetensors"),
        {"figure grid"},
    ),
    "killed jobs left their files": (
        each(
            appended("results/.running/0123456789.json", "{}"),
            appended("results/.running/.0123456789.tmp", "{"),
            appended("results/.jobs/0123456789.json", "{}"),
            appended("results/runs/digits/mlp-w8/one/ls0/seed0-0123456789/checkpoint.pt", "half"),
            appended("results/runs/digits/mlp-w8/one/ls0/seed0-0123456789/.model.safetensors.x.h.1.tmp", "half"),
        ),
        NOTHING,
    ),
    "results of other code beside them": (
        shell(
            "for each in results/runs/digits/mlp-w8/one/ls0/seed0-*; do cp -r $each ${each%-*}-0123456789; done;"
            "cp -r results/drawn/demo/tiny results/drawn/demo/other"
        ),
        NOTHING,
    ),
    "copied without times": (shell("cp -r results copy && rm -rf results .snakemake && mv copy results"), NOTHING),
    "through tar": (shell("tar cf x.tar results && rm -rf results .snakemake && tar xmf x.tar && rm x.tar"), NOTHING),
    "linked from elsewhere": (shell("mv results ../elsewhere && ln -s ../elsewhere results"), NOTHING),
}


PENDING = {  # a figure waits to be drawn and its metrics to be measured: what else, if one of these files is gone?
    "data/*/data.safetensors": {"data"},
    "data/*/record.json": {"data"},
    "predictions/**/kd-T3-*ls0.1/*/head.safetensors": {"predict ls0.1/0 T3"},
    "predictions/**/kd-T3-*ls0.1/*/test.logits.parquet": {"predict ls0.1/0 T3"},
    "predictions/**/kd-T3-*ls0.1/*/record.json": {"predict ls0.1/0 T3"},
    "predictions/**/kd-T3-*ls0.1/*/predict.log": NOTHING,
    "runs/**/kd-T3-*ls0.1/*/history.jsonl": NOTHING,
    "runs/**/kd-T3-*ls0.1/*/model.safetensors": NOTHING,
    "teacher_logits/**/logits.parquet": NOTHING,
    "metrics/demo/tiny/stability/*/metrics.parquet": NOTHING,
}
