rule predict:
    input:
        reads("predict"),
    output:
        made_by("predict"),
    log:
        "results/predictions/{job}/predict.log",
    group:
        pack("predict")
    conda:
        "../../envs/train.yaml"
    threads: PLAN.main.runtime.threads
    resources:
        **asks_for("predict", GPU),
    shell:
        "python -m lskd.jobs.run {log:q}"


rule teacher_logits:
    input:
        reads("teacher_logits"),
    output:
        made_by("teacher_logits"),
    log:
        "results/teacher_logits/{job}/teacher_logits.log",
    priority: 1  # so that students wait together, who may advance as one
    group:
        pack("teacher_logits")
    conda:
        "../../envs/train.yaml"
    threads: PLAN.main.runtime.threads
    resources:
        **asks_for("teacher_logits", GPU),
    shell:
        "python -m lskd.jobs.run {log:q}"


rule snapshots:
    input:
        reads("snapshots"),
    output:
        made_by("snapshots"),
    log:
        "results/snapshots/{job}/snapshots.log",
    group:
        pack("snapshots")
    conda:
        "../../envs/train.yaml"
    threads: PLAN.main.runtime.threads
    resources:
        **asks_for("snapshots", GPU),
    shell:
        "python -m lskd.jobs.run {log:q}"
