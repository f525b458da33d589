"""Networks made from specs and files, and what they say of images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lskd.data.augment import augment, normalise
from lskd.data.prepared import Split
from lskd.errors import UserError, mend
from lskd.io.atomic import atomic

BLOCK = 512  # images that one forward pass takes where the order does not matter


def be_deterministic(device: torch.device) -> None:
    """On a CPU: the same bits each time. On a GPU: the fastest algorithms for each shape."""
    # not use_deterministic_algorithms, which imports the compiler: a second or more
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "default")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = device.type == "cuda"


def new_model(
    build: Callable[..., torch.nn.Module], model: dict[str, Any], split: Split, device: torch.device
) -> torch.nn.Module:
    """The network of a spec's `model` for the images and classes of `split`; initialised on the CPU, then moved."""
    shape = tuple(split.images_nchw.shape[1:])
    options = {key: value for key, value in model.items() if key != "name"}
    return build(len(split.classes), shape, **options).to(device)


def load_model(
    build: Callable[..., torch.nn.Module], model: dict[str, Any], split: Split, device: torch.device, path: Path
) -> torch.nn.Module:
    """A trained network from its weights file, in evaluation mode; UserError where the file does not fit."""
    return set_weights(new_model(build, model, split, device), load_tensors(path), path)


def set_weights(network: torch.nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> torch.nn.Module:
    """Put `tensors`, read from `path`, into the network and freeze it in evaluation mode."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        why = str(error).splitlines()[-1].strip()
        raise UserError(f"{path}: these weights do not fit the model of the spec ({why}); train it again") from None
    return network.eval().requires_grad_(False)


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy on the CPU of all parameters and buffers."""
    return {
        name: tensor.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)
        for name, tensor in network.state_dict().items()
    }


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], origin: dict[str, Any]) -> None:
    """Write CPU tensors as safetensors with where they come from, atomically."""
    with atomic(path) as tmp:
        save_file(tensors, tmp, {"lskd": json.dumps(origin, sort_keys=True)})


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, on the CPU; UserError where it is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: missing or damaged weights ({error}); {mend(path)}") from None


def blocks(samples: int) -> list[torch.Tensor]:
    """All samples in order, in blocks of one forward pass."""
    return list(torch.arange(samples).split(BLOCK))


def pixels(split: Split, ids_n: torch.Tensor, view: int, key: int, drawn: dict[str, Any]) -> torch.Tensor:
    """The normalised pixels [N, C, H, W] of samples at a view; `drawn` holds crop_padding and flip."""
    images_nchw = augment(split.images_nchw[ids_n], ids_n, view, key, **drawn)
    return normalise(images_nchw, split.mean_c, split.std_c)


@torch.no_grad()
def all_logits(
    network: torch.nn.Module, split: Split, view: int, key: int, drawn: dict[str, Any], batches: list[torch.Tensor]
) -> torch.Tensor:
    """Logits [N, K] on the CPU of every sample of a split at a view, forwarded in `batches` of sample indices."""
    device = split.labels_n.device
    found = [network(pixels(split, ids_n.to(device), view, key, drawn)) for ids_n in batches]
    return torch.cat(found).cpu()[torch.cat(batches).argsort()]


@torch.no_grad()
def evaluate(network: torch.nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross-entropy in nats and top-1 accuracy of a network in evaluation mode, on the clean images of a split."""
    network.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=split.labels_n.device)
    for ids_n in blocks(len(split.labels_n)):
        ids_n = ids_n.to(split.labels_n.device)
        logits_nk, labels_n = network(pixels(split, ids_n, 0, 0, {})), split.labels_n[ids_n]
        sums[0] += F.cross_entropy(logits_nk, labels_n, reduction="sum")
        sums[1] += (logits_nk.argmax(1) == labels_n).sum()
    loss, top1 = (sums / len(split.labels_n)).tolist()
    return loss, top1
