"""Each reason why a job is to be done, in few lines."""

from dataclasses import replace

import pytest

from lskd.jobs import why
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.job import Job
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study.config import Data
from tests import small
from tests.jobs.test_catalogue import tiny


def train(root, **fields) -> Job:
    """A training whose result is looked up now."""
    return Catalogue({}, Results(root)).train(small.teacher(**fields))


def test_new_and_begun(tmp_path):
    assert why.reason(train(tmp_path)) == "new"
    job = train(tmp_path)
    job.folder.mkdir(parents=True)
    assert why.reason(job) == "begun, not finished"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["best.safetensors"], "best.safetensors is gone"),
        (["best.safetensors", "history.jsonl"], "best.safetensors, history.jsonl are gone"),
        (
            ["model.safetensors", "best.safetensors", "snapshots.safetensors", "history.jsonl"],
            "model.safetensors, best.safetensors, snapshots.safetensors are gone",
        ),
    ],
)
def test_gone_files(tmp_path, names, said):
    folder = small.place(train(tmp_path))
    for name in names:
        (folder / name).unlink()
    assert why.reason(train(tmp_path)) == said


def test_a_changed_spec(tmp_path):
    small.place(train(tmp_path))
    assert why.reason(train(tmp_path, lr=0.2)) == "spec: recipe.lr 0.05 -> 0.2"
    assert why.reason(train(tmp_path, flip=True)) == (
        "spec: recipe.flip nothing -> True; lskd/data/augment.py:flip is new"
    )
    assert why.reason(train(tmp_path, lr=0.2, epochs=5)) == "spec: recipe.epochs 3 -> 5; spec: recipe.lr 0.05 -> 0.2"
    many = train(tmp_path, lr=0.2, epochs=5, momentum=0.1, weight_decay=0.0, batch_size=7)
    assert why.reason(many).endswith("; and 2 more")
    long = train(tmp_path, epochs=90, snapshot_epochs=list(range(80)))
    assert "-> [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11..." in why.reason(long)


def test_changed_code(tmp_path):
    job = train(tmp_path)
    name = "lskd/training/loop.py:run"
    changes = {
        "lskd/training/loop.py:run changed": job.definitions | {name: "0"},
        "lskd/training/loop.py:run is new": {key: value for key, value in job.definitions.items() if key != name},
        "lskd/old.py:gone is no longer used": job.definitions | {"lskd/old.py:gone": "0"},
    }
    for said, definitions in changes.items():
        small.place(job, address="aaaaaaaaaa", definitions=definitions)
        assert why.reason(train(tmp_path)) == said
    both = job.definitions | {name: "0", "lskd/a.py:gone": "0"}
    small.place(job, address="aaaaaaaaaa", definitions=both)
    assert why.reason(train(tmp_path)) == "lskd/training/loop.py:run changed; lskd/a.py:gone is no longer used"


def test_it_is_told_from_what_is_most_alike(tmp_path):
    job = train(tmp_path)
    small.place(job, address="aaaaaaaaaa", definitions=dict.fromkeys(job.definitions, "0"))
    small.place(job, address="bbbbbbbbbb", spec=job.spec | {"seed": 7})
    assert why.reason(train(tmp_path)) == "spec: seed 7 -> 0"


def test_what_only_reads_what_is_new_has_no_reason_of_its_own(tmp_path):
    for stage in ("train", "predict"):
        small.place(getattr(Catalogue({}, Results(tmp_path)), stage)(small.teacher()))
    jobs = Catalogue({}, Results(tmp_path))
    edited = replace(jobs.data(Data()), spec=jobs.data(Data()).spec | {"val_fraction": 0.3})
    small.place(jobs.data(Data()))
    training = replace(jobs.train(small.teacher()), inputs={"data": edited})
    assert why.reason(edited) == "spec: val_fraction 0.15 -> 0.3"
    assert why.reason(training) == ""
    assert why.told([edited, training]) == [
        "2 jobs to do",
        "  1 data set: spec: val_fraction 0.15 -> 0.3",
        "  1 training on labels: made of these",
    ]


def test_nothing_to_do_is_nothing_said():
    assert why.told([]) == []


def test_a_study_is_told_by_kinds(tmp_path):
    catalogue = tiny(tmp_path)
    plan = Plan(catalogue.studies["tiny"], catalogue, {})
    plan.ask([])
    first, second = why.told(plan.pending)
    assert first == "27 jobs to do"
    assert sorted(second.strip().removesuffix(": new").split(", ")) == [
        "1 data set",
        "2 snapshots",
        "2 stores of teacher logits",
        "2 trainings on labels",
        "4 students",
        "5 figures",
        "5 metrics",
        "6 predictions",
    ]


@pytest.mark.parametrize("reasons", [1, 7, 8, 9, 30])
def test_never_more_than_ten_lines_and_no_job_is_left_out(tmp_path, reasons):
    pending = []
    for seed in range(reasons):
        small.place(train(tmp_path, seed=seed))
        pending.append(train(tmp_path, seed=seed, lr=0.1 + seed))
    follower = Catalogue({}, Results(tmp_path)).predict(small.teacher())
    small.place(follower)
    pending.append(replace(follower, inputs=follower.inputs | {"weights": pending[0]}))
    lines = why.told(pending)
    assert lines[0] == f"{reasons + 1} jobs to do"
    assert lines[-1] == "  1 prediction: made of these"
    assert len(lines) == min(10, reasons + 2)
    spec_lines = [line for line in lines[1:-1] if "spec: " in line]
    more = [line for line in lines if " more reasons: python -m lskd why" in line]
    assert len(spec_lines) + sum(int(line.split()[1]) for line in more) == reasons
    assert len(why.told(pending, None)) == reasons + 2


def test_words_of_every_stage():
    catalogue = tiny()
    words = {why.kind(job) for job in catalogue.everything()}
    assert words == set(why._PLURALS) - {"corpus", "translation"}
