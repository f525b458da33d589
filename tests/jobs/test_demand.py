"""What jobs ask a cluster for, by spec and by use."""

import json

import pytest

from lskd.jobs.catalogue import Catalogue
from lskd.jobs.demand import BASE_MB, BASE_MINUTES, SPARE_MB, USAGE, Demand, Demands, estimate, like, write_usage
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study import reading, studies
from tests.workflow.conftest import ROOT, TINY


def pending(root, **changes):
    main, known = studies.read_all(TINY | changes, {}, ["config.yaml"])
    plan = Plan(main, Catalogue(known, Results(root)), {})
    plan.ask([])
    return plan.pending


def of_stage(jobs, stage):
    return next(job for job in jobs if job.stage == stage)


def test_a_longer_training_of_a_larger_network_asks_for_more_time(tmp_path, cifar):
    minutes = []
    for model, epochs in (("mlp", 10), ("resnet56", 10), ("resnet56", 200)):
        recipes = {"one": {"epochs": epochs}, "two": {"epochs": 1}}
        teachers = {"t": {"model": model, "recipe": "one", "label_smoothing": [0.0, 0.1]}}
        train = of_stage(pending(tmp_path, data="cifar10", recipes=recipes, teachers=teachers), "train")
        minutes.append(estimate(train, on_gpu=True).minutes)
    assert minutes[0] < 15 < minutes[1] < 60 < minutes[2] < 24 * 60
    assert estimate(train, on_gpu=False).minutes > 5 * minutes[2]


@pytest.fixture
def cifar(monkeypatch):
    """The data set's files are not here; their digest does not matter to what is asked."""
    monkeypatch.setattr("lskd.jobs.data_specs.content", lambda *_: {})


@pytest.mark.parametrize("stage", ["data", "train", "teacher_logits", "predict", "metrics", "figure"])
def test_every_stage_has_a_demand(tmp_path, stage):
    demand = estimate(of_stage(pending(tmp_path), stage), on_gpu=True)
    assert BASE_MB < demand.megabytes < 2 * BASE_MB
    assert BASE_MINUTES < demand.minutes < 3 * BASE_MINUTES


def test_the_next_attempt_asks_for_more_and_for_no_more_time_than_there_is():
    assert Demand(1000, 30).at(1, 60) == Demand(1000, 30)
    assert Demand(1000, 30).at(3, 60) == Demand(3000, 60)


def test_what_jobs_like_it_took_is_asked_for(tmp_path):
    jobs = pending(tmp_path, seeds=[0, 1])
    trainings = [job for job in jobs if job.stage == "train" and "plain_cnn" in job.title]
    for place, job in enumerate(trainings[:2]):
        write_usage(tmp_path, job.described(), 2000.0 + 100 * place, 3600.0 * (1 + place))
    demand = Demands(tmp_path, on_gpu=True).of(trainings[-1])
    assert demand == Demand(int(1.5 * 2100) + SPARE_MB, 180 + BASE_MINUTES)
    other = next(job for job in jobs if job.stage == "train" and "mlp" in job.title)
    assert Demands(tmp_path, on_gpu=True).of(other) == estimate(other, True)


def test_jobs_are_alike_whatever_their_seed_smoothing_and_temperature(tmp_path):
    jobs = pending(tmp_path, seeds=[0, 1])
    kinds = {(job.stage, like(job.stage, job.spec)) for job in jobs if job.stage in ("train", "predict")}
    assert len(kinds) == 4  # teachers and students


def test_every_job_of_the_default_study_tells_what_it_took(tmp_path):
    config = reading.read(ROOT / "config.yaml")
    main, known = studies.read_all(config, {}, [])
    plan = Plan(main, Catalogue(known, Results(tmp_path)), {})
    plan.ask([])
    for job in plan.pending:
        write_usage(tmp_path, job.described(), 1000.0, 60.0)
    demands = Demands(tmp_path, on_gpu=True)
    assert {demands.of(job) for job in plan.pending} == {Demand(1500 + SPARE_MB, 2 + BASE_MINUTES)}


def test_a_training_of_several_processes_asks_for_the_memory_of_all(tmp_path):
    recipe = next(iter(TINY["recipes"]))
    demands = []
    for size in (1, 2):
        changed = TINY["recipes"] | {recipe: TINY["recipes"][recipe] | {"processes": size}}
        job = of_stage(pending(tmp_path, recipes=changed), "train")
        first = estimate(job, True)
        write_usage(tmp_path, job.described(), 2000.0, 60.0)
        demands.append((first.megabytes, Demands(tmp_path, on_gpu=True).of(job).megabytes))
    assert demands[0][1] == 3000 + SPARE_MB and demands[1][1] == 6000 + SPARE_MB
    assert demands[1][0] > 1.8 * demands[0][0]


def test_an_edited_usage_counts_as_none(tmp_path):
    job = of_stage(pending(tmp_path), "train")
    write_usage(tmp_path, job.described(), 2000.0, 60.0)
    (path,) = (tmp_path / USAGE).iterdir()
    path.write_text(path.read_text().replace("2000.0", "9000.0"))
    assert Demands(tmp_path, on_gpu=True).of(job) == estimate(job, True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"like": 3, "megabytes": "x", "seconds": 1})])
def test_a_damaged_usage_counts_as_none(tmp_path, text):
    (tmp_path / USAGE).mkdir()
    (tmp_path / USAGE / "0123456789.json").write_text(text)
    job = of_stage(pending(tmp_path), "train")
    assert Demands(tmp_path, on_gpu=True).of(job) == estimate(job, True)
