"""Make one job in children that are killed at random moments; print after each kill the step of the checkpoint.

Usage: python -m tests.killing JOB RESULTS KILLS LONGEST_SECONDS
A life lasts at most as long as it takes to the first checkpoint, and LONGEST_SECONDS more.
The children are forked from this process, which has torch loaded already, so that a life is all training.
"""

import gc
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from lskd.jobs.execute import check_code, execute, read_job, resolve
from lskd.training import checkpoint


def child(described: dict, results: Path) -> int:
    pid = os.fork()
    if not pid:
        execute(described, results)
        os._exit(0)
    return pid


def step_of(folder: Path) -> int:
    path = folder / checkpoint.NAME
    return torch.load(path, weights_only=True)["state"]["step"] if path.exists() else 0


def first_checkpoint(described: dict, results: Path) -> float:
    """Seconds from a child's start to its first checkpoint; the child is killed, its step kept."""
    start, pid = time.monotonic(), child(described, results)
    while not step_of(results / described["folder"]):
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return time.monotonic() - start


def main() -> None:
    described, results = read_job(Path(sys.argv[1])), Path(sys.argv[2])
    kills, longest = int(sys.argv[3]), float(sys.argv[4])
    torch.set_num_threads(1)
    for entry in described["functions"].values():
        resolve(entry)
    check_code(described)  # remembered, and so by the children
    gc.freeze()  # as in the server of forks; to look through all that is imported takes half of a life
    draw, start_seconds = random.Random(7), first_checkpoint(described, results)
    for _ in range(kills):
        pid = child(described, results)
        time.sleep(draw.uniform(0, start_seconds + longest))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        print("killed" if os.WIFSIGNALED(status) else "finished", step_of(results / described["folder"]), flush=True)
    execute(described, results)


if __name__ == "__main__":
    main()
