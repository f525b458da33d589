"""Training on a teacher's logits: the same loop as for labels, with another objective."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lskd.data.prepared import Split, load_split
from lskd.errors import UserError, mend
from lskd.io.store import open_logits
from lskd.jobs.work import Work
from lskd.models.network import load_model
from lskd.training.device import device_of
from lskd.training.loop import BatchLoss, Training, precision
from lskd.training.schedules import generator

Teach = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From sample indices [B] and their pixels [B, C, H, W] to the teacher's logits [B, K]."""

TeachAt = Callable[[int], Teach]
"""The same at an augmentation draw."""


def run(work: Work) -> None:
    """Train a student on its teacher's stored logits, and write its folder as a teacher's.

    Raises UserError where the logits are not those of this data.
    """
    with device_of(work, precision(work)) as device:
        split = load_split(work.read("data", "data.safetensors"), "train", str(device))
        distill(work, device, split, stored(work, split))


def run_online(work: Work) -> None:
    """The same with the teacher's own forward pass at each step; nothing is stored."""
    with device_of(work, precision(work)) as device:
        split = load_split(work.read("data", "data.safetensors"), "train", str(device))
        distill(work, device, split, forwarded(work, device, split))


def distill(work: Work, device: torch.device, split: Split, teach_at: TeachAt) -> None:
    """Train on what `teach_at` gives."""
    loss, how, recipe = work.functions["loss"], work.spec["supervision"], work.spec["recipe"]
    options = loss_options(how)

    def objective(epoch: int) -> tuple[int, BatchLoss]:
        pixel_draw, logits_draw = draws_at(epoch, how["views"], recipe, work.spec["seed"])
        teach = teach_at(logits_draw)

        def batch_loss(
            logits_nk: torch.Tensor, labels_n: torch.Tensor, ids_n: torch.Tensor, pixels_nchw: torch.Tensor
        ) -> torch.Tensor:
            return loss(logits_nk, teach(ids_n, pixels_nchw), labels_n, **options)

        return pixel_draw, batch_loss

    Training(work, device, split, objective).run()


def loss_options(how: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the loss beyond logits and labels: what a supervision's spec holds, but for the store."""
    return {name: value for name, value in how.items() if name not in ("loss", "views", "dtype")}


def draws_at(epoch: int, views: int | str, recipe: dict[str, Any], seed: int) -> tuple[int, int]:
    """The augmentation draw of the pixels and that of the teacher's logits in an epoch (from 0).

    They are the same but for `views` 1, whose logits are of the clean image (draw 0). Without augmentation all draws
    are the clean image.
    """
    if not ("crop_padding" in recipe or "flip" in recipe):
        return 0, 0
    if views == 1:
        return epoch + 1, 0
    if isinstance(views, int):
        order = torch.randperm(views, generator=generator("views", seed))
        draw = 1 + int(order[epoch % views])
        return draw, draw
    return epoch + 1, epoch + 1


def forwarded(work: Work, device: torch.device, split: Split) -> TeachAt:
    """The teacher in the loop."""
    teacher = work.spec["teacher"]
    path = work.read("teacher", teacher["weights"])
    network = load_model(work.functions["teacher_model"], teacher["model"], split, device, path)

    def teach(ids_n: torch.Tensor, pixels_nchw: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return network(pixels_nchw)

    return lambda draw: teach


def stored(work: Work, split: Split) -> TeachAt:
    """The teacher's stored logits, one draw in memory at a time."""
    path = work.inputs["teacher"] / "logits.parquet"
    if open_logits(path).metadata["address"] != work.record("teacher")["address"]:
        raise UserError(f"{path}: holds the logits of another teacher; {mend(path)}")
    held: dict[int, torch.Tensor] = {}

    def teach_at(draw: int) -> Teach:
        if draw not in held:
            held.clear()
            held[draw] = read_table(path, draw, split)
        table_nk = held[draw]
        return lambda ids_n, pixels_nchw: table_nk[ids_n]

    return teach_at


def read_table(path: Path, view: int, split: Split) -> torch.Tensor:
    """The teacher's logits float32 [N, K] at a view, row i for sample i, on the split's device.

    Raises UserError where the file does not hold each sample once, or holds other labels or classes.
    """
    samples_n, labels_n, logits_nk = open_logits(path).read_view(view)
    order_n = np.argsort(samples_n, kind="stable")
    expected_n = split.labels_n.cpu().numpy()
    if not np.array_equal(samples_n[order_n], np.arange(len(expected_n))):
        raise UserError(
            f"{path}: view {view} holds {len(samples_n)} rows, not each of {len(expected_n)} training samples once; "
            f"{mend(path)}"
        )
    if not np.array_equal(labels_n[order_n], expected_n) or logits_nk.shape[1] != len(split.classes):
        raise UserError(f"{path}: labels or classes are not those of the training data; {mend(path)}")
    table_nk = torch.from_numpy(np.ascontiguousarray(logits_nk[order_n], dtype=np.float32))
    return table_nk.to(split.labels_n.device)
