"""The class names of prepared data, read without torch."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lskd.errors import UserError, mend


def read_classes(path: Path) -> list[str]:
    """Read the class names from a prepared data file; raise UserError where it is missing or damaged."""
    return _read(path, lambda metadata: metadata["classes"])


def read_families(path: Path) -> list[str]:
    """Read the family of each class, classes of one being similar; empty where the data do not tell."""
    return _read(path, lambda metadata: metadata.get("families", []))


def read_card(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the labels int64 [N] of train, val and test, and the metadata, with the spec that the data were made of."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads(file.metadata()["lskd"])
            return {split: file.get_tensor(f"{split}_labels") for split in ("train", "val", "test")}, metadata
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged prepared data ({error}); {mend(path)}") from error


def _read(path: Path, part: Callable[[dict[str, Any]], list[str]]) -> list[str]:
    try:
        with safe_open(path, framework="numpy") as file:
            return part(json.loads(file.metadata()["lskd"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged prepared data ({error}); {mend(path)}") from error
