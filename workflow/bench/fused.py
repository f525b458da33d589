"""What it saves to train networks together in one process: M members fused, beside the same ones in turn.

Members share model, recipe and batches, and differ in T and in the weights that they begin with. Fused they advance as
`runtime.fuse` has it (`lskd.training.fused`). Solo, each is a `Training` of lskd, step by step.

M members, N samples, K classes, S steps.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.data import encoded, prepare
from lskd.data.arrays import Arrays, Samples
from lskd.io.layout import FILES
from lskd.io.seal import seal
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.jobs.work import Work
from lskd.study import config, naming
from lskd.study.options import spec
from lskd.study.runtime import Runtime
from lskd.training.fused import Fused, Losses
from lskd.training.loop import BatchLoss, Training, loss_options
from lskd.training.team import Team

MODELS = [  # of the default study and of the registered one on Fashion-MNIST
    {"name": "plain_cnn", "width": 12},
    *({"name": "mlp", "width": width} for width in (16, 32, 64, 512)),
]
RECIPE = {"epochs": 16, "batch_size": 64, "lr": 0.02, "momentum": 0.9, "weight_decay": 5e-4}


def main() -> None:
    """Measure, and print a row for each network and M."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    device, name = machine()
    print(f"# {name}, torch {torch.__version__}; grey images of 28 pixels, batches of 64, KD from given logits")
    print("# ms of a member's step: median of the turns; the ratio's median, least and most\n")
    print(f"{'network':16}{'M':>4}{'solo':>9}{'fused':>9}  fused / solo", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        data = prepared(Path(folder) / "data-0000000000", images=64 * 12, side=28)
        for model in MODELS:
            for number in arguments.members:
                print(row(Path(folder), data, device, model, number, arguments.rounds), flush=True)


def machine() -> tuple[torch.device, str]:
    """The device that is measured, and what it is called; a CPU is one thread of it."""
    torch.set_num_threads(1)
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.cuda.get_device_name()
    return torch.device("cpu"), f"CPU, 1 thread, {os.cpu_count()} cores"


def row(folder: Path, data: Path, device: torch.device, model: dict[str, Any], number: int, rounds: int) -> str:
    """Solo and fused in turns of some steps of every member; the first turn warms up."""
    alone, losses = members(folder, data, device, model, number)
    fused, together = Fused(members(folder, data, device, model, number)[0]), Losses(losses, device)
    batches = list(alone[0].source.batches(alone[0].batches_of(0)))[: max(1, 32 // number)]
    times: dict[str, list[float]] = {"solo": [], "fused": []}
    for turn in range(rounds + 1):
        for way in times:
            began = clock(device)
            for batch in batches:
                if way == "fused":
                    fused.step([batch] * number, together, len(batch.ids_n))
                    continue
                for training, loss in zip(alone, losses, strict=True):
                    training._step(batch, len(batch.ids_n), loss)
            times[way] += [(clock(device) - began) / len(batches) / number * 1e3] * (turn > 0)
    ratios = np.divide(times["fused"], times["solo"])
    slug = naming.model_slug(config.Model.model_validate(model))
    solo_ms, fused_ms = (statistics.median(times[way]) for way in ("solo", "fused"))
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"{slug:16}{number:>4}{solo_ms:>9.2f}{fused_ms:>9.2f}  {spread}"


def clock(device: torch.device) -> float:
    """Seconds of this process's processor; on a GPU, of the clock, once all before is done."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def prepared(folder: Path, images: int, side: int, channels: int = 1) -> Path:
    """A sealed folder of images of chance: ten classes, each with a brightness of its own."""
    draw = np.random.default_rng(0)
    labels_n = np.arange(images) % 10
    pixels = draw.integers(0, 100, (images, channels, side, side)) + 15 * labels_n[:, None, None, None]
    samples = Samples(pixels.astype(np.uint8), labels_n.astype(np.int64), [str(number) for number in range(images)])
    folder.mkdir()
    data = Arrays(samples, samples, tuple(str(digit) for digit in range(10)))
    ready = prepare.prepare(data, folder, images=folder / encoded.FILE, val_fraction=0.15, workers=1)
    prepare.store(folder, ready, {})
    seal(folder, FILES["data"], {"address": folder.name[-10:]})
    return folder


def members(
    folder: Path, data: Path, device: torch.device, model: dict[str, Any], number: int
) -> tuple[list[Training], list[BatchLoss]]:
    """Trainings of a network from different weights, and the loss of each: KD at a T of its own."""
    functions = {
        "model": resolve(model_entry(config.Model.model_validate(model))),
        "optimizer": resolve("lskd.training.optimizers:sgd"),
        "schedule": resolve("lskd.training.schedules:cosine"),
    }
    trainings, losses = [], []
    for seed in range(number):
        values = {"model": model, "recipe": RECIPE, "seed": seed, "pixels": {"key": "bench", "seed": 0}}
        work = Work("bench", "0" * 10, values, folder, {"data": data}, functions, Runtime())
        losses.append(loss_at(1.0 + seed, device))
        trainings.append(Training(work, device, Team(), lambda epoch, loss=losses[-1]: ((epoch + 1,), loss), {}))
    return trainings, losses


def loss_at(temperature: float, device: torch.device) -> BatchLoss:
    """KD at T from logits of chance, of which each sample has its own."""
    kd = resolve("lskd.supervision.kd:loss")
    options = loss_options(spec(config.Supervision(way="kd", temperature=temperature)))
    drawn_nk = torch.randn(10_000, 10, generator=torch.Generator().manual_seed(0)).to(device)
    return BatchLoss(kd, options, lambda batch: (drawn_nk[batch.ids_n],))


if __name__ == "__main__":
    main()
