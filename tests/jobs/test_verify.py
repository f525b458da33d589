"""Every damage is told, and the command that a line names mends it."""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.io.layout import FILES, ROOMS, TRACE
from lskd.io.seal import RECORD
from lskd.jobs import adopt
from lskd.jobs.catalogue import ancestors
from lskd.jobs.verify import _Progress, verify
from tests.jobs import finished as tiny
from tests.jobs.finished import OF_TRANSLATION
from tests.jobs.test_adopt import proposal

DAMAGES = 400
FILE_KINDS = [(stage, name) for stage in FILES if stage not in OF_TRANSLATION for name in (*FILES[stage], RECORD)]


@pytest.fixture
def results(tmp_path, monkeypatch):
    root = tiny.copied(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Path("results") if root.exists() else root


@pytest.fixture
def adopted(results, monkeypatch):
    """Results of which some stand for other code."""
    with monkeypatch.context() as patch:
        tiny.edit(patch, "lskd/metrics/accuracy.py:measure", "lskd/figures/grid.py:draw")
        proposal(results).write(results)
    assert len(list((results / "adopted").iterdir())) == 2
    return results


def test_no_false_alarm(adopted):
    report = verify(adopted)
    assert report.failures == []
    count = len([path for path in adopted.rglob("*") if path.is_file()])
    rest = sum(path.is_file() for name in (".jobs", "adopted", ".cache") for path in (adopted / name).rglob("*"))
    assert report.files == count - rest
    assert report.last == f"{report.files} files in {report.results} results verified, 0 damaged"


def test_every_damage_is_told(adopted):
    rng = random.Random(1)
    kinds = by_kind(adopted)
    assert {kind for kind in kinds if kind[0] in FILES} == set(FILE_KINDS)
    order = list(kinds) * (DAMAGES // len(kinds) + 1)
    tried: dict[str, int] = {}
    for number in range(DAMAGES):
        path = rng.choice(kinds[order[number]])
        before = {each: each.read_bytes() for each in kinds[order[number]]}
        name = damage(path, before, rng, number)
        tried[name] = tried.get(name, 0) + 1
        failures = verify(adopted).failures
        assert any(str(path) in line or str(path.parent) in line for line in failures), (path, name, failures)
        for each, content in before.items():
            if not each.exists() or each.read_bytes() != content:
                each.write_bytes(content)
    assert min(tried.values()) > 40, tried
    assert verify(adopted).failures == []


def test_a_trace_is_compared_with_its_record_and_may_be_missing(adopted):
    path = next(adopted.rglob(TRACE))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (failure,) = verify(adopted).failures
    assert failure.startswith(f"{path}: ") and failure.endswith(f"; remove it: rm -f {path}")
    path.unlink()
    assert verify(adopted).failures == []
    path.write_bytes(content)


def by_kind(results: Path) -> dict[tuple[str, str], list[Path]]:
    """Every file by its kind: of each stage each name, published ones by ending, adopted records, job files."""
    kinds: dict[tuple[str, str], list[Path]] = {}
    stage_of = {room: stage for stage, room in ROOMS.items()}
    for path in sorted(results.rglob("*")):
        room = path.relative_to(results).parts[0]
        if path.is_file() and path.name != TRACE and room in (*stage_of, "figures", "adopted", ".jobs"):
            name = path.name if room in stage_of else path.suffix
            kinds.setdefault((stage_of.get(room, room), name), []).append(path)
    return kinds


def damage(path: Path, same_name: dict[Path, bytes], rng: random.Random, number: int) -> str:
    content = same_name[path]
    others = [each for each, other in same_name.items() if other != content]
    name = ("flip", "truncate", "empty", "missing", "swap", "replace")[number % 6]
    if name in ("swap", "replace") and not others:
        name = "flip"
    if name == "flip":
        place = rng.randrange(len(content))
        changed = bytes([content[place] ^ (1 << rng.randrange(8))])
        path.write_bytes(content[:place] + changed + content[place + 1 :])
    elif name == "truncate":
        path.write_bytes(content[: rng.randrange(1, len(content))])
    elif name == "empty":
        path.write_bytes(b"")
    elif name == "missing":
        path.unlink()
        if path.parent.name == ".jobs" or path.parent.name == "adopted":
            path.write_bytes(content[:-1])  # that one is not there is no damage: it is planned or adopted anew
    else:
        other = rng.choice(others)
        path.write_bytes(same_name[other])
        if name == "swap":
            other.write_bytes(content)
    return name


@pytest.mark.parametrize(("old", "new"), [(b"\n ", b"\n\t"), (b"\n ", b"\r "), (b"}\n", b"}")])
def test_a_blank_of_a_record_counts(results, old, new):
    path = next((results / "runs").rglob(RECORD))
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    assert [line.partition(":")[0] for line in verify(results).failures] == [str(path)]


@pytest.mark.parametrize(("stage", "name"), FILE_KINDS)
@pytest.mark.parametrize("how", ["flip", "empty", "missing"])
def test_the_command_of_a_line_mends(results, stage, name, how):
    path = next(path for path in sorted((results / ROOMS[stage]).rglob(name)))
    before = tiny.files(results)
    content = path.read_bytes()
    damage(path, {path: content}, random.Random(2), ("flip", "truncate", "empty", "missing").index(how))
    lines = [line for line in verify(results).failures if not line.startswith(f"{results}/figures")]
    assert len(lines) == 1
    run(re.search(r"(?:: |; )((?:rm -rf|snakemake)[^,]*)", lines[0])[1], results)
    assert verify(results).failures == []
    assert comparable(tiny.files(results)) == comparable(before)


def comparable(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without the records, whose seconds vary from one making to the next."""
    return {name: content for name, content in files.items() if Path(name).name != RECORD}


def run(command: str, results: Path) -> None:
    """Run a line's command by bash, `snakemake` being all of a plan in this process, whoever reads what is gone."""
    mended = subprocess.run(
        ["bash", "-c", f"snakemake() {{ echo planned; }}; {command}"], capture_output=True, text=True
    )
    assert mended.stdout == "planned\n", mended
    plan = tiny.planned(results)
    everything = {job: None for pair in plan.wanted for job in ancestors(plan.catalogue.figure(*pair))}
    for job in everything:
        if not plan.results.is_complete(job):
            tiny.make_one(results, job)
    tiny.planned(results).publish()


READ = {  # by a step of the tiny study
    "data": ("data.safetensors",),
    "train": ("model.safetensors", "snapshots.safetensors", "history.jsonl"),
    "predict": ("test.logits.parquet", "train.features.parquet", "val.features.parquet", "head.safetensors"),
    "teacher_logits": ("logits.parquet",),
    "snapshots": ("snapshots.parquet",),
    "metrics": ("metrics.parquet",),
}


@pytest.mark.parametrize(("stage", "name"), [(stage, name) for stage in READ for name in (*READ[stage], RECORD)])
def test_the_next_step_tells_and_the_command_mends(results, stage, name):
    plan = tiny.planned(results)
    jobs = list(plan.catalogue.everything())
    lines_said = []
    for job in dict.fromkeys(each for each in jobs if each.stage == stage):
        path = job.folder / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if name != RECORD else content.replace(b"a", b"b", 1))
        for reader in dict.fromkeys(each for each in jobs if job in each.inputs.values()):
            for file in reader.paths:
                file.unlink(missing_ok=True)
            try:
                tiny.make_one(results, reader)
            except UserError as error:
                lines_said.append((path, str(error)))
                break
        if lines_said:
            break
        path.write_bytes(content)
    assert lines_said, "no step reads it"
    path, line = lines_said[0]
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    run(line.partition("make it anew: ")[2], results)
    assert verify(results).failures == []


def test_strays_are_told(results):
    folder = next((results / "runs").rglob(RECORD)).parent
    for name in (
        "notes.txt",
        "train.log",
        "checkpoint.pt",
        "checkpoint.pt.aside",
        ".model.safetensors.x.elsewhere.1.tmp",
    ):
        (folder / name).write_text("?")
    old = folder / ".model.safetensors.x.elsewhere.1.tmp"
    os.utime(old, (0, 0))
    (results / "figures/demo/tiny/other.png").write_bytes(b"?")
    (results / "figures/readme.txt").write_text("?")
    half = results / "runs/digits/mlp-w8/one/ls0/seed9-0123456789"  # and beside it one that has nothing yet
    half.mkdir()
    half.with_name("seed8-0123456789").mkdir()
    (half / "history.jsonl").write_text("{}")
    lines = verify(results).failures
    named = sorted({line.partition(": ")[0] for line in lines})
    gone = [
        f"results/figures/demo/tiny/other.{ending}"
        for ending in ("csv", "html", "json", "md", "pdf", "png", "svg", "tex")
    ]
    expected = [*gone, "results/figures/readme.txt", str(folder / "notes.txt"), str(old)]
    assert named == sorted([*expected, "results/runs/digits/mlp-w8/one/ls0/seed9-0123456789"])


def test_published_of_two_results_is_told(results):
    other = tiny.make(results, tiny.study(seeds=[1]), "grid")
    path = results / "figures/demo/tiny/grid.csv"
    old = next(
        folder
        for folder in (results / "drawn/demo/tiny").glob("grid-*")
        if folder != other.catalogue.figure("tiny", "grid").folder
    )
    path.write_bytes((old / "figure.csv").read_bytes())
    assert [line.partition(";")[0] for line in verify(results).failures] == [
        f"{path}: is of another result than the rest of it"
    ]


def test_a_result_that_is_adopted_and_gone_is_told(adopted):
    path = next((adopted / "adopted").iterdir())
    record = adopt.read_adopted_file(path)
    folder = adopted / ROOMS[record["stage"]] / f"{record['title']}-{record['stands']}"
    (folder / RECORD).unlink()
    lines = verify(adopted).failures
    assert any(line.startswith(f"{path}: stands for nothing, {folder}") for line in lines)


def test_some_paths_alone(results):
    folders = sorted((results / "runs").rglob("seed0-*"))
    for folder in folders[:2]:
        (folder / "model.safetensors").write_bytes(b"")
    assert len(verify(results, [folders[0]]).failures) == 1
    assert verify(results, [folders[0] / "history.jsonl"]).results == 1
    assert verify(results, [folders[2]]).failures == []
    assert len(verify(results, [results / "runs"]).failures) == 2
    (results / "figures/demo/tiny/grid.png").write_bytes(b"")
    (line,) = verify(results, [results / "figures/demo/tiny/grid.png"]).failures
    assert line.startswith("results/figures/demo/tiny/grid.png: equals no result; publish it anew: snakemake tiny")
    with pytest.raises(UserError, match="no result lies there"):
        verify(results, [Path("config.yaml")])


def test_progress_is_said_after_two_seconds(capsys, monkeypatch):
    monkeypatch.setattr("lskd.jobs.verify.time.monotonic", iter([0.0, 1.0, 2.5, 3.0]).__next__)
    progress = _Progress([1000, 1000, 2000])
    for size in (1000, 1000):
        progress.add(size)
    assert capsys.readouterr().err == "2 of 3 files done (2.0 kB of 4.0 kB), 1 running, ETA 0:02\n"
