wildcard_constraints:
    labels=r"(?:(?!/kd/).)+/seed\d+",
    student=r".+/kd/.+/seed\d+",


rule train:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.labels].data.folder}/data.safetensors",
    output:
        "results/{labels}/model.safetensors",
        "results/{labels}/best.safetensors",
        "results/{labels}/snapshots.safetensors",
        "results/{labels}/history.parquet",
    params:
        spec=lambda wildcards: keys.canonical(RUNS[wildcards.labels].spec),
        code=lambda wildcards: code("train", RUNS[wildcards.labels].spec),
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    log:
        "results/{labels}/train.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.train --spec {params.spec:q} --code {params.code:q}"
        " --data {input.data:q} --out results/{wildcards.labels:q} 2> {log:q}"


rule distill:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.student].data.folder}/data.safetensors",
        teacher=lambda wildcards: teacher_file(RUNS[wildcards.student]),
    output:
        "results/{student}/model.safetensors",
        "results/{student}/best.safetensors",
        "results/{student}/snapshots.safetensors",
        "results/{student}/history.parquet",
    params:
        spec=lambda wildcards: keys.canonical(RUNS[wildcards.student].spec),
        code=lambda wildcards: code("distill", RUNS[wildcards.student].spec),
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    log:
        "results/{student}/distill.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.distill --spec {params.spec:q} --code {params.code:q}"
        " --data {input.data:q} --teacher {input.teacher:q} --out results/{wildcards.student:q} 2> {log:q}"
