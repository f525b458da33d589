"""How large a network is: parameters, and multiply-adds of one image (Yuan 2020, supplement, table 3)."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import torch
from torch.utils.flop_counter import FlopCounterMode

from lskd.io.tables import write_table
from lskd.jobs.work import Work

IMAGE = (3, 224, 224)  # the table's image size, and its 1000 classes
CLASSES = 1000


def complexity(model: torch.nn.Module, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Parameters, and FLOPs of one image of shape (C, H, W), a multiply-add counted once as in the table.

    Convolutions and matrix products are counted; torch's counter counts two operations for each of their
    multiply-adds. The table adds 2 for each output of a batch norm and 1 for each of a ReLU: 0.3 to 1.6 % more, but
    MobileNetV2 6 %, ShuffleNetV2 3 %. Counted in evaluation mode; a model on the meta device costs no time.
    """
    device = next(model.parameters()).device
    counter, training = FlopCounterMode(display=False), model.training
    with counter, torch.no_grad():
        model.eval()(torch.zeros(1, *image_shape, device=device))
    model.train(training)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": parameters, "flops": counter.get_total_flops() // 2}


def run(work: Work) -> None:
    """Measure the models of a job's spec."""
    builders = {slug: work.functions[f"model {slug}"] for slug in work.spec["models"]}
    table = pa.Table.from_pylist(measure(work.spec["models"], builders))
    write_table(work.folder / "metrics.parquet", table, work.origin)


def measure(models: dict[str, dict[str, Any]], builders: dict[str, Callable[..., torch.nn.Module]]) -> list[dict]:
    """Rows (model, image, parameters, flops) of each model, from its slug and spec, at 3x224x224 with 1000 classes."""
    rows = []
    for slug, spec in sorted(models.items()):
        options = {key: value for key, value in spec.items() if key != "name"}
        # not built on the meta device: torchvision's RegNets compute with tensors as they are built
        model = builders[slug](CLASSES, IMAGE, **options).to("meta")
        rows.append({"model": slug, "image": "x".join(map(str, IMAGE)), **complexity(model, IMAGE)})
    return rows
