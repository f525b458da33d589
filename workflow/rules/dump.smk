rule dump:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.run].data.folder}/data.safetensors",
        weights=lambda wildcards: weights(RUNS[wildcards.run]),
    output:
        f"results/{{run}}/{tables.DUMPED}",
    log:
        "results/{run}/dump.log",
    conda:
        "../../envs/train.yaml"
    threads: MAIN.runtime.threads
    resources:
        gpu=GPU,
    params:
        job=lambda wildcards: job("dump", {"run": RUNS[wildcards.run].spec}),
    shell:
        "python -m lskd.dump {params.job}"
        " --data {input.data:q} --weights {input.weights:q} --out results/{wildcards.run:q} 2> {log:q}"


rule views:
    input:
        data=lambda wildcards: f"results/{RUNS[wildcards.run].data.folder}/data.safetensors",
        weights=lambda wildcards: weights(RUNS[wildcards.run]),
    output:
        "results/{run}/logits/{views}.parquet",
    log:
        "results/{run}/logits/{views}.log",
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
