"""Jobs whose trainings advance as one: each ends as alone, and whatever happens to one leaves the others be."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lskd.data.augment import CLEAN
from lskd.errors import UserError
from lskd.io.layout import TRACE
from lskd.io.seal import RECORD, read_record
from lskd.jobs import execute as execute_module
from lskd.jobs.execute import alone, execute, is_whole
from lskd.jobs.job import Job
from lskd.training import distill
from lskd.training.fused import Fused
from lskd.training.loop import Training, Watch
from tests import small


class Study:
    """Students of a teacher or of one a seed, whose trainings wait, below a folder of results."""

    def __init__(self, root: Path, temperatures=(1.0, 2.0, 8.0), seeds=(0,), **fields) -> None:
        self.catalogue = small.catalogue(root / "results", train=109)
        teachers = [small.teacher("mlp", epochs=1, seed=seed) for seed in seeds]
        self.teacher = teachers[0]
        runs = [small.student(of, how={"temperature": each}, **fields) for of in teachers for each in temperatures]
        self.jobs = [self.catalogue.train(run) for run in runs]
        for logits in {job.inputs["teacher"].address: job.inputs["teacher"] for job in self.jobs}.values():
            self.make(logits.inputs["weights"])
            self.make(logits)
        self.plan(self.jobs)

    def plan(self, jobs: list[Job], time: int = 1) -> None:
        for job in jobs:
            small.write_job(job)
            os.utime(self.catalogue.results.root / f".jobs/{job.address}.json", (time, time))

    def make(self, job: Job) -> None:
        execute(json.loads(json.dumps(job.described())), self.catalogue.results.root)

    def made(self) -> list[bool]:
        return [is_whole(job.folder, job.names[:-1]) for job in self.jobs]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study in a folder of that name, whose trainings advance as one if so told."""

    def of(name: str, fuse: int = 8, catalogue=Study, checkpoint_minutes=0.0, **fields) -> Study:
        settings = {"device": "cpu", "fuse": fuse, "checkpoint_minutes": checkpoint_minutes}
        monkeypatch.setenv("LSKD_RUNTIME", json.dumps(settings))
        monkeypatch.setenv("LSKD_RUNNING", str(tmp_path / "running"))
        return catalogue(tmp_path / name, **fields)

    return of


def files(job: Job) -> dict[str, bytes]:
    names = {path.name for path in job.folder.iterdir() if path.is_file()} - {RECORD, "train.log"}
    return {name: (job.folder / name).read_bytes() for name in names}


RECIPES = {
    "sgd": {},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "crops, blended": {"crop_padding": 1, "mixup": 0.4},
    "bfloat16": {"amp": "bfloat16"},
}


SEVERAL = {"temperatures": (1.0, 8.0), "seeds": (0, 1)}


@pytest.mark.parametrize("name", ["sgd", "crops, blended"])
def test_those_of_several_seeds_see_their_own_batches(study, name):
    together, solo = (study(each, 8 if each == "one" else 1, **SEVERAL, **RECIPES[name]) for each in ("one", "solo"))
    for job in solo.jobs:
        solo.make(job)
    together = study("one", **SEVERAL, **RECIPES[name])
    together.make(together.jobs[0])
    assert together.made() == [True] * 4
    for mine, other in zip(together.jobs, solo.jobs, strict=True):
        weights, expected = (load_file(job.folder / "model.safetensors") for job in (mine, other))
        torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-4)
    first, second = (load_file(together.jobs[place].folder / "model.safetensors") for place in (0, 2))
    assert not torch.allclose(first["head.weight"], second["head.weight"], rtol=1e-2)


@pytest.mark.parametrize("name", RECIPES)
def test_those_that_wait_advance_as_one_and_end_as_alone(study, name, capfd):
    together, solo = study("together", **RECIPES[name]), study("solo", fuse=1, **RECIPES[name])
    for job in solo.jobs:
        solo.make(job)
    assert solo.made() == [True] * 3 and together.made() == [False] * 3
    together = study("together", **RECIPES[name])
    capfd.readouterr()
    together.make(together.jobs[1])
    assert together.made() == [True] * 3
    for mine, other in zip(together.jobs, solo.jobs, strict=True):
        assert mine.address == other.address
        rows, others = ([json.loads(line) for line in (job.folder / "history.jsonl").open()] for job in (mine, other))
        for row, theirs in zip(rows, others, strict=True):
            rel = 0.05 if name == "bfloat16" else 1e-4
            assert row == pytest.approx(theirs, rel=rel, abs=0.1 if name == "bfloat16" else 1e-6)
        if name != "bfloat16":
            for file in ("model.safetensors", "best.safetensors"):
                weights, expected = (load_file(job.folder / file) for job in (mine, other))
                torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-4)
        made_on = [read_record(job.folder)["made_on"] for job in (mine, other)]
        assert [each["training"] for each in made_on] == [["alone", "fused"], ["alone"]]  # the teacher's is alone
        assert [(job.folder / TRACE).exists() for job in (mine, other)] == [False, True]
        assert [(job.inputs["teacher"].inputs["weights"].folder / TRACE).exists() for job in (mine, other)] == [
            True
        ] * 2
    together.make(together.jobs[0])
    assert "is there" in capfd.readouterr().err


def test_no_more_advance_as_one_than_are_asked_for(study):
    three = study("three", fuse=2)
    three.make(three.jobs[0])
    assert sum(three.made()) == 2 and three.made()[0]


def stopped(monkeypatch, step: int) -> None:
    """Have a signal ask the process to stop after a step."""
    after = Watch.after_step

    def killed(self, done, is_within_epoch):
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)
        after(self, done, is_within_epoch)

    monkeypatch.setattr(Watch, "after_step", killed)


@pytest.mark.parametrize("step", [1, 7, 10, 20])
def test_a_signal_saves_all_and_they_end_with_the_same_bytes(study, monkeypatch, step, tmp_path):
    whole, broken = study("whole"), study("broken")
    whole.make(whole.jobs[0])
    with monkeypatch.context() as patch:
        stopped(patch, step)
        with pytest.raises(SystemExit, match="143"):
            broken.make(broken.jobs[0])
    assert broken.made() == [False] * 3
    sizes = [(job.folder / "checkpoint.pt").stat().st_size for job in broken.jobs]
    broken.make(broken.jobs[2])
    assert broken.made() == [True] * 3
    for mine, other in zip(broken.jobs, whole.jobs, strict=True):
        assert files(mine) == files(other)
    assert not list((tmp_path / "running").glob("*.json"))
    alone_ = study("alone", fuse=1)
    with monkeypatch.context() as patch:
        stopped(patch, step)
        with pytest.raises(SystemExit, match="143"):
            alone_.make(alone_.jobs[0])
    assert max(sizes) < 1.2 * (alone_.jobs[0].folder / "checkpoint.pt").stat().st_size  # its own part alone


@pytest.mark.parametrize("first", [8, 1])
def test_one_that_others_are_not_as_far_as_goes_on_alone(study, monkeypatch, first):
    runs = study("runs", fuse=first)
    with monkeypatch.context() as patch:
        stopped(patch, 9)
        with pytest.raises(SystemExit):
            runs.make(runs.jobs[0])
    runs = study("runs", fuse=9 - first)
    runs.make(runs.jobs[0])
    assert runs.made() == [True, False, False]
    record, names = read_record(runs.jobs[0].folder), {path.name for path in runs.jobs[0].folder.iterdir()}
    assert record["made_on"]["training"] == (["alone"] if first == 1 else ["alone", "fused"])
    assert (TRACE in names) == (first == 1)
    assert not {"trace.part", "checkpoint.pt"} & names
    if first == 1:
        whole = study("whole", fuse=1)
        whole.make(whole.jobs[0])
        assert files(runs.jobs[0]) == files(whole.jobs[0])


def steps(study: Study) -> list[int | None]:
    """How far each checkpoint is."""
    paths = [job.folder / "checkpoint.pt" for job in study.jobs]
    return [torch.load(path)["state"]["step"] if path.exists() else None for path in paths]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_one_whose_loss_is_none_is_left_to_its_own_job(study, monkeypatch, lost):
    runs = study("runs", checkpoint_minutes=10)
    title, end = runs.jobs[lost].title, Training.end_epoch

    def ending(self, epoch):
        if self.work.title == title and epoch == 2:
            raise UserError(f"{title}: the loss is nan")
        end(self, epoch)

    monkeypatch.setattr(Training, "end_epoch", ending)
    if lost == 0:
        with pytest.raises(UserError, match="nan"):
            runs.make(runs.jobs[0])
        assert runs.made() == [False] * 3 and steps(runs) == [None, 14, 14]
    for job in [job for job in runs.jobs if job.title != title]:
        runs.make(job)
    assert runs.made() == [place != lost for place in range(3)]
    with pytest.raises(UserError, match="nan"):
        runs.make(runs.jobs[lost])


FAILURES = {
    "watched": (Training, "watched", OSError("history.jsonl")),
    "resume": (Training, "resume", OSError("checkpoint.pt")),
    "end of epoch": (Training, "end_epoch", FileNotFoundError("gone")),
    "a step": (Watch, "after_step", UserError("the disk is full")),
    "an epoch": (Watch, "after_epoch", UserError("the disk is full")),
    "writing": (Training, "write", OSError("the disk is full")),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("lost", [1, 2])
def test_whatever_fails_of_another_the_rest_is_made(study, monkeypatch, name, lost):
    runs = study("runs")
    owner, method, error = FAILURES[name]
    title, act = runs.jobs[lost].title, getattr(owner, method)

    def failing(self, *arguments, **options):
        if (self.work if owner is Training else self.saver.work).title == title:
            raise error
        return act(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, failing)
        runs.make(runs.jobs[0])
    assert runs.made() == [place != lost for place in range(3)]
    runs.make(runs.jobs[lost])
    assert runs.made() == [True] * 3


@pytest.mark.parametrize("what", ["logits", "their record", "folder"])
def test_one_that_reads_or_writes_what_is_damaged_harms_no_other(study, what, monkeypatch):
    runs = study("runs", **SEVERAL)
    logits = runs.jobs[2].inputs["teacher"].folder
    if what == "logits":
        small.flip(logits / "logits.parquet", 100)
    elif what == "their record":
        finish = Training.finish

        def finishing(self):
            finish(self)
            (logits / RECORD).unlink(missing_ok=True)

        monkeypatch.setattr(Training, "finish", finishing)
    else:
        runs.jobs[2].folder.parent.mkdir(parents=True, exist_ok=True)
        runs.jobs[2].folder.write_text("a file")
    runs.make(runs.jobs[0])
    assert runs.made() == [True, True, False, what == "folder"]


def test_each_is_sealed_before_the_next_is_written(study, monkeypatch):
    runs, seen, seal = study("runs"), [], execute_module.seal

    def sealing(folder, *arguments):
        seal(folder, *arguments)
        seen.append(steps(runs).count(None))

    monkeypatch.setattr(execute_module, "seal", sealing)
    runs.make(runs.jobs[1])
    assert seen == [1, 2, 3]  # have no checkpoint any more
    assert not list((runs.catalogue.results.root / ".jobs").glob("*.json"))


def test_one_that_is_elsewhere_is_free_and_takes_no_place(study, monkeypatch):
    runs = study("runs", temperatures=(1.0, 2.0, 3.0, 4.0, 5.0), fuse=1)
    by_address = sorted(runs.jobs, key=lambda job: job.address)
    for job in by_address[:2]:
        with monkeypatch.context() as patch:
            stopped(patch, 9)
            with pytest.raises(SystemExit):
                runs.make(job)
    runs = study("runs", temperatures=(1.0, 2.0, 3.0, 4.0, 5.0), fuse=3)
    free, advance = [], Fused.step

    def step(self, *arguments):
        with alone(by_address[0].folder, wait=False) as is_free:
            free.append(is_free)
        return advance(self, *arguments)

    monkeypatch.setattr(Fused, "step", step)
    runs.make(by_address[4])
    assert [is_whole(job.folder, ()) for job in by_address] == [False, False, True, True, True]
    assert free and all(free)


def test_a_signal_amid_a_step_stops_all_at_the_same(study, monkeypatch):
    runs, after = study("runs"), Watch.after_step

    def killed(self, done, is_within_epoch):
        after(self, done, is_within_epoch)
        if done == 9:  # once the first of them went by
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Watch, "after_step", killed)
    with pytest.raises(SystemExit):
        runs.make(runs.jobs[0])
    assert steps(runs) == [10, 10, 10]


def test_losses_that_keep_a_state_advance_each_with_its_own(study):
    class Smoothed(Study):
        def __init__(self, root: Path) -> None:
            self.catalogue = small.catalogue(root / "results", train=109)
            ways = [{"way": "online_smoothing", "hard_weight": weight} for weight in (0.3, 0.7)]
            self.jobs = [self.catalogue.train(small.teacher("mlp", 16, way)) for way in ways]
            self.plan(self.jobs)

    solo = study("solo", fuse=1, catalogue=Smoothed)
    for job in solo.jobs:
        solo.make(job)
    together = study("together", catalogue=Smoothed)
    together.make(together.jobs[0])
    assert together.made() == [True, True]
    for mine, other in zip(together.jobs, solo.jobs, strict=True):
        weights, expected = (load_file(job.folder / "model.safetensors") for job in (mine, other))
        torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-4)


def test_what_does_not_fit_or_is_not_free_is_left(study):
    runs = study("runs", temperatures=(1.0, 2.0))
    others = {
        "seed": small.student(small.teacher("mlp", epochs=1, seed=1)),
        "width": small.student(runs.teacher, width=8),
        "recipe": small.student(runs.teacher, lr=0.01),
        "draws": small.student(runs.teacher, how={"draws": 1}, crop_padding=1),
        "online": small.student(runs.teacher, how={"draws": "online"}),
        "labels": small.teacher("mlp", 16),
        "unready": small.student(small.teacher("mlp", epochs=2)),
    }
    jobs = {name: runs.catalogue.train(run) for name, run in others.items()}
    runs.plan([*jobs.values()])
    held, of_another_plan = (
        runs.catalogue.train(small.student(runs.teacher, how={"temperature": each})) for each in (4.0, 5.0)
    )
    runs.plan([held])
    runs.plan([of_another_plan], time=2)
    (runs.catalogue.results.root / ".jobs/0000000000.json").write_text("{}")
    held.folder.mkdir(parents=True)
    with alone(held.folder):
        runs.make(runs.jobs[0])
    assert runs.made() == [True, True]
    assert not any(is_whole(job.folder, ()) for job in (*jobs.values(), held, of_another_plan))


def test_trainings_on_labels_advance_as_one(study):
    class Labels(Study):
        def __init__(self, root: Path) -> None:
            self.catalogue = small.catalogue(root / "results", train=109)
            runs = [small.teacher("mlp", 16, {"label_smoothing": alpha}) for alpha in (0.0, 0.1)]
            self.jobs = [self.catalogue.train(run) for run in runs]
            self.plan(self.jobs)

    runs = study("runs", catalogue=Labels)
    runs.make(runs.jobs[0])
    assert runs.made() == [True, True]


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({"grad_clip": 1.0}, {}),
        ({"amp": "float16"}, {}),
        ({"processes": 2}, {}),
        ({}, {"draws": "online"}),
    ],
)
def test_what_acts_on_a_network_as_a_whole_is_not_stacked(fields, how):
    job = small.CATALOGUE.train(small.student(small.teacher(), how=how, **fields))
    assert "fused" not in job.functions
    assert "fused" in small.CATALOGUE.train(small.student(small.teacher())).functions


def test_members_hold_images_and_logits_once(study, monkeypatch):
    runs, members, reads = study("runs"), [], []
    read, begin = distill.read_table, Fused.__init__
    monkeypatch.setattr(distill, "read_table", lambda *arguments: reads.append(arguments[1]) or read(*arguments))
    monkeypatch.setattr(Fused, "__init__", lambda self, each: members.extend(each) or begin(self, each))
    runs.make(runs.jobs[0])
    assert runs.made() == [True] * 3 and reads == [CLEAN]
    assert len(members) == 9 and len({id(member.source) for member in members}) == 1
