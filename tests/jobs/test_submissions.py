"""Jobs packed into submissions: none waits for another in its pack, none is lost, and no pack is too large."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lskd.jobs.job import Job
from lskd.jobs.results import Results
from lskd.jobs.submissions import packs

RESULTS = Results(Path("results"))
STAGES = ("train", "predict", "teacher_logits")


@st.composite
def plans(draw) -> list[Job]:
    """Jobs, each after what it reads."""
    jobs: list[Job] = []
    for number in range(draw(st.integers(1, 25))):
        above = draw(st.lists(st.sampled_from(jobs), max_size=3, unique_by=id)) if jobs else []
        inputs = {str(place): job for place, job in enumerate(above)}
        stage = draw(st.sampled_from(STAGES))
        jobs.append(Job(stage, f"a/{number}", {"number": number}, inputs, {"run": "lskd.data.prepare:run"}, RESULTS))
    return jobs


def behind(job: Job) -> set[Job]:
    return {*job.inputs.values(), *(deeper for above in job.inputs.values() for deeper in behind(above))}


@given(plans(), st.integers(2, 6), st.integers(5, 60), st.lists(st.integers(1, 30), min_size=25, max_size=25))
def test_packs(jobs, most, most_minutes, minutes):
    taken = {job: minutes[place] for place, job in enumerate(jobs)}
    named = packs(jobs, most, most_minutes, taken.__getitem__)
    by_pack: dict[str, list[Job]] = {}
    for job in jobs:
        if job.below in named:
            by_pack.setdefault(named[job.below], []).append(job)
    assert named.keys() <= {job.below for job in jobs}
    for pack in by_pack.values():
        assert 2 <= len(pack) <= most
        assert sum(taken[job] for job in pack) <= most_minutes
        assert len({job.stage for job in pack}) == 1
        assert not any(behind(job) & set(pack) for job in pack)


def test_eight_seeds_of_a_teacher_share_a_submission():
    jobs = [
        Job("train", f"a/seed{seed}", {"seed": seed}, {}, {"run": "lskd.data.prepare:run"}, RESULTS)
        for seed in range(9)
    ]
    named = packs(jobs, 8, 120, lambda job: 6)
    assert [named.get(job.below) for job in jobs] == ["train0"] * 8 + [None]


def test_a_job_of_several_processes_has_a_submission_of_its_own():
    specs = [{"seed": seed, "recipe": {"processes": 1 + (seed == 1)}} for seed in range(3)]
    jobs = [
        Job("train", f"a/seed{place}", spec, {}, {"run": "lskd.data.prepare:run"}, RESULTS)
        for place, spec in enumerate(specs)
    ]
    named = packs(jobs, 8, 120, lambda job: 6)
    assert [named.get(job.below) for job in jobs] == ["train0", None, "train0"]
