"""A flipped byte anywhere in a finished tree: `verify` names the file, and whoever reads it refuses it.

Each trial damages one byte of one file, then has the real reader read it: the job that takes it in, the plan, or the
publishing of figures. Kinds of files come in turn, so that small ones are tried as often as large ones.
"""

import json
import random
from collections import Counter
from contextlib import contextmanager

import pytest
import torch

from lskd.errors import UserError
from lskd.io.layout import FILES, ROOMS, TRACE
from lskd.io.seal import RECORD, read_record
from lskd.jobs.catalogue import ancestors
from lskd.jobs.execute import is_whole, read_job
from lskd.jobs.verify import verify
from lskd.training import checkpoint
from tests.chaos.conftest import trials
from tests.jobs import finished as tiny
from tests.jobs.finished import OF_TRANSLATION
from tests.jobs.test_adopt import proposal

ALL = {"groups": ["t", "s"]}
STUDY = tiny.study(
    figures=tiny.TINY["figures"]
    | {
        "curves": {"kind": "curves"} | ALL,
        "information": {"kind": "information", "classes": ["3", "8"]} | ALL,
        "projection": {"kind": "projection", "classes": ["3", "9", "6"]} | ALL,
        "verdict": {"kind": "verdict"} | ALL,
    }
)
UNREAD = {"samples.parquet", "classes.csv", "best.safetensors", TRACE}  # by no job of this study


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Results with an adopted record, a look and the files of jobs."""
    results = tmp_path_factory.mktemp("flipped") / "results"
    tiny.make(results, STUDY)
    with pytest.MonkeyPatch.context() as patch:
        tiny.edit(patch, "lskd/metrics/accuracy.py:measure", "lskd/figures/grid.py:draw")
        proposal(results, STUDY).write(results)
    return results


@pytest.fixture(scope="module")
def readers(root):
    """The jobs that take in the result of a folder, by the folder."""
    plan = tiny.planned(root, STUDY)
    jobs = {job.folder: job for pair in plan.wanted for job in ancestors(plan.catalogue.figure(*pair))}
    return {folder: [each for each in jobs.values() if job in each.inputs.values()] for folder, job in jobs.items()}


def kinds_of(root):
    """Every file that lskd wrote and reads, by what it is."""
    kinds = {}
    for path in sorted(each for each in root.rglob("*") if each.is_file()):
        room = path.relative_to(root).parts[0]
        if room in ROOMS.values() and path.suffix != ".log":
            kinds.setdefault((room, path.name), []).append(path)
        elif room in ("figures", "looks", "adopted", ".jobs"):
            kinds.setdefault((room, path.suffix), []).append(path)
    return kinds


@contextmanager
def flipped(path, draw):
    """One byte of a file is another, meanwhile."""
    content = path.read_bytes()
    place = draw.randrange(len(content))
    other = content[place] ^ draw.randrange(1, 256)
    path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
    try:
        yield
    finally:
        path.write_bytes(content)


def refuses(job, root, path):
    """Whether a job that takes in a damaged file refuses it; one that reads no byte of it makes what it made before."""
    record = job.folder / RECORD
    before, content = read_record(job.folder)["files"], record.read_bytes()
    record.unlink()
    try:
        tiny.make_one(root, job)
    except UserError as error:
        assert str(path) in str(error)
        assert not is_whole(job.folder, ())
        return True
    else:
        assert read_record(job.folder)["files"] == before, f"{job.title} used {path}"
        return False
    finally:
        record.write_bytes(content)


def published_anew(root, path, content):
    """Whether publishing refuses a damaged result of a figure, or puts a damaged published file right."""
    plan = tiny.planned(root, STUDY)
    try:
        plan.publish()
        plan.answers()
    except UserError as error:
        assert str(path) in str(error)
        return True
    return path.read_bytes() == content


def raises(read, *arguments):
    """Whether reading ends with a line."""
    try:
        read(*arguments)
    except UserError:
        return True
    return False


def means_the_same(damaged, content):
    """Whether JSON holds the same values still, such as 1E-05 for 1e-05."""
    try:
        return json.loads(damaged) == json.loads(content)
    except ValueError:
        return False


def noticed(kind, root, path, content, readers):
    """How the readers of a damaged file noticed it: "refused"; "told by verify alone" where none reads these bytes."""
    room, name = kind
    if room in ("drawn", "figures"):
        is_noticed = published_anew(root, path, content)
    elif room == ".jobs":
        is_noticed = raises(read_job, path)
    elif room in ("looks", "adopted"):
        is_noticed = raises(tiny.planned, root, STUDY)
    else:
        is_noticed = any(refuses(job, root, path) for job in readers[path.parent])
    return "refused" if is_noticed else "told by verify alone"


def test_a_flipped_byte_is_noticed_and_never_used(root, readers, capsys):
    draw, kinds, ends = random.Random(11), kinds_of(root), Counter()
    stages = FILES.keys() - OF_TRANSLATION
    assert {(ROOMS[stage], name) for stage in stages for name in (*FILES[stage], RECORD)} <= set(kinds)
    order = draw.sample(list(kinds), len(kinds))
    torch.set_num_threads(1)
    for number in range(trials(40, 400)):
        kind = order[number % len(order)]
        path = draw.choice(kinds[kind])
        content = path.read_bytes()
        with flipped(path, draw):
            failures = verify(root).failures
            assert any(str(path) in line or str(path.parent) in line for line in failures), path
            end = noticed(kind, root, path, content, readers)
            is_used = end != "refused" and kind[1] not in UNREAD
            assert not is_used or means_the_same(path.read_bytes(), content), path
        ends[kind[0], end] += 1
    assert verify(root).failures == []
    with capsys.disabled():
        print("\n" + "\n".join(f"{room}: {count} {end}" for (room, end), count in sorted(ends.items())))


def test_a_flipped_byte_in_a_checkpoint_is_never_trained_on(tmp_path, capsys):
    """It is set aside, or, where no byte of the state was hit, it holds the same state."""
    draw, ends = random.Random(3), Counter()
    state = {"step": 12, "model": {"weight": torch.arange(600.0).reshape(20, 30)}, "history": [{"epoch": 1, "lr": 0.1}]}
    for _ in range(trials(40, 400)):
        checkpoint.save(tmp_path, {"address": "a"}, state)
        path = tmp_path / checkpoint.NAME
        content = path.read_bytes()
        with flipped(path, draw):
            loaded = checkpoint.load(tmp_path, {"address": "a"})
            path.with_name(f"{checkpoint.NAME}.aside").unlink(missing_ok=True)
        assert path.read_bytes() == content
        if loaded is not None:
            weight = loaded["model"].pop("weight")
            assert torch.equal(weight, state["model"]["weight"])
            assert loaded == {"step": 12, "model": {}, "history": state["history"]}
        ends["set aside" if loaded is None else "the same state"] += 1
    with capsys.disabled():
        print(f"\ncheckpoint: {dict(ends)}")
