"""What a trained network says of the clean images: logits, penultimate features, and its last layer."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import torch

from lskd.data.augment import CLEAN
from lskd.data.sources import Source, read_sources
from lskd.io.store import Array, write_features, write_logits
from lskd.io.tensors import write_tensors
from lskd.jobs.work import Work
from lskd.models.network import be_deterministic, blocks, load_model
from lskd.training.device import device_of

SPLITS = ("train", "val", "test")


def run(work: Work) -> None:
    """Write logits of all splits, features of train and val (float32, clean images) and head.safetensors.

    For every image logits = features @ weight.T + bias, with weight [K, H] and bias [K] of head.safetensors.
    """
    with device_of(work) as device:
        predict(work, device)


def predict(work: Work, device: torch.device) -> None:
    """The same on a device."""
    be_deterministic(device)
    sources = read_sources(work, SPLITS, device)
    weights = work.read("weights", work.spec["weights"])
    build, epoch = work.functions["model"], work.spec.get("epoch")
    network = load_model(build, work.spec["model"], sources["train"], weights, epoch, work.runtime.channels_last)
    head = last_layer(network)
    write_tensors(work.folder / "head.safetensors", head, work.origin)
    for name, source in sources.items():
        logits: list[Array] = []
        passes = _passes(network, source, logits)
        if name == "test":
            deque(passes, maxlen=0)  # only final metrics touch test, and none of them reads features
        else:
            path = work.folder / f"{name}.features.parquet"
            write_features(path, passes, head["weight"].shape[1], "float32", work.origin)
        labels_n = source.labels_n.cpu().numpy()
        clean = (CLEAN, np.arange(len(labels_n)), labels_n, np.concatenate(logits))
        write_logits(work.folder / f"{name}.logits.parquet", [clean], len(source.classes), "float32", work.origin)


@torch.no_grad()
def _passes(network: torch.nn.Module, source: Source, logits: list[Array]) -> Iterator[tuple[Array, Array, Array]]:
    """Yield samples, labels and features block by block; append each block's logits to `logits`."""
    for batch in source.batches([ids_n.to(source.device) for ids_n in blocks(source)]):
        features_nh = network.features(batch.inputs)  # type: ignore[operator]
        logits.append(network.head(features_nh).cpu().numpy())  # type: ignore[operator]
        yield batch.ids_n.cpu().numpy(), batch.targets.cpu().numpy(), features_nh.cpu().numpy()


def last_layer(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """`weight` [K, H] and `bias` [K] of a network's head, on the CPU; zeros where it has no bias."""
    head = network.head
    assert isinstance(head, torch.nn.Linear)
    bias_k = head.bias if head.bias is not None else head.weight.new_zeros(len(head.weight))
    return {"weight": head.weight.detach().cpu().contiguous(), "bias": bias_k.detach().cpu().contiguous()}
