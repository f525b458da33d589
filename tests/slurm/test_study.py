"""A study run to its end on a real cluster by the shipped profile: as on this machine, packed, and one job to a GPU."""

import itertools
import re
import time

import pytest

from tests.slurm.conftest import PROFILE, on_cluster, tree_of
from tests.slurm.testbed import PATH
from tests.workflow.conftest import TINY, leftovers, measured, published

STUDY = TINY | {"runtime": {"device": "auto"}}  # so that jobs ask for a GPU
GRIDLESS = {"stability": {"kind": "stability", "groups": ["t"]}}


@pytest.fixture(scope="module")
def run(cluster, finished, tmp_path_factory):
    """The tree, what snakemake said, SLURM's jobs, and the GPUs in use at many moments: (node, index) of each job."""
    tree = tree_of(tmp_path_factory.mktemp("cluster") / "tree", STUDY, finished.folder)
    known = {job["JobId"] for job in jobs_of(cluster)}
    process, moments = tree.start(*PROFILE, PATH=PATH), []
    while process.poll() is None:
        own = jobs_of(cluster, known)
        running = [job for job in own if job["JobState"] == "RUNNING" and "gres/gpu" in job["TRES"]]
        moments.append([(job["NodeList"], job["GRES"]) for job in running])
        time.sleep(0.3)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return tree, output, jobs_of(cluster, known), moments


def jobs_of(cluster, known=frozenset()) -> list[dict[str, str]]:
    """What SLURM knows of each job but those known before."""
    text = cluster.said("scontrol", "show", "job", "--details", "--oneliner")
    jobs = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines()]
    return [job for job in jobs if job.get("JobId", "") not in known | {""}]


def memory_mb(job: dict[str, str]) -> int:
    """What a job asks for; SLURM writes 2048 MB as 2G."""
    number, unit = re.search(r"mem=([\d.]+)([MGT])", job["TRES"]).groups()
    return round(float(number) * 1024 ** "MGT".index(unit))


def test_it_ends_as_on_one_machine(run, finished):
    tree, *_ = run
    assert measured(tree) == measured(finished)
    assert published(tree) == published(finished)
    assert leftovers(tree) == []
    assert tree.pending() == set()


def test_twenty_jobs_share_ten_submissions(run):
    _, output, jobs, _ = run
    assert len(jobs) == output.count("has been submitted") == 10
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}


def test_no_two_jobs_are_on_one_gpu(run):
    _, _, jobs, moments = run
    assert sum("gres/gpu" in job["TRES"] for job in jobs) == 5  # packs: trainings 2, predictions 2, teacher logits 1
    spans = sorted((job["StartTime"], job["EndTime"]) for job in jobs if "gres/gpu" in job["TRES"])
    assert any(later[0] <= earlier[1] for earlier, later in itertools.pairwise(spans))  # there were jobs side by side
    for used in moments:
        assert len(set(used)) == len(used), used
        assert all(re.search(r"\(IDX:\d\)", gres) for _, gres in used)


def test_each_asks_for_what_it_needs(run):
    _, _, jobs, _ = run
    for job in jobs:
        assert 1000 <= memory_mb(job) <= 3000
        assert job["TimeLimit"] <= "01:00:00"
        assert (job["Partition"], job["Account"], job["Requeue"]) == (
            "gpu" if "gres/gpu" in job["TRES"] else "cpu",
            "lab",
            "1",
        )
    assert len({job["TimeLimit"] for job in jobs}) > 1  # of one job, and of several


def test_the_next_study_asks_for_what_the_first_took(run, cluster):
    tree, _, before, _ = run
    known = {job["JobId"] for job in jobs_of(cluster)}
    tree.configure(STUDY | {"seeds": [1]})
    on_cluster(tree)
    memory = {memory_mb(job) for job in jobs_of(cluster, known)}
    assert 1501 in {memory_mb(job) for job in before}
    assert 1501 not in memory and len(memory) >= 3  # each kind of job by its own use


def test_a_submission_of_two_gpus_runs_two_jobs_at_a_time(run, cluster, tmp_path):
    tree, *_ = run
    known = {job["JobId"] for job in jobs_of(cluster)}
    both = tree_of(
        tmp_path / "tree", STUDY | {"seeds": [2], "students": {}, "figures": GRIDLESS}, gpus_per_submission=2
    )
    on_cluster(both)
    trained = [job for job in jobs_of(cluster, known) if "gres/gpu=2" in job["TRES"]]
    assert len(trained) == 2  # the two trainings, and their two predictions
