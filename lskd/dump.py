"""What a trained network says of the clean images: logits, penultimate features, and its last layer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lskd.data.prepared import load_split
from lskd.network import be_deterministic, device_name, load_model
from lskd.provenance import collect

SPLITS = ("train", "val", "test")


def dump(
    spec: dict[str, Any],
    code: str,
    data: Path,
    weights: Path,
    out: Path,
    build: Callable[..., torch.nn.Module],
    device: torch.device,
) -> None:
    """Write logits/{split}.parquet, features/{split}.parquet (float32, clean images) and head.safetensors under `out`.

    For every image logits = features @ weight.T + bias, with weight [K, H] and bias [K] of head.safetensors.
    """
    be_deterministic(device)
    splits = {name: load_split(data, name, str(device)) for name in SPLITS}
    network = load_model(build, spec["run"]["model"], splits["train"], device, weights)
    metadata = collect(spec, code, {"data": data, "weights": weights}, device_name(device))
    for name, split in splits.items():
        features_nh, logits_nk = clean_outputs(network, split)
