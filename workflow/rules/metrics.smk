rule metrics:
    input:
        reads("metrics"),
    output:
        made_by("metrics"),
    log:
        "results/metrics/{job}/metrics.log",
    group:
        pack("metrics")
    conda:
        "../../envs/train.yaml"
    resources:
        **asks_for("metrics"),
    shell:
        "python -m lskd.jobs.run {log:q}"
