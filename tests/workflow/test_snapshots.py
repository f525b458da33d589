"""What mutual information and the count of parameters need of the workflow: a run's snapshots, and no training."""

import copy

import pyarrow.parquet as pq
import pytest

from tests.workflow.conftest import TINY, Tree

CURVE = {"kind": "information", "groups": ["p"], "classes": ["3", "8"]}
STUDY = TINY | {
    "recipes": TINY["recipes"] | {"kept": {"epochs": 2, "crop_padding": 1, "snapshot_epochs": [0, 2]}},
    "teachers": TINY["teachers"]
    | {
        "p": {"model": {"name": "mlp", "width": 8}, "recipe": "kept"},
        "big": {"model": "resnet18", "recipe": "one"},
    },
    "students": {},
    "figures": {"curve": CURVE, "size": {"kind": "complexity", "groups": ["big", "p"]}},
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("snapshots"))
    tree.configure(STUDY)
    yield tree
    tree.close()


def test_runs_to_its_end(tree):
    """The count of parameters trains nothing, and the snapshots train the one run that has them."""
    assert tree.pending("size") == {"metrics size complexity", "figure size"}
    curve = {"data", "train ls0/0", "snapshots ls0/0", "metrics curve information", "figure curve"}
    assert tree.pending() == tree.planned() == curve | {"metrics size complexity", "figure size"}
    tree.run()
    (path,) = tree.results("snapshots/digits/mlp-w8/kept/ls0/seed0/snapshots-*/snapshots.parquet")
    snapshots = pq.read_table(path).to_pandas()
    assert sorted(snapshots["epoch"].unique()) == [0, 2]
    assert sorted(snapshots["draw"].unique()) == [1, 2, 3, 4, 5]
    assert sorted(snapshots["label"].unique()) == [3, 8]
    (path,) = tree.results("metrics/demo/tiny/size/complexity-*/metrics.parquet")
    counted = pq.read_table(path).to_pandas()
    assert dict(zip(counted["model"], counted["parameters"], strict=True))["resnet18"] == 11_689_512
    assert tree.pending() == tree.planned() == set()


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"curve": CURVE | {"classes": ["3"]}}, "mutual information takes 2"),
        ({"curve": CURVE | {"groups": ["t"]}}, "give recipes.one some snapshot_epochs"),
    ],
)
def test_what_has_no_snapshots_is_told_before_anything_runs(tree, figures, said):
    tree.configure(STUDY | {"figures": figures})
    done = tree.snakemake("--dry-run")
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error:")]
    assert said in line
    assert "Traceback" not in done.stdout


def test_two_figures_of_two_pairs_of_classes(tree):
    """Each pair has snapshots' logits of its own; the order of the two makes no difference to them."""
    tree.configure(STUDY | {"figures": {"curve": CURVE, "other": CURVE | {"classes": ["3", "9"]}}})
    assert tree.pending() == {"snapshots ls0/0", "metrics other information", "figure other"}
    tree.configure(STUDY | {"figures": {"curve": CURVE, "other": CURVE | {"classes": ["8", "3"]}}})
    assert tree.pending() == {"metrics other information", "figure other"}


def test_a_papers_study_yields_to_the_config(tree):
    """Who edits the default study's recipe is not stopped by the papers' studies that have runs of the same name."""
    edited = copy.deepcopy(STUDY)
    edited["recipes"]["short"] = {"epochs": 1}
    edited["teachers"]["t"] = {"model": {"name": "resnet8", "width": 16}, "recipe": "short"}
    tree.configure(edited | {"figures": {"grid": {"kind": "accuracy_table", "groups": ["t"]}}})
    assert {"train ls0/0", "figure grid"} <= tree.pending() == tree.planned()
    assert "train ls0/0" in tree.pending("muller2019_fig1")
