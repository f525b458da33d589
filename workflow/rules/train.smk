rule train:
    input:
        reads("train"),
    output:
        made_by("train"),
    log:
        "results/runs/{job}/train.log",
    group:
        pack("train")
    conda:
        "../../envs/train.yaml"
    threads: per_process("train", PLAN.main.runtime.threads)
    resources:
        **asks_for("train", GPU),
    shell:
        "python -m lskd.jobs.run {log:q}"
