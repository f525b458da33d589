rule probe:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.run].data.folder}/data.safetensors",
        weights="results/{run}/model.safetensors",
    output:
        "results/{run}/probe.parquet",
    log:
        "results/{run}/probe.log",
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
