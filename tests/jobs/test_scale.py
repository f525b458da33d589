"""The simulation behind docs/scale.md keeps to what any schedule must, and the page has its tables."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from workflow.bench.scale import Work, makespan, of_feeding, of_ways

PAGE = (Path(__file__).parents[2] / "docs/scale.md").read_text()


@st.composite
def graphs(draw):
    """Jobs that wait for some of those before them."""
    jobs = []
    for number in range(draw(st.integers(1, 12))):
        after = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        jobs.append(Work(draw(st.floats(0, 100)), tuple(sorted(after))))
    return jobs


@given(graphs(), st.integers(1, 20))
def test_a_schedule_is_between_its_bounds(jobs, gpus):
    ends: list[float] = []  # of each, were there always a GPU
    for job in jobs:
        ends.append(job.hours + max((ends[above] for above in job.after), default=0.0))
    total = sum(job.hours for job in jobs)
    least = max(max(ends), total / gpus)
    assert least - 1e-6 <= makespan(jobs, gpus) <= total / gpus + max(ends) + 1e-6  # Graham 1969


def test_alone_they_take_their_sum_and_with_enough_gpus_the_longest_chain():
    jobs = [Work(3.0), Work(2.0, (0,)), Work(4.0, (0,)), Work(1.0, (1, 2))]
    assert [makespan(jobs, gpus) for gpus in (1, 2, 9)] == [10.0, 8.0, 8.0]
    assert all(makespan(jobs, more) <= makespan(jobs, fewer) for fewer, more in pairwise(range(1, 6)))


def test_the_page_has_the_tables():
    for table in (of_ways(), of_feeding()):
        assert "\n".join(table) in PAGE
