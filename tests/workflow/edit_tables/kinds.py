"""Edits where the study has a figure of each kind, each with the jobs that it makes anew."""

from tests.workflow.conftest import KINDS, OF_IMAGES
from tests.workflow.edit_tables.jobs import NOTHING
from tests.workflow.edits import appended, inserted, put, replaced

LOOKED_AT = {f"figure the_{kind}" for kind in OF_IMAGES}


def shown(*kinds):
    """The figures of some kinds."""
    return {f"figure the_{kind}" for kind in kinds}


def look(kind, **options):
    """Another option of a figure in the study of all kinds."""
    return put("figures", f"the_{kind}", KINDS["figures"][f"the_{kind}"] | options, study=KINDS)


TABLES = ("accuracy_table", "error_table")
PROJECTED = {f"metrics the_{kind} projection" for kind in ("clusters", "projection", "projection_muller")}
INFORMATION = {"metrics the_information information", "figure the_information"}
OF_KINDS = {
    "the snapshots": (inserted("lskd/inference/snapshots.py", "run"), INFORMATION | {"snapshots ls0/0"}),
    "the constant of the snapshots": (
        replaced("lskd/jobs/catalogue.py", "SNAPSHOT_DRAWS = 600, 5", "SNAPSHOT_DRAWS = 600, 6"),
        INFORMATION | {"snapshots ls0/0"},
    ),
    "the count of parameters": (
        inserted("lskd/inference/complexity.py", "run"),
        {"metrics the_complexity complexity", "figure the_complexity"},
    ),
    "a projection": (
        inserted("lskd/metrics/projection.py", "measure"),
        PROJECTED | shown("clusters", "projection", "projection_muller"),
    ),
    "the courses": (
        inserted("lskd/metrics/history.py", "measure"),
        {"metrics the_curves history", "figure the_curves"},
    ),
    "the look": (inserted("lskd/figures/style.py", "context"), LOOKED_AT),
    "a marker": (
        inserted("lskd/figures/style.py", "marker"),
        shown(*TABLES, "grid", "inter_stability", "settings", "stability", "summary", "verdict"),
    ),
    "a figure": (inserted("lskd/figures/diffusion.py", "draw"), shown("diffusion")),
    "the published numbers beside ours": (
        inserted("lskd/figures/beside.py", "beside"),
        shown(*TABLES, "grid", "inter_stability", "stability"),
    ),
    "a paper's numbers": (appended("lskd/papers/shen2021.yaml", "# a comment\n"), NOTHING),  # of another study
    "the numbers of the paper that the summary shows": (
        appended("lskd/papers/chandrasegaran2022.yaml", "# a comment\n"),
        shown("summary"),
    ),
    "how papers are read": (
        inserted("lskd/papers/read.py", "paper"),
        shown(
            *TABLES,
            *"calibration_table classes_gain complexity diffusion grid inter_stability stability summary".split(),
            *("best_smoothing", "data_card", "settings", "teacher_student"),
        ),
    ),
    "the words of the verdict": (inserted("lskd/analysis/wording.py", "sentences"), shown("verdict")),
    "classes of a figure": (
        look("clusters", classes=["3", "9", "8"]),
        {"metrics the_clusters projection", "metrics the_clusters clusters", "figure the_clusters"},
    ),
    "classes in another order": (look("information", classes=["8", "3"]), INFORMATION),
    "two other classes": (look("information", classes=["3", "9"]), INFORMATION | {"snapshots ls0/0"}),
    "temperatures of a figure": (
        look("soft_targets", temperatures=[1, 4, 20]),
        {"metrics the_soft_targets probabilities", "figure the_soft_targets"},
    ),
    "an option of one of two families": (
        look("summary", t1=1, t2=3),
        {"metrics the_summary diffusion", "figure the_summary"},
    ),
    "similar classes": (
        look("diffusion", targets=["3"], similar={"3": ["8", "9"]}),
        {"metrics the_diffusion diffusion", "figure the_diffusion"},
    ),
    "the title": (put("name", "Another title", study=KINDS), NOTHING),
    "an option at its default that the kind does not take": (look("curves", classes=[]), NOTHING),
}
