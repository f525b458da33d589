"""A study packed on one machine, and its figures drawn on another, on another path, in an environment without torch."""

import shutil
import subprocess
import sys

import pytest
import yaml

from tests.jobs.crates import issues
from tests.workflow.conftest import ENVIRONMENT, ROOT, TINY, Tree, jobs_of, published

ENDINGS = ("svg", "csv", "md", "tex", "html")  # PNG and PDF are packed by libraries of the machine's
STUDY = "studies/demo/tiny.yaml"


@pytest.fixture(scope="module")
def packs(finished, tmp_path_factory):
    """The tiny study in a pack, and in one with its logits and images."""
    folder = tmp_path_factory.mktemp("packs")
    for name, options in (("small.zip", []), ("large.zip", ["--with-logits", "--with-data"])):
        lskd(finished, "pack", "tiny", *options, "-o", folder / name)
    return folder


@pytest.fixture
def elsewhere(finished, tmp_path):
    """A checkout of the same code on another path, whose own config is another study."""
    folder = tmp_path / "another-machine"
    folder.mkdir()
    tree = Tree(folder, finished.folder)
    shutil.copy(ROOT / "config.yaml", folder)
    yield tree
    tree.close()


def lskd(tree, *arguments, python=sys.executable):
    return said(tree, python, "-m", "lskd", *arguments)


def said(tree, *command):
    done = subprocess.run(
        list(map(str, command)),
        cwd=tree.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def snakemake(laptop, tree, *arguments):
    return said(tree, laptop, "-m", "snakemake", "--quiet", "host", "--configfile", STUDY, *arguments)


def edit(tree, name, old, new):
    path = tree.folder / name
    code = path.read_text()
    assert old in code
    path.write_text(code.replace(old, new))


def same_as(finished, tree):
    for ending in ENDINGS:
        assert published(tree, f"*.{ending}") == published(finished, f"*.{ending}"), ending


def test_all_is_there_and_is_drawn_alike_without_torch(finished, packs, laptop, elsewhere):
    text = lskd(elsewhere, "unpack", packs / "small.zip", python=laptop)
    assert f"snakemake --configfile {STUDY}\n" in text
    same_as(finished, elsewhere)
    assert "nothing to do" in snakemake(laptop, elsewhere)
    same_as(finished, elsewhere)
    for room in ("drawn", "figures"):
        shutil.rmtree(elsewhere.folder / "results" / room)
    assert jobs_of(snakemake(laptop, elsewhere)) == {"figure grid", "figure stability"}
    same_as(finished, elsewhere)
    assert subprocess.run([laptop, "-c", "import torch"], capture_output=True).returncode != 0


def test_an_edited_figure_is_drawn_alone(packs, laptop, elsewhere):
    lskd(elsewhere, "unpack", packs / "small.zip", python=laptop)
    before = published(elsewhere, "*.svg")
    edit(elsewhere, "lskd/figures/grid.py", '"temperature T"', '"T"')
    assert jobs_of(snakemake(laptop, elsewhere)) == {"figure grid"}
    after = published(elsewhere, "*.svg")
    assert [name for name in before if before[name] != after[name]] == ["grid.svg"]


def test_a_later_checkout_draws_by_trust(finished, packs, laptop, elsewhere):
    edit(elsewhere, "lskd/supervision/kd.py", "temperature**2", "temperature**3")
    lskd(elsewhere, "unpack", packs / "small.zip", python=laptop)
    text = snakemake(laptop, elsewhere, "--config", "trust=code")
    assert "nothing to do" in text and "note: trust=code: " in text and "lskd/supervision/kd.py:loss changed" in text
    same_as(finished, elsewhere)


def test_its_lineage_reaches_the_data(packs, laptop, elsewhere):
    lskd(elsewhere, "unpack", packs / "small.zip", python=laptop)
    copy = shutil.copy(elsewhere.folder / "results/figures/demo/tiny/grid.svg", elsewhere.folder / "of a paper.svg")
    text = lskd(elsewhere, "lineage", copy, python=laptop)
    for name in ("ls0/seed0", "ls0.1/seed0", "kd-T1-from-mlp-w8-one-ls0/seed0", "kd-T3-from-mlp-w8-one-ls0.1/seed0"):
        assert f"/{name} " in text
    assert "    data digits " in text and "code since" not in text


def test_it_is_an_ro_crate(packs, elsewhere):
    lskd(elsewhere, "unpack", packs / "large.zip")
    assert issues(elsewhere.folder, "ro-crate-1.1", "REQUIRED") == []
    assert issues(elsewhere.folder, "process-run-crate", "REQUIRED") == []


def test_other_runs_of_a_figure_are_measured_from_logits_without_torch(packs, laptop, elsewhere):
    """Which runs a figure shows is the metrics' concern: these read the logits, and the names of the classes."""
    lskd(elsewhere, "unpack", packs / "large.zip", python=laptop)
    rooms = ["results/predictions", "results/teacher_logits", "results/data"]
    assert lskd(elsewhere, "verify", *rooms, python=laptop).endswith(" results verified, 0 damaged\n")
    study = yaml.safe_load((elsewhere.folder / STUDY).read_text())
    study["figures"]["grid"]["temperatures"] = [1]
    (elsewhere.folder / STUDY).write_text(yaml.safe_dump(study))
    assert jobs_of(snakemake(laptop, elsewhere)) == {"metrics grid accuracy", "figure grid"}


def test_the_same_results_give_the_same_pack(finished, packs, tmp_path):
    lskd(finished, "pack", "-o", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (packs / "small.zip").read_bytes()


def test_an_unfinished_study_is_refused(finished, elsewhere, tmp_path):
    elsewhere.configure(TINY)
    shutil.copytree(finished.folder / "results/metrics", elsewhere.folder / "results/metrics")
    command = [sys.executable, "-m", "lskd", "pack", "-o", tmp_path / "none.zip"]
    done = subprocess.run(command, cwd=elsewhere.folder, capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stdout) == (1, "")
    first = "the first of them figure demo/tiny/grid"
    assert done.stderr == f"error: pack: tiny is not finished, jobs to do: 2, {first}; finish it: snakemake tiny\n"
    assert not (tmp_path / "none.zip").exists()
