rule metrics:
    input:
        reads("metrics"),
    output:
        made_by("metrics"),
    log:
        "results/metrics/{job}/metrics.log",
    conda:
        "../../envs/train.yaml"
    params:
        job=job_file,
    shell:
        "python -m lskd.jobs.execute {params.job:q} --log {log:q}"
