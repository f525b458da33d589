"""What a trained network says of the clean images: logits, penultimate features, and its last layer."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import torch

from lskd.data.prepared import Split, load_split
from lskd.io.store import Array, write_features, write_logits
from lskd.jobs.work import Work
from lskd.models.network import be_deterministic, blocks, load_model, pixels, write_tensors
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
    data = work.read("data", "data.safetensors")
    splits = {name: load_split(data, name, str(device)) for name in SPLITS}
    weights = work.read("weights", work.spec["weights"])
    network = load_model(work.functions["model"], work.spec["model"], splits["train"], device, weights)
    head = last_layer(network)
    write_tensors(work.folder / "head.safetensors", head, work.origin)
    for name, split in splits.items():
        logits: list[Array] = []
        passes = _passes(network, split, logits)
        if name == "test":
            deque(passes, maxlen=0)  # only final metrics touch test, and none of them reads features
        else:
            path = work.folder / f"{name}.features.parquet"
            write_features(path, passes, head["weight"].shape[1], "float32", work.origin)
        labels_n = split.labels_n.cpu().numpy()
        view = (0, np.arange(len(labels_n)), labels_n, np.concatenate(logits))
        write_logits(work.folder / f"{name}.logits.parquet", [view], len(split.classes), "float32", work.origin)


@torch.no_grad()
def _passes(network: torch.nn.Module, split: Split, logits: list[Array]) -> Iterator[tuple[Array, Array, Array]]:
    """Yield samples, labels and features block by block; append each block's logits to `logits`."""
    for ids_n in blocks(len(split.labels_n)):
        ids_n = ids_n.to(split.labels_n.device)
        features_nh = network.features(pixels(split, ids_n, 0, 0, {}))  # type: ignore[operator]
        logits.append(network.head(features_nh).cpu().numpy())  # type: ignore[operator]
        yield ids_n.cpu().numpy(), split.labels_n[ids_n].cpu().numpy(), features_nh.cpu().numpy()


def last_layer(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """`weight` [K, H] and `bias` [K] of a network's head, on the CPU; zeros where it has no bias."""
    head = network.head
    assert isinstance(head, torch.nn.Linear)
    bias_k = head.bias if head.bias is not None else head.weight.new_zeros(len(head.weight))
    return {"weight": head.weight.detach().cpu().contiguous(), "bias": bias_k.detach().cpu().contiguous()}
