"""The identity columns of a metrics table: which run a row measures. Every list of such columns draws on this one."""

IDENTITY = (
    "run",  # its title, which reads as its provenance
    "group",  # under which the study names it
    "role",  # teacher, baseline or student
    "dataset",  # the data set's folder
    "model",  # the network's slug
    "recipe",  # the name of its recipe
    "teacher",  # the title of the run that taught it; "" for labels
    "teacher_model",  # that run's network; "" for labels
    "lineage",  # a title without smoothing and seed: its own, or of a student its teacher's
    "label_smoothing",  # alpha of the run at the root of its teachers, or its own
    "smoothing",  # the form of that smoothing: uniform or others
    "temperature",  # T of its distillation; missing for labels, and for a way of teaching without one
    "soft_weight",  # the share of the teacher in its loss; missing for labels
    "variant",  # what else differs from plain distillation; "" for nothing
    "seed",  # of the first of its teachers, which its own follows from; its own where it has none
    "student",  # which of its teacher's students it is, from 0; missing for labels
)
