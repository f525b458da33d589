"""A pack's results come beside those that are there: all of them or none, and nothing that is there is lost."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.io.atomic import HOST
from lskd.io.hold import held
from lskd.io.seal import RECORD, sealed
from lskd.jobs import archive, pack
from lskd.jobs.lineage import Lineage, lines
from lskd.jobs.listing import result_of
from lskd.jobs.unpack import unpack
from lskd.jobs.verify import ALONE, verify
from tests.jobs import finished as tiny
from tests.jobs import packed
from tests.small import flip


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "elsewhere"


def contents(path=None):
    with zipfile.ZipFile(path or packed.packed()) as file:
        return {name: file.read(name) for name in file.namelist() if name != archive.LIST}


def files(folder):
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ALONE]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def refused(path, folder):
    before = files(folder) if folder.exists() else None
    with pytest.raises(UserError) as error:
        unpack(path, folder)
    assert (files(folder) if folder.exists() else None) == before
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    return str(error.value)


def test_all_of_it_and_nothing_else(folder):
    said = unpack(packed.packed(), folder)
    assert files(folder) == contents()
    assert not list(folder.rglob(".*"))
    assert (
        said[0]
        == f"{packed.packed()}: {len(contents())} files of {len(list(folder.rglob(RECORD)))} results in {folder}"
    )
    assert said[1].endswith(": snakemake --configfile studies/demo/tiny.yaml")


def test_verify_knows_what_a_pack_holds_by_its_record_alone(folder):
    unpack(packed.packed(), folder)
    report = verify(folder / "results")
    alone = list(folder.rglob(ALONE))
    assert alone and report.failures == []
    assert f"{len(alone)} of them by their record alone" in report.last
    record = alone[0].with_name(RECORD)
    flip(record)
    (gone,) = folder.glob("results/metrics/**/metrics.parquet")
    gone.unlink()
    lines = {line.partition(": ")[0]: line for line in verify(folder / "results").failures}
    assert lines.keys() == {str(record), str(gone)}
    assert "damaged" in lines[str(record)] and "is gone" in lines[str(gone)]


def test_again_changes_nothing(folder):
    unpack(packed.packed(), folder)
    times = {path: path.stat().st_mtime_ns for path in (folder / "results/metrics").rglob("*")}
    said = unpack(packed.packed(), folder)
    assert files(folder) == contents()
    assert {path: path.stat().st_mtime_ns for path in times} == times
    results = len(list(folder.rglob(RECORD)))
    assert said[0].endswith(f"{results} results in {folder}, {results} of them were there")


def test_the_figures_are_drawn_from_it(folder, monkeypatch):
    unpack(packed.packed(), folder)
    monkeypatch.chdir(folder)
    assert tiny.planned(Path("results"), packed.STUDY).pending == []
    shutil.rmtree("results/drawn")
    assert [job.stage for job in tiny.planned(Path("results"), packed.STUDY).pending] == ["figure"]
    published = files(folder / "results/figures")
    tiny.make(Path("results"), packed.STUDY)
    for name in ("curves.svg", "curves.csv"):
        assert files(folder / "results/figures")[f"demo/tiny/{name}"] == published[f"demo/tiny/{name}"]


def test_lineage_of_a_copy_of_a_figure(folder, tmp_path):
    unpack(packed.packed(), folder)
    copy = shutil.copy(folder / "results/figures/demo/tiny/curves.png", tmp_path / "of a paper.png")
    ours = Lineage(packed.results()).of(result_of(packed.results(), Path(copy)))
    theirs = Lineage(folder / "results").of(result_of(folder / "results", Path(copy)))

    def without_files(node):
        inputs = {role: without_files(each) for role, each in node.get("inputs", {}).items()}
        return {key: value for key, value in node.items() if key != "missing"} | {"inputs": inputs}

    assert without_files(ours) == without_files(theirs)
    assert any("its record alone is here; of its files the digests are known: best" in line for line in lines(theirs))
    assert not any("its record alone" in line or "no longer there" in line for line in lines(ours))


def test_what_is_there_and_whole_stays(folder):
    shutil.copytree(packed.results(), folder / "results")
    before = files(folder)
    said = unpack(packed.packed(), folder)
    after = files(folder)
    assert before.items() <= after.items()
    assert set(after) - set(before) == {archive.CRATE, "studies/demo/tiny.yaml"}
    assert f"results in {folder}, " in said[0] and "of them were there" in said[0]


def test_what_is_there_and_damaged_is_replaced(folder):
    unpack(packed.packed(), folder)
    damaged = next((folder / "results/metrics").rglob("metrics.parquet"))
    flip(damaged)
    gone = next((folder / "results/drawn").rglob("figure.pdf"))
    gone.unlink()
    unpack(packed.packed(), folder)
    assert files(folder) == contents()


def test_a_training_that_goes_on_is_left_alone(folder):
    """A record without its files would say that it is made."""
    name = next(name for name in contents() if name.startswith("results/runs/"))
    checkpoint = folder / Path(name).parent / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("half way")
    unpack(packed.packed(), folder)
    assert checkpoint.read_text() == "half way" and not (folder / name).exists()


def test_logits_come_beside_a_record_alone(folder):
    unpack(packed.packed(), folder)
    logits = packed.packed(*pack.LOGITS)
    said = unpack(logits, folder)
    assert said[1].startswith(f"note: {folder / archive.CRATE} is of another pack and stays")
    stored = {name: content for name, content in contents(logits).items() if name != archive.CRATE}
    assert stored.items() <= files(folder).items()
    assert sum(name.endswith("/logits.parquet") for name in stored) == 2  # of two teachers
    assert verify(folder / "results", [folder / "results/teacher_logits"]).failures == []
    (folder / archive.CRATE).unlink()
    unpack(packed.packed(), folder)
    assert stored.items() <= files(folder).items()  # a record alone takes nothing away


@pytest.mark.parametrize("name", ["results/figures/demo/tiny/curves.csv", "studies/demo/tiny.yaml"])
def test_another_file_in_a_place_is_not_overwritten(folder, name):
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("mine")
    line = refused(packed.packed(), folder)
    assert line.startswith(f"{folder / name}: another file stands there; nothing was unpacked: move it aside (mv ")
    (folder / name).unlink()
    (folder / name).mkdir()
    assert "is no file" in refused(packed.packed(), folder)


def test_another_crate_stays_with_a_note(folder):
    folder.mkdir()
    (folder / archive.CRATE).write_text("{}")
    said = unpack(packed.packed(), folder)
    assert said[1] == f"note: {folder / archive.CRATE} is of another pack and stays; for a crate, unpack elsewhere"
    assert (folder / archive.CRATE).read_text() == "{}"


def rerecorded(**values):
    """A record with other values, sealed as its own."""

    def change(content):
        record = json.loads(content)
        del record["seal"]
        return (json.dumps(sealed(record | values), indent=1, sort_keys=True) + "\n").encode()

    return change


METRICS = "results/metrics/demo/tiny/curves/history-"
ABOVE = {"data": {"folder": "../../etc", "address": "0" * 10, "seal": {}}}


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        (METRICS, rerecorded(title="another"), "its record is of metrics another"),
        (METRICS, lambda content: content + b" ", "damaged"),
        ("results/runs/", lambda content: b"{}", "damaged, it is not what was written"),
        ("results/runs/", lambda content: b"[" * 100_000, "damaged, it is not"),
        ("results/runs/", lambda content: b"[]", "damaged"),
        ("results/runs/", rerecorded(inputs=ABOVE), "inputs.data.folder"),
        ("results/runs/", rerecorded(files={"../../../evil": "0"}), "files."),
        ("results/runs/", rerecorded(title="../../evil"), "title"),
        ("results/runs/", rerecorded(address="0123456789"), "is the record of 0123456789"),
        ("results/runs/", rerecorded(seconds="many"), "seconds"),
        ("results/runs/", rerecorded(definitions=None), "definitions"),
        ("results/figures/demo/tiny/curves.svg", lambda content: b"<svg/>", "equals no figure in it"),
        ("results/figures/demo/tiny/index.html", lambda content: b"<script>", "damaged, it is not what was written"),
        ("studies/demo/tiny.yaml", lambda content: b"__use_yte__: true\nstudy: x", "a template, which runs code"),
        ("studies/demo/tiny.yaml", lambda content: b"\xff", "tiny.yaml"),
        ("studies/demo/tiny.yaml", lambda content: b"a: &a [*a]", "tiny.yaml"),
    ],
)  # fmt: skip
def test_a_hostile_pack_whose_every_digest_is_right(folder, tmp_path, name, change, line):
    def changed(entries):
        part = RECORD if name.endswith(("-", "/")) else name
        return [
            (info, change(content) if info.filename.startswith(name) and part in info.filename else content)
            for info, content in entries
        ]

    path = packed.tampered(tmp_path / "p.zip", changed)
    message = refused(path, folder)
    assert line in message and message.startswith(f"{path}: in it, ")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("left_out", "line"), [("/figure.pdf", "holds a part of a result"), (f"/{RECORD}", f"has no {RECORD}")]
)
def test_a_part_of_a_result(folder, tmp_path, left_out, line):
    def without(entries):
        return [each for each in entries if "drawn" not in each[0].filename or not each[0].filename.endswith(left_out)]

    assert line in refused(packed.tampered(tmp_path / "p.zip", without), folder)


@pytest.mark.parametrize("name", ["looks", "adopted"])
@pytest.mark.parametrize("content", [b"{}", b"[]", b"[" * 100_000, b'{"seal": "x"}', b"\xff"])
def test_looks_and_adoptions_that_are_none(folder, tmp_path, name, content):
    info = zipfile.ZipInfo(f"results/{name}/0123456789.json")
    assert "in it, " in refused(
        packed.tampered(tmp_path / "p.zip", lambda entries: [*entries, (info, content)]), folder
    )
    info = zipfile.ZipInfo("registrations/demo/x.json")
    assert "in it, " in refused(
        packed.tampered(tmp_path / "p.zip", lambda entries: [*entries, (info, content)]), folder
    )


def test_nothing_is_unpacked_where_results_are_just_removed(folder):
    (folder / "results").mkdir(parents=True)
    with held(folder / "results", exclusively=True):
        assert "unused results are just being removed" in refused(packed.packed(), folder)
    assert unpack(packed.packed(), folder)


def test_where_nothing_can_be_written(folder):
    folder.write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        unpack(packed.packed(), folder)


def test_a_kill_leaves_nothing_in_the_results(folder, monkeypatch):
    """What a killed process had unpacked lies apart, and the next one removes it."""
    script = "import os, sys\nfrom pathlib import Path\nfrom lskd.jobs import unpack\n"
    script += "unpack._check = lambda *_: os.kill(os.getpid(), 9)\nunpack.unpack(Path(sys.argv[1]), Path(sys.argv[2]))"
    done = subprocess.run([sys.executable, "-c", script, packed.packed(), folder])
    assert done.returncode == -9
    (aside,) = list((folder / "results").iterdir())
    assert aside.name.startswith(".unpack.") and HOST in aside.name
    unpack(packed.packed(), folder)
    assert files(folder) == contents()


def test_a_full_disk(folder, monkeypatch):
    path = packed.packed()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lskd.jobs.archive.Archive.extract", full)
    with pytest.raises(UserError, match="No space left"):
        unpack(path, folder)
    assert not folder.exists()
