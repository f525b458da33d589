"""The shipped profile: one GPU job at a time, files compared by content."""

import re

import yaml

from tests.workflow.conftest import ROOT


def asked(finished, device: str) -> set[str]:
    """What the jobs that use torch ask of the `gpu` resource."""
    text = finished.run("--dry-run", "--forceall", "--config", f"runtime={{device: {device}}}")
    jobs = re.findall(r"^rule (train|distill|dump|views):\n(?:    .*\n)*?    resources: (.*)$", text, re.MULTILINE)
    assert {rule for rule, _ in jobs} == {"train", "distill", "dump", "views"}
    return {re.search(r"gpu=(\d+)", resources).group(1) for _, resources in jobs}


def test_jobs_ask_for_a_gpu_where_it_is_to_be_used(finished):
    assert asked(finished, "cuda") == {"1"}
    assert asked(finished, "cpu") == {"0"}


def test_a_plain_snakemake_takes_the_profile(finished):
    profile = yaml.safe_load((ROOT / "workflow/profiles/default/profile.yaml").read_text())
    assert profile["resources"] == ["gpu=1"]
    text = finished.run("--dry-run")
    assert "profiles/default" in text
