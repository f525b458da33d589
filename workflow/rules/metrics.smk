localrules:
    plan,


rule plan:
    output:
        "results/metrics/{scale}/{study}/{figure}/runs.json",
    log:
        "results/metrics/{scale}/{study}/{figure}/runs.log",
    params:
        rows=lambda wildcards: keys.canonical(plan_rows(wildcards)),
    run:
        write_json(output[0], json.loads(params.rows))


rule metrics:
    input:
        files=metrics_inputs,
        plan="results/metrics/{scale}/{study}/{figure}/runs.json",
    output:
        "results/metrics/{scale}/{study}/{figure}/{family}.parquet",
    log:
        "results/metrics/{scale}/{study}/{figure}/{family}.log",
    wildcard_constraints:
        family="|".join(tables.METRICS),
    conda:
        "../../envs/train.yaml"
    params:
        job=lambda wildcards: job("metrics", metrics_spec(wildcards)),
    shell:
        "python -m lskd.metrics.measure {params.job}"
        " --plan {input.plan:q} --results results --out {output:q} 2> {log:q}"


rule complexity:
    output:
        "results/metrics/{scale}/{study}/{figure}/complexity.parquet",
    log:
        "results/metrics/{scale}/{study}/{figure}/complexity.log",
    conda:
        "../../envs/train.yaml"
    params:
        job=lambda wildcards: job("complexity", complexity_spec(wildcards)),
    shell:
        "python -m lskd.complexity {params.job} --out {output:q} 2> {log:q}"
