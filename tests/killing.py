"""Train one run in children that are killed at random moments; print after each kill the step of the checkpoint.

Usage: python -m tests.killing SPEC DATA OUT KILLS LONGEST_SECONDS
The children are forked from this process, which has torch loaded already, so that a life is all training.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from lskd import checkpoint, stage
from lskd.config import Runtime
from lskd.runs import loss_entry, model_entry
from lskd.train import Job, train


def live(spec: dict, data: Path, out: Path) -> None:
    runtime = Runtime(device="cpu", checkpoint_minutes=1e-6)
    job = Job(spec, "code", {"data": data}, out, torch.device("cpu"), runtime)
    train(job, stage.resolve(model_entry(spec["model"])), stage.resolve(loss_entry(spec)))


def child(spec: dict, data: Path, out: Path) -> int:
    pid = os.fork()
    if not pid:
        live(spec, data, out)
        os._exit(0)
    return pid


def step_of(out: Path) -> int:
    path = out / checkpoint.NAME
    return torch.load(path, weights_only=True)["state"]["step"] if path.exists() else 0


def main() -> None:
    spec, data, out = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    kills, longest = int(sys.argv[4]), float(sys.argv[5])
    torch.set_num_threads(1)
    stage.resolve(model_entry(spec["model"]))
    draw = random.Random(7)
    for _ in range(kills):
        pid = child(spec, data, out)
        time.sleep(draw.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        print("killed" if os.WIFSIGNALED(status) else "finished", step_of(out), flush=True)
    live(spec, data, out)


if __name__ == "__main__":
    main()
