wildcard_constraints:
    labels=r"[^/]+/[^/]+/[^/]+/[^/]+/seed\d+",
    student=r".+/kd/[^/]+/[^/]+/[^/]+/seed\d+",


rule train:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.labels].data.folder}/data.safetensors",
    output:
        "results/{labels}/model.safetensors",
        "results/{labels}/history.parquet",
    log:
        "results/{labels}/train.log",
    conda:
        "../../envs/train.yaml"
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    params:
        job=lambda wildcards: job("train", RUNS[wildcards.labels].spec),
    shell:
        "python -m lskd.train {params.job}" " --data {input.data:q} --out results/{wildcards.labels:q} 2> {log:q}"


rule distill:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.student].data.folder}/data.safetensors",
        teacher=lambda wildcards: teacher_file(RUNS[wildcards.student]),
    output:
        "results/{student}/model.safetensors",
        "results/{student}/history.parquet",
    log:
        "results/{student}/distill.log",
    conda:
        "../../envs/train.yaml"
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    params:
        job=lambda wildcards: job("distill", RUNS[wildcards.student].spec),
    shell:
        "python -m lskd.distill {params.job}"
        " --data {input.data:q} --teacher {input.teacher:q} --out results/{wildcards.student:q} 2> {log:q}"
