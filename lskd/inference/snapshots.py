"""A network's logits along its training, for the mutual information of input and logit (Mueller 2019, section 4)."""

from collections.abc import Iterator

import pyarrow as pa
import torch

from lskd.data.sources import Source, augmentation_of, read_sources
from lskd.errors import UserError
from lskd.io.tables import write_table
from lskd.io.tensors import load_tensors
from lskd.jobs.work import Work
from lskd.models.network import BLOCK, all_logits, be_deterministic, by_epoch, laid_out, new_model, set_weights
from lskd.training.device import device_of
from lskd.training.schedules import pixel_key


def run(work: Work) -> None:
    """Write the logits of each of a run's snapshots on training images of two classes, each under several draws.

    The spec's `samples` images are the first half as many of each of its two `classes` (all there are, where a class
    has fewer), its `draws` the augmentation draws 1, 2, ... of the run's own recipe. Columns: epoch, sample, draw,
    label, logits (list of K). Raises UserError where there is no snapshot or class.
    """
    with device_of(work) as device:
        be_deterministic(device)
        source = read_sources(work, ["train"], device)["train"]
        path = work.read("weights", "snapshots.safetensors")
        snapshots = by_epoch(load_tensors(path), path)
        ids_n = chosen(source, work.spec["classes"], work.spec["samples"])
        network = laid_out(new_model(work.functions["model"], work.spec["model"], source), work.runtime.channels_last)
        tables = []
        for epoch, tensors in snapshots.items():
            set_weights(network, tensors, path)
            tables += [_table(epoch, *each, ids_n, source) for each in _passes(network, work, source, ids_n)]
        write_table(work.folder / "snapshots.parquet", pa.concat_tables(tables), work.origin)


def chosen(source: Source, classes: list[str], samples: int) -> torch.Tensor:
    """Indices of the first `samples` / 2 images of each of two classes, ascending."""
    labels_n = source.labels_n.cpu()
    ids = []
    for name in classes:
        if name not in source.classes:
            raise UserError(f"classes: found {name!r}; this data set has {', '.join(source.classes[:20])}")
        ids.append((labels_n == source.classes.index(name)).nonzero().flatten()[: samples // 2])
    return torch.cat(ids).sort().values


def _passes(
    network: torch.nn.Module, work: Work, source: Source, ids_n: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor]]:
    augmentation = augmentation_of(work.spec["augment"], work.functions, pixel_key(work.spec))
    for draw in range(1, 1 + work.spec["draws"]):
        yield draw, all_logits(network, source, list(ids_n.split(BLOCK[source.device.type])), draw, augmentation)


def _table(epoch: int, draw: int, logits_nk: torch.Tensor, ids_n: torch.Tensor, source: Source) -> pa.Table:
    values = pa.array(logits_nk.numpy().ravel(), pa.float32())
    columns = {
        "epoch": pa.array([epoch] * len(ids_n), pa.int32()),
        "sample": pa.array(ids_n.numpy(), pa.int32()),
        "draw": pa.array([draw] * len(ids_n), pa.int16()),
        "label": pa.array(source.labels_n.cpu()[ids_n].numpy(), pa.int32()),
        "logits": pa.FixedSizeListArray.from_arrays(values, logits_nk.shape[1]),
    }
    return pa.table(columns)
