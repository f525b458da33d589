"""Networks made from specs and files, and what they say of images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from lskd.data.augment import CLEAN, Augmentation
from lskd.data.sources import NONE, Source
from lskd.errors import UserError
from lskd.io.tensors import load_tensors

BLOCK = {"cpu": 128, "cuda": 512}
"""Images of a forward pass where the order does not matter: as many as a core's cache holds; enough for a GPU."""
Build = Callable[..., torch.nn.Module]
"""From the number of classes, the shape of an image (C, H, W) and a model's options to a network."""


def be_deterministic(device: torch.device) -> None:
    """On a CPU: the same bits each time. On a GPU: the fastest algorithms for each shape."""
    # not use_deterministic_algorithms, which imports the compiler: a second or more
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "default")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = device.type == "cuda"


def new_model(build: Build, model: dict[str, Any], source: Source) -> torch.nn.Module:
    """The network of a spec's `model` for a source's images and classes; initialised on the CPU, then moved."""
    options = {key: value for key, value in model.items() if key != "name"}
    return build(len(source.classes), source.shape, **options).to(source.device)


def load_model(
    build: Build,
    model: dict[str, Any],
    source: Source,
    path: Path,
    epoch: int | None = None,
    channels_last: bool = False,
) -> torch.nn.Module:
    """A trained network from its weights file, in evaluation mode; UserError where the file does not fit.

    With an `epoch` the file holds snapshots, and that epoch's is meant. `channels_last` is its memory format.
    """
    tensors = load_tensors(path)
    if epoch is not None:
        tensors = by_epoch(tensors, path).get(epoch, {})
    return laid_out(set_weights(new_model(build, model, source), tensors, path), channels_last)


def laid_out(network: torch.nn.Module, channels_last: bool) -> torch.nn.Module:
    """A network, its weights channels last where that is asked for."""
    if channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def by_epoch(tensors: dict[str, torch.Tensor], path: Path) -> dict[int, dict[str, torch.Tensor]]:
    """The weights of each snapshot, ascending by epoch, from names "{epoch}/{name}"."""
    snapshots: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        epoch, _, rest = name.partition("/")
        snapshots.setdefault(int(epoch), {})[rest] = tensor
    if not snapshots:
        raise UserError(
            f"{path}: holds no snapshot; give the run's recipe some snapshot_epochs (snapshot_updates if it translates)"
        )
    return dict(sorted(snapshots.items()))


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


def blocks(source: Source) -> list[torch.Tensor]:
    """All samples of a source in order, in blocks of one forward pass."""
    return list(torch.arange(len(source)).split(BLOCK[source.device.type]))


@torch.no_grad()
def all_logits(
    network: torch.nn.Module,
    source: Source,
    ids: Sequence[torch.Tensor],
    draw: int = CLEAN,
    augmentation: Augmentation = NONE,
) -> torch.Tensor:
    """Logits [N, K] on the CPU at an augmentation draw, ascending by sample, forwarded in batches of sample indices."""
    batches = source.batches([ids_n.to(source.device) for ids_n in ids], draw, augmentation)
    logits_nk = torch.cat([network(batch.inputs) for batch in batches]).cpu()
    return logits_nk[torch.cat(list(ids)).argsort()]


def evaluate(network: torch.nn.Module, source: Source) -> tuple[float, float]:
    """Mean cross-entropy in nats and top-1 accuracy of a network in evaluation mode, on a source's clean images."""
    loss, top1 = (evaluation_sums(network, source, blocks(source)) / len(source)).tolist()
    return loss, top1


@torch.no_grad()
def evaluation_sums(network: torch.nn.Module, source: Source, ids: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sums of cross-entropy and of right predictions over these batches of samples, float64 [2]."""
    network.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=source.device)
    for batch in source.batches([ids_n.to(source.device) for ids_n in ids]):
        logits_nk = network(batch.inputs)
        sums[0] += F.cross_entropy(logits_nk, batch.targets, reduction="sum")
        sums[1] += (logits_nk.argmax(1) == batch.targets).sum()
    return sums
