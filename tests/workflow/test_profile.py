"""The shipped profile: one GPU job at a time, and nothing but a missing file makes a job run."""

import re

import yaml

from tests.workflow.conftest import ROOT, TINY
from tests.workflow.edits import put_back

STAGES = {"train", "predict", "teacher_logits"}


def asked(finished, device: str, *options: str) -> list[tuple[str, str]]:
    """Each rule of jobs that use torch, with what they ask of the `gpu` resource, in a study of another seed."""
    with put_back(finished.folder, "config.yaml"):
        settings = [f"runtime={{device: {device}}}", "seeds=[5]", *options]
        text = finished.run("--dry-run", "--quiet", "host", "--resources", "gpu=4", "--config", *settings)
    jobs = re.findall(r"^rule (train|predict|teacher_logits):\n(?:    .*\n)*?    resources: (.*)$", text, re.MULTILINE)
    assert {rule for rule, _ in jobs} == STAGES
    return [(rule, gpus.group(1) if (gpus := re.search(r"gpu=(\d+)", resources)) else "0") for rule, resources in jobs]


def test_jobs_ask_for_a_gpu_where_it_is_to_be_used(finished):
    assert {gpus for _, gpus in asked(finished, "cuda")} == {"1"}
    assert {gpus for _, gpus in asked(finished, "cpu")} == {"0"}


def test_a_training_of_several_processes_asks_for_a_gpu_each(finished):
    recipe = next(iter(TINY["recipes"]))
    jobs = set(asked(finished, "cuda", f"recipes={{{recipe}: {{processes: 3}}}}"))
    assert jobs >= {("train", "3"), ("predict", "1"), ("teacher_logits", "1")}


def test_a_plain_snakemake_takes_the_profile(finished):
    profile = yaml.safe_load((ROOT / "workflow/profiles/default/profile.yaml").read_text())
    assert profile["resources"] == ["gpu=1"]
    assert profile["rerun-triggers"] == ["mtime"]  # of the five the one that `ancient` and `update` silence
    assert profile["nolock"] is profile["ignore-incomplete"] is profile["keep-going"] is True
    assert "profiles/default" in finished.run("--dry-run")
