rule probe:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.run].data.folder}/data.safetensors",
        weights="results/{run}/snapshots.safetensors",
    output:
        "results/{run}/probe.parquet",
    params:
        spec=lambda wildcards: keys.canonical(probe_spec(wildcards)),
        code=lambda wildcards: code("probe", probe_spec(wildcards)),
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    log:
        "results/{run}/probe.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.probe --spec {params.spec:q} --code {params.code:q}"
        " --data {input.data:q} --weights {input.weights:q} --out {output:q} 2> {log:q}"
