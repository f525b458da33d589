"""A network's logits along its training, for the mutual information of input and logit (Mueller 2019, section 4)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from lskd.data.prepared import Split, load_split
from lskd.errors import UserError
from lskd.io.tables import write_table
from lskd.jobs.work import Work
from lskd.models.network import BLOCK, all_logits, be_deterministic, load_tensors, new_model, set_weights
from lskd.training.device import device_of
from lskd.training.schedules import pixel_key


def run(work: Work) -> None:
    """Write the logits of each of a run's snapshots on training images of two classes, each under several draws.

    The spec's `samples` images are the first half as many of each of its two `classes` (all there are, where a class
    has fewer), its `draws` the augmentation draws 1, 2, ... of the run's own recipe. Columns: epoch, sample, view (the
    draw), label, logits (list of K). Raises UserError where there is no snapshot or class.
    """
    with device_of(work) as device:
        be_deterministic(device)
        split = load_split(work.read("data", "data.safetensors"), "train", str(device))
        path = work.read("weights", "snapshots.safetensors")
        snapshots = by_epoch(load_tensors(path), path)
        ids_n = chosen(split, work.spec["classes"], work.spec["samples"])
        network = new_model(work.functions["model"], work.spec["model"], split, device)
        tables = [
            _table(epoch, draw, ids_n, split, logits_nk)
            for epoch, tensors in snapshots.items()
            for draw, logits_nk in _passes(set_weights(network, tensors, path), work.spec, split, ids_n)
        ]
        write_table(work.folder / "snapshots.parquet", pa.concat_tables(tables), work.origin)


def by_epoch(tensors: dict[str, torch.Tensor], path: Path) -> dict[int, dict[str, torch.Tensor]]:
    """The weights of each snapshot, ascending by epoch, from names "{epoch}/{name}"."""
    snapshots: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        epoch, _, rest = name.partition("/")
        snapshots.setdefault(int(epoch), {})[rest] = tensor
    if not snapshots:
        raise UserError(f"{path}: holds no snapshot; give the run's recipe some snapshot_epochs")
    return dict(sorted(snapshots.items()))


def chosen(split: Split, classes: list[str], samples: int) -> torch.Tensor:
    """Indices of the first `samples` / 2 images of each of two classes, ascending."""
    labels_n, found = split.labels_n.cpu(), []
    for name in classes:
        if name not in split.classes:
            raise UserError(f"classes: found {name!r}; this data set has {', '.join(split.classes[:20])}")
        found.append((labels_n == split.classes.index(name)).nonzero().flatten()[: samples // 2])
    return torch.cat(found).sort().values


def _passes(
    network: torch.nn.Module, spec: dict[str, Any], split: Split, ids_n: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor]]:
    for draw in range(1, 1 + spec["draws"]):
        yield draw, all_logits(network, split, draw, pixel_key(spec), spec["augment"], list(ids_n.split(BLOCK)))


def _table(epoch: int, draw: int, ids_n: torch.Tensor, split: Split, logits_nk: torch.Tensor) -> pa.Table:
    values = pa.array(logits_nk.numpy().ravel(), pa.float32())
    columns = {
        "epoch": pa.array([epoch] * len(ids_n), pa.int32()),
        "sample": pa.array(ids_n.numpy(), pa.int32()),
        "view": pa.array([draw] * len(ids_n), pa.int16()),
        "label": pa.array(split.labels_n.cpu()[ids_n].numpy(), pa.int32()),
        "logits": pa.FixedSizeListArray.from_arrays(values, logits_nk.shape[1]),
    }
    return pa.table(columns)
