rule figure:
    input:
        reads("figure"),
    output:
        picture=report(
            update("results/drawn/{job}/figure.png"),
            caption="../report/figure.rst",
            category=lambda wildcards: PLAN.heading(wildcards.job),
            labels=lambda wildcards: PLAN.labels(wildcards.job, "picture"),
        ),
        table=report(
            update("results/drawn/{job}/figure.html"),
            caption="../report/figure.rst",
            category=lambda wildcards: PLAN.heading(wildcards.job),
            labels=lambda wildcards: PLAN.labels(wildcards.job, "table"),
        ),
        others=update(
            multiext("results/drawn/{job}/figure", ".svg", ".pdf", ".csv", ".md", ".tex", ".json")
            + ["results/drawn/{job}/record.json"]
        ),
    log:
        "results/drawn/{job}/figure.log",
    group:
        pack("figure")
    conda:
        "../../envs/figures.yaml"
    resources:
        **asks_for("figure"),
    shell:
        "python -m lskd.jobs.run {log:q}"
