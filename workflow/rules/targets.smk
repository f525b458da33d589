"""What a user asks for by name: a study, or one of its figures (`snakemake muller2019_fig5`)."""

for name in PLAN.names:

    rule:
        name:
            name
        input:
            lambda wildcards, name=name: or_end(asked().figures, name),
