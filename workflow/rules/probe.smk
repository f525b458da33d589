rule probe:
    input:
        data="results/{data}/data.safetensors",
        weights="results/{data}/{run}/model.safetensors",
    output:
        "results/{data}/{run}/probe.parquet",
    log:
        "results/{data}/{run}/probe.log",
    conda:
        "../../envs/train.yaml"
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    params:
        job=lambda wildcards: job("probe", probe_spec(wildcards)),
    shell:
        "python -m lskd.probe {params.job}"
        " --data {input.data:q} --weights {input.weights:q} --out {output:q} 2> {log:q}"
