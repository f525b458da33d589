rule data:
    input:
        lambda wildcards: own_pictures(data_of(wildcards)),
    output:
        "results/{data}/data.safetensors",
    params:
        spec=lambda wildcards: keys.canonical(keys.spec(data_of(wildcards))),
        code=lambda wildcards: code("data", keys.spec(data_of(wildcards))),
        root=lambda wildcards: data_of(wildcards).root,
    log:
        "results/{data}/data.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.data.prepare --spec {params.spec:q} --code {params.code:q}"
        " --root {params.root:q} --out {output:q} 2> {log:q}"
