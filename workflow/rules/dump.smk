rule dump:
    input:
        data="results/{data}/data.safetensors",
        weights="results/{data}/{run}/model.safetensors",
    output:
        f"results/{{data}}/{{run}}/{tables.DUMPED}",
    log:
        "results/{data}/{run}/dump.log",
    conda:
        "../../envs/train.yaml"
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    params:
        job=lambda wildcards: job("dump", {"run": RUNS[f"{wildcards.data}/{wildcards.run}"].spec}),
    shell:
        "python -m lskd.dump {params.job}"
        " --data {input.data:q} --weights {input.weights:q} --out results/{wildcards.data:q}/{wildcards.run:q} 2> {log:q}"


rule views:
    input:
        data="results/{data}/data.safetensors",
        weights="results/{data}/{run}/model.safetensors",
    output:
        "results/{data}/{run}/logits/{views}.parquet",
    log:
        "results/{data}/{run}/logits/{views}.log",
    wildcard_constraints:
        views=r"(clean|views\d+)-[^/]+",
    conda:
        "../../envs/train.yaml"
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    params:
        job=lambda wildcards: job("views", views_spec(wildcards)),
    shell:
        "python -m lskd.views {params.job}"
        " --data {input.data:q} --weights {input.weights:q} --out {output:q} 2> {log:q}"
