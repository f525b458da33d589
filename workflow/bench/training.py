"""Images a second of one student, on labels and on a teacher's stored logits, beside what the device could do.

Ten classes of images of CIFAR's size, networks of CIFAR, images and logits on the device, lskd's own training step. "Of
the bound": the time that each operation of a step would take at the speed that the device shows here in a large matrix
product or in a large copy, whichever is longer for it, over the time that the step takes. What stays in a cache moves
faster than that. Ways: float32 as it is; channels last; bfloat16 as well; these compiled; these with forward and
backward passes as CUDA graphs. The last two on a GPU alone.
"""

import argparse
import dataclasses
import platform
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.jobs.work import Work
from lskd.study import config, naming
from lskd.study.runtime import Runtime
from lskd.training.loop import BatchLoss, Training
from lskd.training.team import Team
from workflow.bench.fused import machine, prepared

MODELS = ({"name": "resnet8"}, {"name": "resnet20"}, {"name": "resnet56"}, {"name": "alexnet_cifar"})
RECIPE = {"epochs": 1000, "batch_size": 128, "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "crop_padding": 4}
LAST, BFLOAT16 = {"channels_last": True}, {"amp": "bfloat16"}
WAYS: dict[str, dict[str, Any]] = {  # what is set of the config's runtime, recipe, and here
    "float32": {},
    "channels last": LAST,
    "bfloat16": LAST | BFLOAT16,
    "compiled": LAST | BFLOAT16 | {"compile": True},
    "graphs": LAST | BFLOAT16 | {"graphs": True},
}
OF_GPU = ("compiled", "graphs")
LOSSES = ("labels", "stored logits")


def main() -> None:
    """Measure each network in each way, and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [model["name"] for model in MODELS]
    parser.add_argument("--networks", nargs="+", choices=names, default=names)
    parser.add_argument("--batches", type=int, default=300, help="a turn")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    device, name = machine()
    print(f"# {name}; Python {platform.python_version()}, torch {torch.__version__}; batches of {RECIPE['batch_size']}")
    print(f"# {arguments.rounds} turns of {arguments.batches} batches: median (least to most)")
    print(f"{'network':16}{'way':15}{'images/s, labels':>26}{'stored logits':>26}{'/ labels':>10}{'of the bound':>14}")
    with tempfile.TemporaryDirectory() as folder:
        data = prepared(Path(folder) / "data-0000000000", images=128 * 40, side=32, channels=3)
        for model in (model for model in MODELS if model["name"] in arguments.networks):
            for way in (way for way in WAYS if device.type == "cuda" or way not in OF_GPU):
                print(row(Path(folder), data, device, model, way, arguments), flush=True)


def row(folder: Path, data: Path, device: torch.device, model: dict, way: str, arguments: argparse.Namespace) -> str:
    """A network in a way: turns of some batches on labels and on logits; the first turn warms up."""
    trainings = {loss: training(folder, data, device, model, WAYS[way], loss) for loss in LOSSES}
    taken: dict[str, list[float]] = {loss: [] for loss in LOSSES}
    for turn in range(arguments.rounds + 1):
        for loss, each in trainings.items():
            taken[loss] += [seconds_of(each, arguments.batches, turn) / arguments.batches] * (turn > 0)
    size = RECIPE["batch_size"]
    speeds = {loss: [size / seconds for seconds in each] for loss, each in taken.items()}
    ratio = statistics.median(b / a for a, b in zip(*taken.values(), strict=True))
    share = bound(trainings["labels"], device) / statistics.median(taken["labels"])
    slug = naming.model_slug(config.Model.model_validate(model))
    cells = "".join(f"{spread(each):>26}" for each in speeds.values())
    return f"{slug:16}{way:15}{cells}{ratio:>10.3f}{share:>14.0%}"


def training(
    folder: Path, data: Path, device: torch.device, model: dict[str, Any], way: dict[str, Any], loss: str
) -> Training:
    """A training of a network on labels, or by KD from logits of chance that lie on the device."""
    functions = {
        "model": resolve(model_entry(config.Model.model_validate(model))),
        "optimizer": resolve("lskd.training.optimizers:sgd"),
        "schedule": resolve("lskd.training.schedules:constant"),
        "augment 0 crop_padding": resolve("lskd.data.augment:crop"),
    }
    recipe = RECIPE | {name: way[name] for name in way if name == "amp"}
    values = {"model": model, "recipe": recipe, "seed": 0, "pixels": {"key": "bench", "seed": 0}}
    known = {field: way[field] for field in way if field in Runtime.model_fields}
    work = Work("bench", "0" * 10, values, folder, {"data": data}, functions, Runtime(**known))
    run = Training(work, device, Team(), lambda epoch: ((epoch + 1,), losses(run)[loss]), {})
    if way.get("graphs"):
        sample = next(iter(run.source.batches(run.batches_of(0)[:1]))).inputs
        with torch.autocast(device.type, run.amp) if run.amp else nullcontext():
            run.forward = torch.cuda.make_graphed_callables(run.model.train(), (sample,))
    return run


def losses(run: Training) -> dict[str, BatchLoss]:
    """The loss of a batch on labels, and from stored logits."""
    kd, hard = resolve("lskd.supervision.kd:loss"), resolve("lskd.supervision.labels:loss")
    stored_nk = torch.randn(len(run.source), len(run.source.classes), device=run.device)

    options = {"temperature": 3.0, "soft_weight": 1.0}
    by_stored = BatchLoss(kd, options, lambda batch: (stored_nk[batch.ids_n],))
    return dict(zip(LOSSES, (BatchLoss(hard), by_stored), strict=True))


def seconds_of(run: Training, count: int, turn: int) -> float:
    """Seconds of so many steps on whole batches, of which the first few are taken again and again."""
    draws, loss = run.objective(turn)
    ids = [ids_n.to(run.device) for ids_n in run.batches_of(turn) if len(ids_n) == RECIPE["batch_size"]]
    ids = [ids[number % len(ids)] for number in range(count)]
    run.model.train()
    began = clock(run.device)
    for batch in run.source.batches(ids, draws[0], run.augmentation):
        run._step(batch, len(batch.ids_n), loss)
    return clock(run.device) - began


def clock(device: torch.device) -> float:
    """Seconds by the clock, once all before is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def no_flops(*args: Any, **kwargs: Any) -> int:
    """Of what only moves numbers, or does little with each."""
    return 0


@dataclasses.dataclass
class Operations(TorchDispatchMode):
    """Adds up the least seconds of the operations that run under it: each computes or moves, whichever is longer."""

    flops_a_second: float
    bytes_a_second: float
    seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and count it."""
        outputs = operation(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, outputs)) if isinstance(each, torch.Tensor)]
        if not operation.is_view:
            count = flop_registry.get(operation._overloadpacket, no_flops)
            flops = count(*args, **(kwargs or {}), out_val=outputs)
            moved = sum(each.numel() * each.element_size() for each in tensors)
            self.seconds += max(flops / self.flops_a_second, moved / self.bytes_a_second)
        return outputs


def bound(run: Training, device: torch.device) -> float:
    """The least seconds of a step of a training, operation by operation."""
    run.forward = run.model
    draws, loss = run.objective(0)
    (batch,) = run.source.batches([run.batches_of(0)[0].to(device)], draws[0], run.augmentation)
    with Operations(fastest_product(device, run.amp or torch.float32), fastest_copy(device)) as operations:
        run._step(batch, len(batch.ids_n), loss)
    return operations.seconds


def fastest_product(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product."""
    side = 8192 if device.type == "cuda" else 1024
    matrix = torch.randn(side, side, device=device, dtype=dtype)
    return 2 * side**3 / least_seconds(device, lambda: matrix @ matrix)


def fastest_copy(device: torch.device) -> float:
    """Bytes a second of a large copy, read and written."""
    source = torch.zeros(1 << 28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / least_seconds(device, lambda: target.copy_(source))


def least_seconds(device: torch.device, act: Any) -> float:
    """The least of some turns."""
    taken = []
    for _ in range(10):
        began = clock(device)
        act()
        taken.append(clock(device) - began)
    return min(taken)


def spread(values: list[float]) -> str:
    """The median, and the least and the most."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


if __name__ == "__main__":
    main()
