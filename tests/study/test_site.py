"""A site's settings: the shipped files, what is wrong with others in one line, and what a job asks for by them."""

from pathlib import Path

import pytest
import yaml

from lskd.errors import UserError
from lskd.study.site import KINDS, Queue, Slurm, export, of_profile, read_site

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("executor", KINDS)
def test_the_shipped_file_names_every_key_and_its_default(executor):
    path = ROOT / f"workflow/profiles/{executor}/site.yaml"
    values = yaml.safe_load(path.read_text())
    assert values.keys() == KINDS[executor].model_fields.keys() - {"executor"}
    submit = {"submit": values["submit"]} if executor == "queue" else {}
    assert read_site(path, executor) == KINDS[executor](**submit)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partion: gpu", "partion: no such key; known are account, attempts,"),
        ("jobs: many", "jobs: found 'many', input should be a valid integer"),
        ("jobs: 0", "jobs: found 0, input should be greater than or equal to 1"),
        ("partition: 'a; rm -rf /'", "partition: found 'a; rm -rf /', string should match pattern"),
        ("partition: $(id)", "partition: found '$(id)', string should match pattern"),
        ("status: qstat", "status: found 'qstat', input should be 'squeue' or 'sacct'"),
        ("- a", "found list, a mapping of keys is needed"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_site(path, "slurm")
    assert str(error.value).startswith(f"{path}: ") and words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_queue_needs_its_command(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("jobs: 3\n")
    with pytest.raises(UserError, match="submit: is missing"):
        read_site(path, "queue")


def test_what_jobs_ask_for():
    site = Slurm(partition="cpu", gpu_partition="gpu", gpu_model="a100", account="lab", qos="fast", signal_seconds=60)
    assert site.resources(0) == {"slurm_partition": "cpu"}
    assert site.resources(1) == {"slurm_partition": "gpu", "gpu_model": "a100"}
    assert site.default_resources == ["slurm_extra='--signal=TERM@60'", "slurm_account='lab'", "qos='fast'"]
    assert Slurm(partition="all").resources(1) == {"slurm_partition": "all"}
    assert Slurm().resources(1) == Queue(submit="qsub").resources(1) == {}


def test_it_reaches_the_jobs(monkeypatch):
    monkeypatch.delenv("LSKD_SITE", raising=False)
    assert of_profile() is None
    for site in (Slurm(partition="cpu"), Queue(submit="qsub")):
        monkeypatch.setenv("LSKD_SITE", "")
        export(site)
        assert of_profile() == site
