"""The ImageNet grid on 8 and 64 GPUs, simulated, and what must be read and decoded for it; numbers of docs/scale.md.

    python workflow/bench/scale.py

The jobs are those that planning finds for `chandrasegaran2022_gridA` at paper scale, as it is shipped (the teacher in
the loop) and from stored logits. Each takes a GPU for its multiply-adds at the speed of workflow/papers_page.py; a job
begins when all that it reads is made and a GPU is free, those before the longest rest first. Nothing else is simulated:
no queue, no failure, no start of a process. Prints Markdown tables.
"""

import heapq
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.jobs.catalogue import Catalogue, ancestors
from lskd.jobs.job import Job
from lskd.jobs.results import Results
from lskd.study import reading, studies
from lskd.study.runs import Run
from workflow.papers_page import MULTIPLY_ADDS, TRAIN_IMAGES, gpu_hours, multiply_adds

STUDY = Path(__file__).resolve().parents[1] / "studies/chandrasegaran2022.yaml"
GPUS = (8, 64)
TEST_IMAGES = 50_000
DECODE_MS = {"as is": 5.15, "short_side: 256": 3.39}  # of a processor, an image: docs/benchmarks.md
JPEG_BYTES = {"as is": 110_000, "short_side: 256": 52_000}  # ImageNet's mean; docs/benchmarks.md
LOGIT_BYTES = {"float16": 2013, "top 100": 635}  # a sample and draw: docs/store.md
PATTERNS = {"float16": "%.1f", "top 100": "(%.1f)"}


class Work(NamedTuple):
    """A job of the simulation: hours of one GPU, and by number the jobs that it waits for."""

    hours: float
    after: tuple[int, ...] = ()


def makespan(jobs: list[Work], gpus: int) -> float:
    """Hours until all are done; jobs are listed after what they wait for."""
    rest = [job.hours for job in jobs]  # of the longest chain that begins with each
    for number in reversed(range(len(jobs))):
        for above in jobs[number].after:
            rest[above] = max(rest[above], jobs[above].hours + rest[number])
    waits = [len(set(job.after)) for job in jobs]
    ready = [(-rest[number], number) for number, job in enumerate(jobs) if not job.after]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < gpus:
            _, number = heapq.heappop(ready)
            heapq.heappush(running, (now + jobs[number].hours, number))
        now, done = heapq.heappop(running)
        for number, job in enumerate(jobs):
            if done in job.after:
                waits[number] -= 1
                if not waits[number]:
                    heapq.heappush(ready, (-rest[number], number))
    return now


def planned(stored: bool) -> tuple[list[Job], dict[Job, Run]]:
    """The grid's jobs, each after what it reads, and the network of each that trains one."""
    raw: dict[str, Any] = reading.read(STUDY) | {"scale": "paper"}
    for name in ("student", "second") if stored else ():
        raw["scales"]["paper"]["students"][name] |= {"draws": "epochs", "dtype": "float16"}
    main, by_name = studies.read_all(raw, {}, [STUDY])
    catalogue = Catalogue(by_name, Results())
    runs = {}
    for member in catalogue.shown(main.study, "gridA"):
        run: Run | None = member.run
        while run:
            runs[catalogue.train(run)] = run.whole
            run = run.teacher
    return list(ancestors(catalogue.figure(main.study, "gridA"))), runs


def work(jobs: list[Job], runs: dict[Job, Run]) -> list[Work]:
    """The same as the simulation wants them."""
    numbers = {job: number for number, job in enumerate(jobs)}
    return [Work(hours(job, runs), tuple(numbers[above] for above in job.inputs.values())) for job in jobs]


def hours(job: Job, runs: dict[Job, Run]) -> float:
    """Of one GPU; a job that needs none counts as done at once."""
    if job.stage == "train":
        run = runs[job]
        assert run.recipe is not None
        if any(above.stage == "teacher_logits" for above in job.inputs.values()):
            return passes(dict(run.recipe)["epochs"] * trained_on(run), 3, run)
        return gpu_hours(run)
    if job.stage not in ("predict", "teacher_logits"):
        return 0.0
    run = runs[job.inputs["weights"]]
    val = TRAIN_IMAGES[run.data.dataset] - trained_on(run)
    return passes(job.spec["draws"] * trained_on(run) if job.stage == "teacher_logits" else TEST_IMAGES + val, 1, run)


def passes(images: float, times: int, run: Run) -> float:
    """Hours of so many forward passes' worth of multiply-adds for each of so many images."""
    return images * times * multiply_adds(run) / MULTIPLY_ADDS / 3600


def trained_on(run: Run) -> float:
    """Images of an epoch."""
    return TRAIN_IMAGES[run.data.dataset] * (1 - run.data.val_fraction)


def of_ways() -> Iterator[str]:
    """What the grid takes, and how long."""
    yield "| the teacher's logits | jobs | GPU-hours | longest training | longest chain |" + "".join(
        f" days on {gpus} GPUs | busy |" for gpus in GPUS
    )
    yield "| :-- " + "| --: " * (4 + 2 * len(GPUS)) + "|"
    for words, stored in (("in the loop, as shipped", False), ("stored, float16", True)):
        jobs, runs = planned(stored)
        listed = work(jobs, runs)
        total = sum(job.hours for job in listed)
        longest = max(job.hours for job, made in zip(listed, jobs, strict=True) if made.stage == "train")
        cells = [f"{len(jobs)}", f"{total:,.0f}", f"{longest:,.0f} h", f"{makespan(listed, len(jobs)):,.0f} h"]
        for gpus in GPUS:
            time = makespan(listed, gpus)
            cells += [f"{time / 24:,.0f}", f"{total / time / gpus:.0%}"]
        yield f"| {words} | {' | '.join(cells)} |"


def of_feeding() -> Iterator[str]:
    """What must be read and decoded for a GPU that trains a student without its teacher."""
    jobs, runs = planned(stored=True)
    students = {run.model.name: run for run in runs.values() if run.teacher}
    yield "| student | images | images/s | processors that decode | MB/s of JPEGs | MB/s of logits, float16 (top 100) |"
    yield "| :-- | :-- | --: | --: | --: | --: |"
    for name, run in sorted(students.items()):
        speed = MULTIPLY_ADDS / (3 * multiply_adds(run))
        for form, milliseconds in DECODE_MS.items():
            logits = " ".join(f"{pattern % (speed * LOGIT_BYTES[each] / 1e6)}" for each, pattern in PATTERNS.items())
            cells = [f"{speed:,.0f}", f"{speed * milliseconds / 1e3:.1f}", f"{speed * JPEG_BYTES[form] / 1e6:,.0f}"]
            yield f"| {name} | {form} | {' | '.join(cells)} | {logits} |"


if __name__ == "__main__":
    print("\n".join([*of_ways(), "", *of_feeding()]))
