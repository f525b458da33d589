rule corpus:
    input:
        reads("corpus"),
    output:
        made_by("corpus"),
    log:
        "results/corpora/{job}/corpus.log",
    group:
        pack("corpus")
    conda:
        "../../envs/train.yaml"
    resources:
        **asks_for("corpus"),
    shell:
        "python -m lskd.jobs.run {log:q}"


rule translate:
    input:
        reads("translate"),
    output:
        made_by("translate"),
    log:
        "results/translations/{job}/translate.log",
    group:
        pack("translate")
    conda:
        "../../envs/train.yaml"
    threads: PLAN.main.runtime.threads
    resources:
        **asks_for("translate", GPU),
    shell:
        "python -m lskd.jobs.run {log:q}"
