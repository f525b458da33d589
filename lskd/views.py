"""A teacher's logits on the views of the training images that its students see."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lskd import stage
from lskd.data.prepared import Split, load_split
from lskd.device import lease
from lskd.network import all_logits, be_deterministic, blocks, device_name, load_model
from lskd.provenance import collect
from lskd.runs import model_entry, used_weights
from lskd.schedule import pixel_key
from lskd.store import Array, write_logits

View = tuple[int, Array, Array, Array]
"""A view, its samples [N], labels [N] and logits [N, K]."""

Batches = Callable[[int], list[torch.Tensor]]
"""From a view to the batches of sample indices in which it is forwarded."""


def views(
    spec: dict[str, Any],
    code: str,
    data: Path,
    weights: Path,
    out: Path,
    build: Callable[..., torch.nn.Module],
    device: torch.device,
    batches: Batches | None = None,
) -> None:
    """Write the logits of the run in `spec` on its training images, at view 0 (`views` 0) or at views 1 to `views`.

    Pixels are drawn by the spec's `augment` (crop_padding, flip), values stored as its `dtype`. A forward pass gives
    the same bits only for the same batch: `batches` asks for a training's own, else the order is sequential.
    """
    be_deterministic(device)
    split = load_split(data, "train", str(device))
    network = load_model(build, spec["run"]["model"], split, device, weights)
    metadata = collect(spec, code, {"data": data, "weights": weights}, device_name(device))
    in_order = blocks(len(split.labels_n))
    each = _each(network, split, spec, batches or (lambda view: in_order))
    write_logits(out, each, len(split.classes), spec["dtype"], metadata)


def _each(network: torch.nn.Module, split: Split, spec: dict[str, Any], batches: Batches) -> Iterator[View]:
    labels_n, key = split.labels_n.cpu().numpy(), pixel_key(spec["run"])
    for view in range(1, 1 + spec["views"]) if spec["views"] else [0]:
        logits_nk = all_logits(network, split, view, key, spec["augment"], batches(view))
        yield view, np.arange(len(labels_n)), labels_n, logits_nk.numpy()


def main(arguments: argparse.Namespace) -> None:
    """Store the views that `--spec` tells, on the device that LSKD_RUNTIME asks for."""
    spec = arguments.spec
    with lease(stage.runtime()) as device:
        build = stage.resolve(model_entry(spec["run"]["model"]))
        views(
            spec,
            arguments.code,
            arguments.data,
            used_weights(arguments.weights, spec["run"]),
            arguments.out,
            build,
            device,
        )


if __name__ == "__main__":
    stage.call("views", main, stage.parser("views", "data", "weights", "out").parse_args())
