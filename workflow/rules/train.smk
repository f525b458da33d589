wildcard_constraints:
    labels=r"[^/]+/[^/]+/[^/]+/seed\d+",
    student=r".+/kd/[^/]+/[^/]+/[^/]+/seed\d+",


rule train:
    input:
        data="results/{data}/data.safetensors",
    output:
        "results/{data}/{labels}/model.safetensors",
        "results/{data}/{labels}/history.parquet",
    log:
        "results/{data}/{labels}/train.log",
    conda:
        "../../envs/train.yaml"
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    params:
        job=lambda wildcards: job("train", RUNS[f"{wildcards.data}/{wildcards.labels}"].spec),
    shell:
        "python -m lskd.train {params.job}"
        " --data {input.data:q} --out results/{wildcards.data:q}/{wildcards.labels:q} 2> {log:q}"


rule distill:
    input:
        data="results/{data}/data.safetensors",
        teacher=lambda wildcards: teacher_file(RUNS[f"{wildcards.data}/{wildcards.student}"]),
    output:
        "results/{data}/{student}/model.safetensors",
        "results/{data}/{student}/history.parquet",
    log:
        "results/{data}/{student}/distill.log",
    conda:
        "../../envs/train.yaml"
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    params:
        job=lambda wildcards: job("distill", RUNS[f"{wildcards.data}/{wildcards.student}"].spec),
    shell:
        "python -m lskd.distill {params.job}"
        " --data {input.data:q} --teacher {input.teacher:q} --out results/{wildcards.data:q}/{wildcards.student:q} 2> {log:q}"
