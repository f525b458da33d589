rule dump:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.run].data.folder}/data.safetensors",
        weights=lambda wildcards: weights(RUNS[wildcards.run]),
    output:
        expand("results/{{run}}/logits/{split}.parquet", split=["train", "val", "test"]),
        expand("results/{{run}}/features/{split}.parquet", split=["train", "val"]),
        "results/{run}/head.safetensors",
    params:
        spec=lambda wildcards: keys.canonical({"run": RUNS[wildcards.run].spec}),
        code=lambda wildcards: code("dump", {"run": RUNS[wildcards.run].spec}),
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    log:
        "results/{run}/dump.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.dump --spec {params.spec:q} --code {params.code:q}"
        " --data {input.data:q} --weights {input.weights:q} --out results/{wildcards.run:q} 2> {log:q}"


rule views:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.run].data.folder}/data.safetensors",
        weights=lambda wildcards: weights(RUNS[wildcards.run]),
    output:
        "results/{run}/logits/{views}.parquet",
    params:
        spec=lambda wildcards: keys.canonical(views_spec(wildcards)),
        code=lambda wildcards: code("views", views_spec(wildcards)),
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    wildcard_constraints:
        views=r"(clean|views\d+)-[^/]+",
    log:
        "results/{run}/logits/{views}.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.views --spec {params.spec:q} --code {params.code:q}"
        " --data {input.data:q} --weights {input.weights:q} --out {output:q} 2> {log:q}"
