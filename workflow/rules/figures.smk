rule figure:
    input:
        frames=lambda wildcards: expand(
            "results/metrics/{{scale}}/{{study}}/{{figure}}/{family}.parquet",
            family=tables.FIGURES[figure_of(wildcards).kind].families,
        ),
        paper=published_numbers,
    output:
        picture=report(
            "results/figures/{scale}/{study}/{figure}.png",
            caption="../report/figure.rst",
            category=lambda wildcards: study_title(wildcards),
            labels=lambda wildcards: figure_labels(wildcards),
        ),
        table=report(
            "results/figures/{scale}/{study}/{figure}.html",
            caption="../report/figure.rst",
            category=lambda wildcards: study_title(wildcards),
            labels=lambda wildcards: figure_labels(wildcards, "table"),
        ),
        others=multiext("results/figures/{scale}/{study}/{figure}", ".svg", ".pdf", ".csv", ".md", ".tex"),
    log:
        "results/figures/{scale}/{study}/{figure}.log",
    conda:
        "../../envs/figures.yaml"
    params:
        spec=lambda wildcards: keys.canonical(figure_spec(wildcards)),
        code=lambda wildcards: code("figures", figure_spec(wildcards)),
    shell:
        "python -m lskd.figures.render --spec {params.spec:q} --code {params.code:q}"
        " --frames {input.frames:q} --paper {input.paper:q} --out results/figures/{wildcards.scale}/{wildcards.study:q}/{wildcards.figure:q} 2> {log:q}"
