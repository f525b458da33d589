"""Planning without data: every paper's target at paper scale, and what must never pass for a result of real data."""

from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.jobs import execute, gc, why
from lskd.jobs.adopt import Proposal
from lskd.jobs.catalogue import Catalogue, ancestors
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.papers.read import PAPERS
from lskd.study import reading, studies
from lskd.study.config import Data
from tests import small
from tests.data import layouts

BIRDS = {
    "study": "birds",
    "seeds": [0],
    "data": {"dataset": "cub200", "image_size": 8},
    "recipes": {"one": {"epochs": 1}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 4}, "recipe": "one"}},
    "figures": {"table": {"kind": "stability"}},
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """A folder without data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lskd.jobs.checks.OF_TRANSLATION", ())  # what is installed is another matter


def birds(**options):
    study = reading.parse(BIRDS)
    return Plan(study, Catalogue({"birds": study}, Results("results", **options)), {})


def data_of(plan):
    return next(job for job in ancestors(plan.catalogue.figure("birds", "table")) if job.stage == "data")


def paper_plan(paper):
    path = studies.TREE / f"workflow/studies/{paper}.yaml"
    study = reading.parse(reading.read(path), "paper", paper)
    return Plan(study, Catalogue({paper: study}, Results("results")), {})


@pytest.mark.parametrize("paper", PAPERS)
def test_every_target_of_a_paper_is_planned_at_paper_scale(paper, tmp_path):
    plan = paper_plan(paper)
    targets = [name for name, pairs in plan.names.items() if len(pairs) == 1]
    assert targets
    plan.ask(targets, dry=True)
    assert {plan.catalogue.figure(*plan.names[name][0]) for name in targets} <= set(plan.pending)
    lacking = [note for note in plan.catalogue.notes if "not there" in note]
    assert lacking == list(dict.fromkeys(job.lacks for job in plan.pending if job.lacks))
    datasets = [note.split(": ")[1] for note in lacking]
    assert len(datasets) == len(set(datasets))
    assert all("docs/data.md says where to get" in note for note in lacking)
    assert list(tmp_path.iterdir()) == []


def test_a_real_run_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(
        UserError, match=r"^data: cub200: images.txt, .*, images are not there at data/CUB_200_2011; docs"
    ):
        birds().ask([])
    plan = paper_plan("shen2021")
    with pytest.raises(UserError, match=r"^data: \w+: .* are not there at data/.* \(and \d more\)$"):
        plan.ask([])
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_of_a_half_is_named():
    layouts.cub200("data/CUB_200_2011")
    layouts.remove("data/CUB_200_2011/images.txt")
    plan = birds()
    plan.ask([], dry=True)
    (note,) = plan.catalogue.notes
    assert note.startswith("data: cub200: images.txt is not there at data/CUB_200_2011; ")
    assert why.told(plan.pending)[1] == "  1 data set: files not there"


def test_files_make_all_addresses_new():
    before = ancestors(birds().catalogue.figure("birds", "table"))
    layouts.cub200("data/CUB_200_2011")
    after = ancestors(birds().catalogue.figure("birds", "table"))
    assert len(before) == len(after)
    assert not {job.address for job in before} & {job.address for job in after}
    assert not {job.plain for job in before} & {job.plain for job in after}
    assert {job.lacks for job in after} == {""}
    plan = birds()
    plan.ask([])
    assert plan.catalogue.notes == []


def test_a_list_of_training_images_counts_by_its_content():
    layouts.cub200("data/CUB_200_2011")

    def address(name="half.txt"):
        study = reading.parse(BIRDS | {"data": BIRDS["data"] | {"split_file": name}})
        return data_of(Plan(study, Catalogue({"birds": study}, Results("results")), {})).address

    half = Path("data/CUB_200_2011/half.txt")
    with pytest.raises(UserError, match=r"^data.split_file: .*half.txt cannot be read .*; put that list there"):
        address()
    half.write_text("a.jpg\n")
    first = address()
    assert first != data_of(birds()).address
    half.write_text("a.jpg\nb.jpg\n")
    second = address()
    Path("data/CUB_200_2011/beside.txt").write_text("not used")
    assert address() == second != first
    half.write_text("a.jpg\n")
    assert address() == first


def test_what_was_made_before_the_files_went_stands():
    layouts.cub200("data/CUB_200_2011")
    jobs_above = ancestors(birds().catalogue.figure("birds", "table"))
    jobs_above[0].folder.mkdir(parents=True)
    small.write_data(jobs_above[0].folder / "data.safetensors")  # planning reads the classes of what is prepared
    for job in jobs_above:
        small.place(job)
    layouts.remove("data/CUB_200_2011/images.txt")
    plan = birds()
    plan.ask([])
    assert plan.pending == []
    assert data_of(plan).address == jobs_above[0].address
    (note,) = plan.catalogue.notes
    assert "what was prepared from it on 2026-01-01 stands" in note
    other = reading.parse(BIRDS | {"data": {"dataset": "cub200", "image_size": 16}})
    with pytest.raises(UserError, match="images.txt is not there"):
        Plan(other, Catalogue({"birds": other}, Results("results")), {}).ask([])


@pytest.mark.parametrize("trust_code", [False, True])
def test_no_result_of_real_data_stands_for_a_job_without(trust_code):
    """Even where the prepared data themselves are gone, so that nothing tells what they were."""
    layouts.cub200("data/CUB_200_2011")
    for job in ancestors(birds().catalogue.figure("birds", "table"))[1:]:
        small.place(job)
    layouts.remove("data/CUB_200_2011")
    plan = birds(trust_code=trust_code)
    plan.ask([], dry=True)
    assert {job.stage for job in plan.pending} == {"data", "train", "predict", "metrics", "figure"}
    assert plan.results.trusted == {}
    assert Proposal(lambda records: birds(proposed=records), []).records == {}


def test_a_result_that_claims_to_be_of_no_data_is_not_taken_for_one_of_data():
    """As if somebody had made a job file by hand."""
    for job in ancestors(birds().catalogue.figure("birds", "table")):
        small.place(job)
    layouts.cub200("data/CUB_200_2011")
    for trust_code in (False, True):
        plan = birds(trust_code=trust_code)
        plan.ask([])
        assert len(plan.pending) == 6
        assert plan.results.trusted == {}
    assert Proposal(lambda records: birds(proposed=records), []).records == {}


def test_a_job_of_no_data_cannot_be_executed(monkeypatch):
    job = data_of(birds())
    layouts.cub200("data/CUB_200_2011")
    monkeypatch.setenv("LSKD_RUNNING", "results/.running")
    with pytest.raises(UserError, match="the files changed since this job was planned; run again"):
        execute.execute(job.described(), job.results.root)
    assert not (job.folder / "record.json").exists()


def test_gc_keeps_results_whose_data_are_away(tmp_path):
    layouts.cub200("data/CUB_200_2011")
    for job in ancestors(birds().catalogue.figure("birds", "table"))[1:]:
        small.place(job)
    layouts.remove("data/CUB_200_2011")
    named = gc.Named()
    gc._add(reading.parse(BIRDS), Results("results"), named)
    assert any("kept by name, not planned (data: cub200: " in note for note in named.notes)
    assert gc.garbage(tmp_path / "results", named) == []


@pytest.mark.parametrize("name", ["iwslt14", "wmt14"])
def test_corpora_are_planned_without_their_files_in_the_shape_of_those_with(name, tmp_path):
    data = Data(dataset=name, source="de", target="en", root=str(tmp_path / "corpus"))
    job = Catalogue({}, Results("results")).data(data)
    assert job.spec["content"] == {"not there": name}
    assert not {"val_fraction", "test_fraction"} & job.spec.keys()
    (tmp_path / "corpus").mkdir()
    assert Catalogue({}, Results("results")).data(data).lacks
    (tmp_path / "corpus/other").touch()
    with pytest.raises(UserError, match=f"{tmp_path}/corpus"):
        Catalogue({}, Results("results")).data(data)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion_mnist"])
def test_sets_that_are_downloaded_need_no_files_to_be_planned(name, tmp_path):
    job = Catalogue({}, Results("results")).data(Data(dataset=name))
    assert not job.lacks
    assert job.spec["content"]["files"]
