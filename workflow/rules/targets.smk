"""What a user asks for by name: a study, or one of its figures (`snakemake muller2019_fig5`)."""

for study in STUDIES.values():

    rule:
        name:
            study.study
        input:
            figures_of(study),

    for figure in study.figures:

        rule:
            name:
                figure if study is MAIN else f"{study.study}_{figure}"
            input:
                figure_files(study, figure),
