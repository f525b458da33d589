localrules:
    plan,


rule plan:
    output:
        "results/metrics/{scale}/{study}/{figure}/runs.json",
    params:
        rows=lambda wildcards: keys.canonical(plan_rows(wildcards)),
    log:
        "results/metrics/{scale}/{study}/{figure}/runs.log",
    run:
        write_json(output[0], json.loads(params.rows))


rule metrics:
    input:
        files=metrics_inputs,
        plan="results/metrics/{scale}/{study}/{figure}/runs.json",
    output:
        "results/metrics/{scale}/{study}/{figure}/{family}.parquet",
    params:
        spec=lambda wildcards: keys.canonical(metrics_spec(wildcards)),
        code=lambda wildcards: code("metrics", metrics_spec(wildcards)),
    wildcard_constraints:
        family="|".join(tables.METRICS),
    log:
        "results/metrics/{scale}/{study}/{figure}/{family}.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.metrics.measure --spec {params.spec:q} --code {params.code:q}"
        " --plan {input.plan:q} --results results --out {output:q} 2> {log:q}"


rule complexity:
    output:
        "results/metrics/{scale}/{study}/{figure}/complexity.parquet",
    params:
        spec=lambda wildcards: keys.canonical(complexity_spec(wildcards)),
        code=lambda wildcards: code("complexity", complexity_spec(wildcards)),
    log:
        "results/metrics/{scale}/{study}/{figure}/complexity.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m lskd.complexity --spec {params.spec:q} --code {params.code:q} --out {output:q} 2> {log:q}"
