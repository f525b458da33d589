"""`make bench`: what a step, the logits store, streamed images and planning cost, each against something named."""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.data import digits, encoded, prepare
from lskd.data.sources import Batch, Source, read_sources
from lskd.io.layout import FILES
from lskd.io.seal import seal
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.jobs.work import Work
from lskd.models.network import new_model
from lskd.study import config, naming
from lskd.study.options import spec
from lskd.study.runtime import Runtime
from lskd.training.loop import BatchLoss, Objective, Training, loss_options
from lskd.training.schedules import epoch_batches
from lskd.training.team import Team

ROOT = Path(__file__).resolve().parents[2]
TEACHERS = {"resnet8-w16": {"name": "resnet8", "width": 16}, "resnet20-w16": {"name": "resnet20", "width": 16}}
STUDENT = {"name": "resnet8", "width": 8}


def main() -> None:
    """Run each benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, 1 thread, {os.cpu_count()} cores"
    print(f"# {name}; Python {platform.python_version()}, torch {torch.__version__}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        steps(Path(folder), device, arguments.rounds)
        print(flush=True)
        subprocess.run([sys.executable, str(ROOT / "workflow/bench/store.py"), "--dir", folder], check=True)
        print(flush=True)
        subprocess.run([sys.executable, str(ROOT / "workflow/bench/streams.py"), "--dir", folder], check=True)
        print(flush=True)
        subprocess.run([sys.executable, str(ROOT / "workflow/bench/planning.py"), "--runs", "2000"], check=True)


def steps(folder: Path, device: torch.device, rounds: int) -> None:
    """Milliseconds of a training step: labels, stored teacher logits, and teachers forwarded in the loop.

    The kinds take turns, 20 steps each, so that a change of the machine's speed meets all of them.
    """
    data = prepared(folder / "data-0000000000")
    recipe = {"epochs": 1000, "batch_size": 64, "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0, "crop_padding": 1}
    values = {"model": STUDENT, "recipe": recipe, "seed": 0, "pixels": {"key": "digits", "seed": 0}}
    functions = {
        "model": builder(STUDENT),
        "optimizer": resolve("lskd.training.optimizers:sgd"),
        "schedule": resolve("lskd.training.schedules:constant"),
        "augment 0 crop_padding": resolve("lskd.data.augment:crop"),
    }
    work = Work("bench", "0" * 10, values, folder, {"data": data}, functions, Runtime())
    source = read_sources(work, ["train"], device)["train"]
    kinds = {name: (Training(work, device, Team(), objective(loss), {}), loss) for name, loss in losses(source).items()}
    batches = [ids_n.to(device) for ids_n in epoch_batches(0, 0, len(source), 64)][:20]
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(rounds + 1):
        for name, (training, loss) in kinds.items():
            started = time.perf_counter()
            for batch in training.source.batches(batches, turn, training.augmentation):
                training._step(batch, batch.weight, loss)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name] += [(time.perf_counter() - started) / 20 * 1e3] * (turn > 0)  # the first turn warms up
    student = naming.model_slug(config.Model.model_validate(STUDENT))
    print(f"Training step of {student} on digits, batch 64, ms: median (min to max) of {rounds} turns of 20 steps")
    of_labels = times["labels, cross-entropy"]
    for name, each in times.items():
        middle, ratio = statistics.median(each), statistics.median(np.divide(each, of_labels))
        print(f"  {name:32} {middle:7.2f} ({min(each):.2f} to {max(each):.2f})  {ratio:.3f} of cross-entropy")


def prepared(folder: Path) -> Path:
    """The sealed folder of the digits."""
    folder.mkdir()
    data = digits.load(folder, workers=1, test_fraction=0.2)
    ready = prepare.prepare(data, folder, images=folder / encoded.FILE, val_fraction=0.15, workers=1)
    prepare.store(folder, ready, {})
    seal(folder, FILES["data"], {"address": folder.name[-10:]})
    return folder


def objective(loss: BatchLoss) -> Objective:
    """Training by a loss, each epoch on augmentation draws of its own."""
    return lambda epoch: ((epoch + 1,), loss)


def losses(source: Source) -> dict[str, BatchLoss]:
    """The loss of a batch by kind of supervision."""
    options = loss_options(spec(config.Supervision(way="kd", temperature=3.0, draws="epochs")))
    kd, hard = resolve("lskd.supervision.kd:loss"), resolve("lskd.supervision.labels:loss")
    stored_nk = torch.randn(len(source), len(source.classes), device=source.device)

    by_kind = {
        "labels, cross-entropy": BatchLoss(hard),
        "teacher's stored logits": BatchLoss(kd, options, lambda batch: (stored_nk[batch.ids_n],)),
    }
    for name, model in TEACHERS.items():
        teacher = new_model(builder(model), model, source).eval().requires_grad_(False)
        in_loop = partial(forwarded, teacher)
        by_kind[f"teacher {name} in the loop"] = BatchLoss(kd, options, in_loop)
    return by_kind


def forwarded(teacher: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor]:
    """What a teacher says of a batch."""
    return (teacher(batch.inputs),)


def builder(model: dict) -> Callable:
    """The builder of a model."""
    return resolve(model_entry(config.Model.model_validate(model)))


if __name__ == "__main__":
    main()
