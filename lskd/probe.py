"""A network's logits along its training, for the mutual information of input and logit (Mueller 2019, section 4)."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lskd import stage
from lskd.config import Recipe, canonical
from lskd.data.prepared import Split, load_split
from lskd.device import lease
from lskd.errors import UserError
from lskd.files import atomic
from lskd.network import BLOCK, all_logits, be_deterministic, device_name, load_tensors, new_model, set_weights
from lskd.provenance import collect
from lskd.runs import model_entry
from lskd.schedule import pixel_key


def probe(
    spec: dict[str, Any],
    code: str,
    data: Path,
    weights: Path,
    out: Path,
    build: Callable[..., torch.nn.Module],
    device: torch.device,
) -> None:
    """Write the logits of each snapshot in `weights` on training images of two classes, each under several views.

    The spec's `samples` images are the first half as many of each of its two `classes` (all there are, where a class
    has fewer), its `views` the augmented ones 1, 2, ... of the run's own recipe (Mueller A.2: 300 a class, 5 views).
    Columns: epoch, sample, view, label, logits (list of K). Raises UserError where there is no snapshot or class.
    """
    be_deterministic(device)
    split = load_split(data, "train", str(device))
    snapshots = by_epoch(load_tensors(weights), weights)
    ids_n = chosen(split, spec["classes"], spec["samples"])
    network = new_model(build, spec["run"]["model"], split, device)
    tables = [
        _table(epoch, view, ids_n, split, logits_nk)
        for epoch, tensors in snapshots.items()
        for view, logits_nk in _passes(set_weights(network, tensors, weights), spec, split, ids_n)
    ]
    metadata = collect(spec, code, {"data": data, "weights": weights}, device_name(device))
    with atomic(out) as tmp:
        pq.write_table(pa.concat_tables(tables).replace_schema_metadata({"lskd": canonical(metadata)}), tmp)


def by_epoch(tensors: dict[str, torch.Tensor], path: Path) -> dict[int, dict[str, torch.Tensor]]:
    """The weights of each snapshot, ascending by epoch, from names "{epoch}/{name}"."""
    found: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        epoch, _, rest = name.partition("/")
        found.setdefault(int(epoch), {})[rest] = tensor
    if not found:
        raise UserError(f"{path}: holds no snapshot; give the run's recipe some snapshot_epochs")
    return dict(sorted(found.items()))


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
    recipe = Recipe.model_validate(spec["run"]["recipe"])
    drawn = {"crop_padding": recipe.crop_padding, "flip": recipe.flip}
    for view in range(1, 1 + spec["views"]):
        yield view, all_logits(network, split, view, pixel_key(spec["run"]), drawn, list(ids_n.split(BLOCK)))


def _table(epoch: int, view: int, ids_n: torch.Tensor, split: Split, logits_nk: torch.Tensor) -> pa.Table:
    values = pa.array(logits_nk.numpy().ravel(), pa.float32())
    columns = {
        "epoch": pa.array([epoch] * len(ids_n), pa.int32()),
        "sample": pa.array(ids_n.numpy(), pa.int32()),
        "view": pa.array([view] * len(ids_n), pa.int16()),
        "label": pa.array(split.labels_n.cpu()[ids_n].numpy(), pa.int32()),
        "logits": pa.FixedSizeListArray.from_arrays(values, logits_nk.shape[1]),
    }
    return pa.table(columns)


def main(arguments: argparse.Namespace) -> None:
    """Probe the run that `--spec` tells, on the device that LSKD_RUNTIME asks for."""
    spec = arguments.spec
    with lease(stage.runtime()) as device:
        build = stage.resolve(model_entry(spec["run"]["model"]))
        probe(
            spec,
            arguments.code,
            arguments.data,
            arguments.weights.with_name("snapshots.safetensors"),
            arguments.out,
            build,
            device,
        )


if __name__ == "__main__":
    stage.call("probe", main, stage.parser("probe", "data", "weights", "out").parse_args())
