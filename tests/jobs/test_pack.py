"""What is packed: all that a study's figures are drawn from, whole and verified; or nothing is written."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from lskd.errors import UserError
from lskd.io.layout import FILES
from lskd.io.seal import RECORD
from lskd.jobs import adopt, archive, pack, register
from lskd.jobs.catalogue import ancestors
from lskd.jobs.unpack import unpack
from lskd.study import reading
from tests.jobs import finished as tiny
from tests.jobs import packed
from tests.jobs.test_adopt import proposal
from tests.small import flip

VERDICT = tiny.study(seeds=[0, 1, 2], looks=[2, 3], figures={"verdict": {"kind": "verdict"}})


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A checkout's folder, in which this is."""
    home = tmp_path / "home"
    home.mkdir()
    tiny.copied(home)
    monkeypatch.chdir(home)
    return Path("results")


def names(path):
    with zipfile.ZipFile(path) as file:
        return file.namelist()


def folders(listed, file):
    return {name.rpartition("/")[0].removeprefix("results/") for name in listed if name.endswith(f"/{file}")}


def test_metrics_and_figures_are_in_it_whole_and_the_record_of_all_others(results):
    plan = tiny.planned(results)
    lines = pack.pack(plan, "tiny")
    listed = names("tiny-demo.zip")
    jobs = {job for figure in tiny.TINY["figures"] for job in ancestors(plan.catalogue.figure("tiny", figure))}
    assert folders(listed, RECORD) == {job.below for job in jobs}
    for job in jobs:
        files = {name.rpartition("/")[2] for name in listed if name.startswith(f"results/{job.below}/")}
        whole = job.stage in ("metrics", "figure")
        assert files == {RECORD, *(FILES[job.stage] if whole else ())}
    published = {str(path) for path in Path("results/figures").rglob("*") if path.is_file()}
    assert {name for name in listed if name.startswith("results/figures/")} == published
    rest = {name for name in listed if not name.startswith("results/")}
    assert rest == {"studies/demo/tiny.yaml", archive.CRATE, archive.LIST}
    assert lines[0].startswith(f"tiny-demo.zip: {len(listed) - 1} files of {len(jobs)} results, ")
    assert lines[1:] == ["unpack it in another checkout: python -m lskd unpack tiny-demo.zip"]


@pytest.mark.parametrize(
    ("more", "stages"), [(pack.LOGITS, ["predict", "snapshots", "teacher_logits"]), (pack.DATA, ["data"])]
)
def test_more_of_it(results, more, stages):
    plan = tiny.planned(results)
    pack.pack(plan, "tiny", Path("p.zip"), more)
    listed = names("p.zip")
    for job in {job for figure in tiny.TINY["figures"] for job in ancestors(plan.catalogue.figure("tiny", figure))}:
        held = all(f"results/{job.below}/{name}" in listed for name in FILES[job.stage])
        assert held == (job.stage in ("metrics", "figure", *stages))


def test_the_same_results_give_the_same_bytes(results, monkeypatch, tmp_path):
    pack.pack(tiny.planned(results), "tiny")
    shutil.copytree("results", tmp_path / "moved/results")  # other places, times and order of files
    monkeypatch.chdir(tmp_path / "moved")
    pack.pack(tiny.planned(Path("results")), "tiny", Path("again.zip"))
    assert Path("again.zip").read_bytes() == (tmp_path / "home/tiny-demo.zip").read_bytes()


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_its_config_is_the_study_with_its_scale_and_the_command_line_in_it(results, seeds):
    raw = tiny.study(scales={"demo": {"name": "of demo"}, "small": {"seeds": [7]}})
    parsed = reading.parse(raw, overrides={"seeds": seeds, "runtime": {"threads": 2}})
    said = yaml.safe_load(pack._config(parsed))
    assert "runtime" not in said and said["name"] == "of demo"
    assert reading.parse(said).model_copy(update={"runtime": parsed.runtime}) == parsed


def refused(results, *arguments):
    before = sorted(Path().rglob("*"))
    with pytest.raises(UserError) as error:
        pack.pack(tiny.planned(results), "tiny", *arguments)
    assert sorted(Path().rglob("*")) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_unfinished_study_is_refused(results):
    shutil.rmtree(next((results / "metrics/demo/tiny/grid").iterdir()))
    shutil.rmtree(next((results / "drawn/demo/tiny").glob("grid-*")))
    first = "the first of them metrics demo/tiny/grid/accuracy; finish it: snakemake tiny"
    assert refused(results) == f"pack: tiny is not finished, jobs to do: 2, {first}"


@pytest.mark.parametrize("name", ["metrics/demo/tiny/grid/*/metrics.parquet", "drawn/demo/tiny/grid-*/figure.svg"])
def test_a_damaged_result_is_refused(results, name):
    (path,) = results.glob(name)
    flip(path)
    line = refused(results)
    assert line.startswith(f"{path}: damaged, its bytes are not those that were written; make it anew: rm -rf {path}")


@pytest.mark.parametrize("stage", ["metrics", "runs", "predictions"])
def test_a_damaged_record_is_refused(results, stage):
    path = sorted((results / stage).rglob(RECORD))[0]
    path.write_bytes(path.read_bytes().replace(b"\n ", b"\n\t", 1))  # which parses to the same record
    assert refused(results).startswith(f"{path}: damaged")


def test_logits_that_are_damaged_or_gone_are_refused_only_where_they_are_packed(results):
    path = sorted((results / "predictions").rglob("test.logits.parquet"))[0]
    flip(path, 5000)
    pack.pack(tiny.planned(results), "tiny", Path("p.zip"))
    Path("p.zip").unlink()
    assert refused(results, Path("p.zip"), pack.LOGITS).startswith(f"{path}: damaged")
    path.unlink()
    assert refused(results, Path("p.zip"), pack.LOGITS).startswith(f"{path}: cannot be read (No such file")


def test_a_published_file_that_was_edited_is_published_anew_first(results):
    path = results / "figures/demo/tiny/grid.csv"
    content = path.read_bytes()
    path.write_text("other")
    pack.pack(tiny.planned(results), "tiny")
    assert path.read_bytes() == content
    with zipfile.ZipFile("tiny-demo.zip") as file:
        assert file.read(str(path)) == content


def test_a_lineage_that_ends_is_told(results):
    for room in ("runs", "data", "predictions", "teacher_logits", "snapshots"):
        shutil.rmtree(results / room)
    lines = pack.pack(tiny.planned(results), "tiny")
    assert lines[1].startswith("note: of ") and "no record is left" in lines[1]


def test_what_a_verdict_answers_for_goes_with_it(results, tmp_path, monkeypatch):
    """Its registration, and all looks at its students: so it has the same address where it is unpacked."""
    first = VERDICT | {"seeds": [3, 4]}
    plan = tiny.planned(results, first)
    register.register(plan.catalogue, "tiny")
    tiny.make(results, first)
    plan = tiny.make(results, first | {"seeds": [3, 4, 5]})
    lone = tiny.study(study="other", seeds=[8, 9], figures={"verdict": {"kind": "verdict"}})
    tiny.make(results, lone)  # a look at others
    assert len(list((results / "looks").iterdir())) == 3
    pack.pack(plan, "tiny")
    listed = names("tiny-demo.zip")
    assert sum(archive.LOOK.fullmatch(name) is not None for name in listed) == 2
    assert "registrations/demo/tiny.json" in listed
    unpack(Path("tiny-demo.zip"), tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    raw = yaml.safe_load(Path("studies/demo/tiny.yaml").read_text())
    assert tiny.planned(Path("results"), raw).pending == []
    Path("registrations/demo/tiny.json").unlink()
    assert len(tiny.planned(Path("results"), raw).pending) == 1


def test_a_registration_that_was_edited_is_refused(results):
    tiny.make(results, VERDICT)
    path = Path("registrations/demo/tiny.json")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(UserError, match="edited or damaged"):
        pack.pack(tiny.planned(results, VERDICT), "tiny")


@pytest.mark.parametrize("edited", ["lskd/metrics/accuracy.py:measure", "lskd/training/loop.py:Training"])
def test_adopted_results_go_with_their_records(results, tmp_path, monkeypatch, edited):
    """Metrics stand as they do here; what is packed by its record alone stands by trust, as is said."""
    tiny.edit(monkeypatch, edited)
    proposal(results).write(results)
    pack.pack(tiny.planned(results), "tiny")
    lines = unpack(Path("tiny-demo.zip"), tmp_path / "there")
    adopted = tmp_path / "there/results/adopted"
    assert adopt.listed(adopted.parent) == adopt.listed(results)
    trust = "training" in edited
    assert any(
        "snakemake --configfile studies/demo/tiny.yaml" + " --config trust=code" * trust in line for line in lines
    )
    monkeypatch.chdir(tmp_path / "there")
    assert tiny.planned(Path("results"), trust=trust).pending == []
    if trust:
        assert tiny.planned(Path("results")).pending != []


def test_what_it_says_of_itself(results):
    pack.pack(tiny.planned(results), "tiny", Path("p.zip"), pack.LOGITS)
    with zipfile.ZipFile("p.zip") as file:
        said = json.loads(file.read(archive.LIST))
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        for name, item in said["files"].items():
            assert item == packed.item(file.read(name))
    assert (said["study"], said["scale"], said["trust"]) == ("tiny", "demo", False)
    assert said["whole"] == ["figure", "metrics", "predict", "snapshots", "teacher_logits", "translate"]
