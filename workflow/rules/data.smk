rule data:
    input:
        reads("data"),
    output:
        made_by("data"),
    log:
        "results/data/{job}/data.log",
    group:
        pack("data")
    conda:
        "../../envs/train.yaml"
    resources:
        **asks_for("data"),
    shell:
        "python -m lskd.jobs.run {log:q}"
