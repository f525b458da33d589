"""How many classes a run's data have, and how even their training images are. NumPy, no torch."""

import numpy as np
from safetensors import SafetensorError, safe_open

from lskd.errors import UserError, mend
from lskd.io.seal import checked
from lskd.metrics.inputs import Array, Row, RunData


def train_labels(run: RunData) -> Array:
    """The labels int64 [N] of the images that a run was trained on. UserError where they cannot be read."""
    folder = run.folders["data"]
    path = checked(folder / "data.safetensors", folder)
    try:
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor("train_labels")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: missing or damaged prepared data ({error}); {mend(path)}") from error


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """A row a run: `classes`, `train_images`, and the training images of the `largest` and the `smallest` class."""
    rows = []
    for run in runs:
        count_k = np.bincount(train_labels(run), minlength=len(run.classes))
        sizes = {"train_images": int(count_k.sum()), "largest": int(count_k.max()), "smallest": int(count_k.min())}
        rows.append(run.row | {"classes": len(run.classes)} | sizes)
    return rows
