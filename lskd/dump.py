"""What a trained network says of the clean images: logits, penultimate features, and its last layer."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lskd import stage
from lskd.data.prepared import Split, load_split
from lskd.device import lease
from lskd.network import be_deterministic, blocks, device_name, load_model, pixels, write_tensors
from lskd.provenance import collect
from lskd.runs import model_entry
from lskd.store import write_features, write_logits

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
