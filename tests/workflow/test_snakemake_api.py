"""What the workflow uses of Snakemake beyond its documented words: named here, so that a new version tells."""

import inspect
import re

import pytest
import snakemake.cli  # noqa: F401  # first, as its modules import each other in a circle
from snakemake.dag import DAG
from snakemake.workflow import Workflow

from tests.workflow.conftest import ROOT

RULES = "".join(path.read_text() for path in [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))])
USED = set(re.findall(r"\bworkflow\.(?!rst)(\w+)", RULES))
KNOWN = {
    *("basedir", "config_settings", "configfiles", "dag_settings", "dryrun", "is_main_process", "output_settings"),
    "overwrite_configfiles",
}


def test_the_workflow_uses_what_is_named_here():
    assert USED == KNOWN


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_snakemake_has_it(name):
    assert (
        hasattr(Workflow, name)
        or f"self.{name}" in inspect.getsource(Workflow)
        or f"{name}:" in inspect.getsource(Workflow)
    )


def test_the_check_that_is_left_out_is_for_folders_and_no_rule_has_one():
    assert "directory output" in DAG.check_directory_outputs.__doc__
    assert "directory(" not in RULES
