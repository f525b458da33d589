rule metrics:
    input:
        reads("metrics"),
    output:
        made_by("metrics"),
    log:
        "results/metrics/{job}/metrics.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.jobs.execute {log:q}"
