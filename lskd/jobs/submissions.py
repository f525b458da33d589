"""Small jobs of a cluster packed several to a submission, in which they run one after the other on one GPU."""

from collections.abc import Callable

from lskd.jobs.demand import processes
from lskd.jobs.job import Job


def packs(jobs: list[Job], most: int, most_minutes: int, minutes: Callable[[Job], int]) -> dict[str, str]:
    """The pack of each job, by the job's folder below results; a job that is alone in its pack has none.

    `jobs`: each after what it reads. A pack has jobs of one stage and one depth, so none waits for another: at most
    `most` of them, and of `most_minutes` in all. A job of several processes, which takes several GPUs, has none.
    """
    depths: dict[Job, int] = {}
    for job in jobs:
        depths[job] = 1 + max((depths.get(above, 0) for above in job.inputs.values()), default=0)
    open_packs: dict[tuple[str, int], list[Job]] = {}
    full: list[list[Job]] = []
    for job in jobs:
        if processes(job.spec) > 1:
            continue
        key = job.stage, depths[job]
        pack = open_packs.setdefault(key, [])
        if pack and (len(pack) == most or sum(map(minutes, pack)) + minutes(job) > most_minutes):
            full.append(pack)
            pack = open_packs[key] = []
        pack.append(job)
    named: dict[str, str] = {}
    for number, pack in enumerate([*full, *open_packs.values()]):
        if len(pack) > 1:
            named |= {job.below: f"{pack[0].stage}{number}" for job in pack}
    return named
