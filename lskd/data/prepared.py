"""Prepared data as tensors on the device they are used on."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from lskd.errors import UserError, mend


@dataclass(frozen=True)
class Split:
    """One split: images uint8 [N, C, H, W], labels int64 [N], train's mean and std float32 [C] in 0..1, class names."""

    images_nchw: torch.Tensor
    labels_n: torch.Tensor
    mean_c: torch.Tensor
    std_c: torch.Tensor
    classes: list[str]


def load_split(path: Path, split: str, device: str = "cpu") -> Split:
    """Load the split "train", "val" or "test" of a prepared data file onto `device`.

    Raises UserError where the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            metadata = json.loads(file.metadata()["lskd"])
            return Split(
                images_nchw=file.get_tensor(f"{split}_images"),
                labels_n=file.get_tensor(f"{split}_labels"),
                mean_c=torch.tensor(metadata["mean"], device=device),
                std_c=torch.tensor(metadata["std"], device=device),
                classes=metadata["classes"],
            )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged prepared data ({error}); {mend(path)}") from error
