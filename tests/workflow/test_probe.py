"""What mutual information and the count of parameters need of the workflow: the probe of snapshots, and no training."""

import copy

import pyarrow.parquet as pq
import pytest

from tests.workflow.conftest import TINY, Tree

CURVE = {"kind": "information", "groups": ["p"], "classes": ["3", "8"]}
PROBED = TINY | {
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
    made = Tree(tmp_path_factory.mktemp("probed"))
    made.configure(PROBED)
    return made


def test_runs_to_its_end(tree):
    assert tree.planned("size") == {"complexity size complexity", "figure size"}
    tree.run()
    probe = pq.read_table(tree.folder / "results/digits/mlp-w8/kept/ls0/seed0/probe.parquet").to_pandas()
    assert sorted(probe["epoch"].unique()) == [0, 2]
    assert sorted(probe["view"].unique()) == [1, 2, 3, 4, 5]
    assert sorted(probe["label"].unique()) == [3, 8]
    counted = pq.read_table(tree.folder / "results/metrics/demo/tiny/size/complexity.parquet").to_pandas()
    assert dict(zip(counted["model"], counted["parameters"], strict=True))["resnet18"] == 11_689_512
    assert tree.planned() == set()


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"curve": CURVE, "other": CURVE | {"classes": ["3", "9"]}}, "another figure probes digits/mlp-w8/kept"),
        ({"curve": CURVE | {"classes": ["3"]}}, "mutual information takes 2"),
        ({"curve": CURVE | {"groups": ["t"]}}, "give recipes.one some snapshot_epochs"),
    ],
)
def test_what_cannot_be_probed_is_told_before_anything_runs(tree, figures, said):
    tree.configure(PROBED | {"figures": figures})
    done = tree.snakemake("--dry-run")
    assert done.returncode != 0
    told = [line for line in done.stdout.splitlines() if line.startswith("error:")]
    assert len(told) == 1
    assert said in told[0]
    assert "Traceback" not in done.stdout


def test_the_order_of_the_two_classes_is_no_conflict(tree):
    turned = {"curve": CURVE, "other": CURVE | {"classes": ["8", "3"]}}
    tree.configure(PROBED | {"figures": turned})
    tree.run("--dry-run")


def test_a_papers_study_yields_to_the_config(tree):
    """Who edits the default study's recipe is not stopped by the papers' studies that share its runs."""
    edited = copy.deepcopy(PROBED)
    edited["recipes"]["short"] = {"epochs": 1}
    edited["teachers"]["t"] = {"model": {"name": "resnet8", "width": 16}, "recipe": "short"}
    tree.configure(edited | {"figures": {"grid": {"kind": "accuracy_table", "groups": ["t"]}}})
    text = tree.run("--dry-run")
    assert "note: muller2019 is left out" in text
    assert "train" in text
