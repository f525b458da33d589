rule data:
    input:
        reads("data"),
    output:
        made_by("data"),
    log:
        "results/data/{job}/data.log",
    conda:
        "../../envs/train.yaml"
    params:
        job=job_file,
    shell:
        "python -m lskd.jobs.execute {params.job:q} --log {log:q}"
