rule train:
    input:
        reads("train"),
    output:
        made_by("train"),
    log:
        "results/runs/{job}/train.log",
    conda:
        "../../envs/train.yaml"
    threads: PLAN.main.runtime.threads
    resources:
        gpu=GPU,
    shell:
        "python -m lskd.jobs.execute {log:q}"
