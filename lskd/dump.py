"""What a trained network says of the clean images: logits, penultimate features, and its last layer."""

import argparse
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lskd import stage
from lskd.data.prepared import Split, load_split
from lskd.device import lease
from lskd.network import be_deterministic, blocks, device_name, load_model, pixels, write_tensors
from lskd.provenance import collect
from lskd.runs import model_entry, used_weights
from lskd.store import Array, write_features, write_logits

SPLITS = ("train", "val", "test")  # test last: its logits stand for all that a dump makes


def dump(
    spec: dict[str, Any],
    code: str,
    data: Path,
    weights: Path,
    out: Path,
    build: Callable[..., torch.nn.Module],
    device: torch.device,
) -> None:
    """Write logits of all splits, features of train and val (float32, clean images) and head.safetensors under `out`.

    For every image logits = features @ weight.T + bias, with weight [K, H] and bias [K] of head.safetensors.
    """
    be_deterministic(device)
    splits = {name: load_split(data, name, str(device)) for name in SPLITS}
    network = load_model(build, spec["run"]["model"], splits["train"], device, weights)
    metadata = collect(spec, code, {"data": data, "weights": weights}, device_name(device))
    head = last_layer(network)
    write_tensors(out / "head.safetensors", head, metadata)
    for name, split in splits.items():
        logits: list[Array] = []
        passes = _passes(network, split, logits)
        if name == "test":
            deque(passes, maxlen=0)  # only final metrics touch test, and none of them reads features
        else:
            write_features(out / f"features/{name}.parquet", passes, head["weight"].shape[1], "float32", metadata)
        labels_n = split.labels_n.cpu().numpy()
        view = (0, np.arange(len(labels_n)), labels_n, np.concatenate(logits))
        write_logits(out / f"logits/{name}.parquet", [view], len(split.classes), "float32", metadata)


@torch.no_grad()
def _passes(network: torch.nn.Module, split: Split, logits: list[Array]) -> Iterator[tuple[Array, Array, Array]]:
    """Yield samples, labels and features block by block; append each block's logits to `logits`."""
    for ids_n in blocks(len(split.labels_n)):
        ids_n = ids_n.to(split.labels_n.device)
        features_nh = network.features(pixels(split, ids_n, 0, 0, {}))  # type: ignore[operator]
        logits.append(network.head(features_nh).cpu().numpy())  # type: ignore[operator]
        yield ids_n.cpu().numpy(), split.labels_n[ids_n].cpu().numpy(), features_nh.cpu().numpy()


def last_layer(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """`weight` [K, H] and `bias` [K] of a network's head, on the CPU; zeros where it has no bias."""
    head = network.head
    assert isinstance(head, torch.nn.Linear)
    bias_k = head.bias if head.bias is not None else head.weight.new_zeros(len(head.weight))
    return {"weight": head.weight.detach().cpu().contiguous(), "bias": bias_k.detach().cpu().contiguous()}


def main(arguments: argparse.Namespace) -> None:
    """Dump the run that `--spec` tells, on the device that LSKD_RUNTIME asks for."""
    spec = arguments.spec
    with lease(stage.runtime()) as device:
        build = stage.resolve(model_entry(spec["run"]["model"]))
        dump(
            spec,
            arguments.code,
            arguments.data,
            used_weights(arguments.weights, spec["run"]),
            arguments.out,
            build,
            device,
        )


if __name__ == "__main__":
    stage.call("dump", main, stage.parser("dump", "data", "weights", "out").parse_args())
