"""The class names of prepared data, read without torch."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lskd.errors import UserError, mend


def read_classes(path: Path) -> list[str]:
    """Read the class names from a prepared data file; raise UserError where it is missing or damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads(file.metadata()["lskd"])["classes"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged prepared data ({error}); {mend(path)}") from error
