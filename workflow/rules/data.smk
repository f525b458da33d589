rule data:
    input:
        reads("data"),
    output:
        made_by("data"),
    log:
        "results/data/{job}/data.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.jobs.execute {log:q}"
