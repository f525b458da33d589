"""The jobs of the tiny study by their short names, and the sets of them that edits make anew."""

NOTHING: set[str] = set()
GRID = {"metrics grid accuracy", "figure grid"}
STABILITY = {"metrics stability stability", "metrics stability accuracy", "figure stability"}
FIGURES = GRID | STABILITY


def teacher(alpha, seed=0):
    """A teacher, what it says of clean images, and its logits for its students."""
    return {f"{stage} ls{alpha}/{seed}" for stage in ("train", "predict", "teacher_logits")}


def student(alpha, slug, seed=0):
    """A student and what it says of clean images."""
    return {f"{stage} ls{alpha}/{seed} {slug}" for stage in ("train", "predict")}


def students(*slugs):
    """The students of both teachers, and the figure that shows them."""
    return GRID.union(*(student(alpha, slug) for alpha in ("0", "0.1") for slug in slugs))


def at(stage, jobs):
    """Those of one stage."""
    return {job for job in jobs if job.split()[0] == stage}


STUDENTS = students("T1", "T3")
SMOOTHED = teacher("0.1") | student("0.1", "T1") | student("0.1", "T3") | FIGURES
UNSMOOTHED = teacher("0") | student("0", "T1") | student("0", "T3") | FIGURES
TRAINED = SMOOTHED | UNSMOOTHED
ALL = TRAINED | {"data"}
LOGITS = at("teacher_logits", TRAINED) | STUDENTS  # and what is made of them
PREDICTED = at("predict", TRAINED) | FIGURES
FORWARDED = LOGITS | PREDICTED  # what runs a trained network, and what is made of that
DRAWN = {"figure grid", "figure stability"}
