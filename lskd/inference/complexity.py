"""How large a network is: parameters, and operations of one image (Yuan 2020, supplement, table 3)."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lskd.io.tables import write_table
from lskd.jobs.work import Work

LARGE = ((3, 224, 224), 1000)  # the table's image size, and its classes
SMALL = ((3, 32, 32), 100)  # those of its ResNeXt-29, which is made for CIFAR-100
aten = torch.ops.aten
NORMS_AND_RELUS = {  # operations of each output, as the table counts them
    aten.native_batch_norm.default: 2,
    aten.relu.default: 1,
    aten.relu_.default: 1,
    aten.hardtanh.default: 1,  # ReLU6
    aten.hardtanh_.default: 1,
}


class _NormsAndReLUs(TorchDispatchMode):
    """Adds up the operations of batch norms and ReLUs that run under it."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and count it."""
        outputs = operation(*args, **(kwargs or {}))
        if operation in NORMS_AND_RELUS:
            output = outputs[0] if isinstance(outputs, tuple) else outputs
            self.operations += NORMS_AND_RELUS[operation] * output.numel()
        return outputs


def complexity(model: torch.nn.Module, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Parameters, multiply-adds and FLOPs of one image of shape (C, H, W), a multiply-add counted once.

    Multiply-adds are those of convolutions and matrix products; torch's counter counts two operations for each. FLOPs
    are these and, as in the table, 2 for each output of a batch norm and 1 for each of a ReLU: 0.3 to 1.6 % more, but
    MobileNetV2 6 %, ShuffleNetV2 3 %. Counted in evaluation mode; a model on the meta device costs no time.
    """
    device = next(model.parameters()).device
    others, counter, training = _NormsAndReLUs(), FlopCounterMode(display=False), model.training
    with counter, others, torch.no_grad():
        model.eval()(torch.zeros(1, *image_shape, device=device))
    model.train(training)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    multiply_adds = counter.get_total_flops() // 2
    return {"parameters": parameters, "multiply_adds": multiply_adds, "flops": multiply_adds + others.operations}


def run(work: Work) -> None:
    """Measure the models of a job's spec."""
    builders = {slug: work.functions[f"model {slug}"] for slug in work.spec["models"]}
    rows = measure(work.spec["models"], builders, work.spec.get("small_images", []))
    write_table(work.folder / "metrics.parquet", pa.Table.from_pylist(rows), work.origin)


def measure(
    models: dict[str, dict[str, Any]], builders: dict[str, Callable[..., torch.nn.Module]], small_images: list[str]
) -> list[dict[str, Any]]:
    """Rows (model, image, and its `complexity`) of each model, from its slug and spec.

    At 3x224x224 with 1000 classes, those of `small_images` at 3x32x32 with 100.
    """
    rows = []
    for slug, spec in sorted(models.items()):
        options = {key: value for key, value in spec.items() if key != "name"}
        image_shape, classes = SMALL if slug in small_images else LARGE
        # not built on the meta device: torchvision's RegNets compute with tensors as they are built
        model = builders[slug](classes, image_shape, **options).to("meta")
        rows.append({"model": slug, "image": "x".join(map(str, image_shape)), **complexity(model, image_shape)})
    return rows
