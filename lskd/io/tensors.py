"""Weights on disk: safetensors that say where they come from."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lskd.errors import UserError, mend
from lskd.io.atomic import atomic


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], origin: dict[str, Any]) -> None:
    """Write CPU tensors as safetensors with where they come from, atomically."""
    with atomic(path) as tmp:
        save_file(tensors, tmp, {"lskd": json.dumps(origin, sort_keys=True)})


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, on the CPU; UserError where it is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        why = " ".join(str(error).split())[:200]  # it repeats what the file holds
        raise UserError(f"{path}: missing or damaged weights ({why}); {mend(path)}") from None
