rule data:
    input:
        lambda wildcards: own_pictures(data_of(wildcards)),
    output:
        "results/{data}/data.safetensors",
    log:
        "results/{data}/data.log",
    conda:
        "../../envs/train.yaml"
    params:
        job=lambda wildcards: job("data", keys.spec(data_of(wildcards))),
        root=lambda wildcards: data_of(wildcards).root,
    shell:
        "python -m lskd.data.prepare {params.job}" " --root {params.root:q} --out {output:q} 2> {log:q}"
