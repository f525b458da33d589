"""Training on a teacher's logits: the same loop as for labels, with another objective."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lskd.data.augment import CLEAN
from lskd.data.sources import Batch, Source, augmentation_of, read_sources
from lskd.errors import UserError, mend
from lskd.io.shared import Shared
from lskd.io.store import DrawsFile, Rows, open_logits
from lskd.jobs.work import Work
from lskd.models.network import load_model
from lskd.training.distributed import in_processes
from lskd.training.loop import BatchLoss, Taught, Training, loss_of, precision
from lskd.training.schedules import generator, pixel_key
from lskd.training.team import Team
from lskd.transforms.of_student import Transform, transform_of

TeachAt = Callable[[int], Taught]
"""From an augmentation draw to what the loss is told of the teacher."""


_TABLES: Shared[torch.Tensor] = Shared()


def run(work: Work) -> None:
    """Train a student on its teacher's stored logits, and write its folder as a teacher's.

    Raises UserError where the logits are not those of this data.
    """
    in_processes(work, precision(work), train)


def run_online(work: Work) -> None:
    """The same with the teacher's own forward pass at each step; nothing is stored."""
    in_processes(work, precision(work), train_online)


def train(work: Work, device: torch.device, team: Team) -> None:
    """Train on stored logits on a device, as one of a team."""
    on_stored(work, device, team).run()


def on_stored(work: Work, device: torch.device, team: Team) -> Training:
    """That training, not begun."""
    return distilled(work, device, team, stored(work, device))


def train_online(work: Work, device: torch.device, team: Team) -> None:
    """The same on the teacher's own forward pass."""
    distilled(work, device, team, forwarded(work, device)).run()


def distilled(work: Work, device: torch.device, team: Team, teach_at: TeachAt) -> Training:
    """A training on what `teach_at` gives, not begun."""
    loss, state = loss_of(work, team)
    is_augmented = any(role.startswith(("augment ", "mix ", "frame ")) for role in work.functions)

    def objective(epoch: int) -> tuple[tuple[int, int], BatchLoss]:
        pixel_draw, logits_draw = CLEAN, CLEAN
        if is_augmented:
            pixel_draw, logits_draw = draws_at(epoch, work.spec["supervision"]["draws"], work.spec["seed"])
        return (pixel_draw, logits_draw), replace(loss, taught=lambda batch: teach_at(logits_draw)(batch))

    return Training(work, device, team, objective, state)


def draws_at(epoch: int, draws: int | str, seed: int) -> tuple[int, int]:
    """The augmentation draw of the pixels and that of the teacher's logits in an epoch (from 0).

    They are the same but for `draws` 1, whose logits are of the clean image.
    """
    if draws == 1:
        return epoch + 1, CLEAN
    if isinstance(draws, int):
        order = torch.randperm(draws, generator=generator("views", seed))
        draw = 1 + int(order[epoch % draws])
        return draw, draw
    return epoch + 1, epoch + 1


def forwarded(work: Work, device: torch.device) -> TeachAt:
    """The teacher in the loop; where its data differ from the student's, it sees the same samples in its own."""
    teacher = work.spec["teacher"]
    path = work.read("teacher", teacher["weights"])
    own = read_sources(work, ["train"], device, "teacher data")["train"] if "teacher data" in work.inputs else None
    source = own or read_sources(work, ["train"], device)["train"]
    build, epoch = work.functions["teacher_model"], teacher.get("epoch")
    network = load_model(build, teacher["model"], source, path, epoch, work.runtime.channels_last)
    if own:
        check_labels(read_sources(work, ["train"], device)["train"], own.labels_n.cpu().numpy(), path)
    augmentation = augmentation_of(work.spec["recipe"], work.functions, pixel_key(work.spec))
    augmentation = augmentation.at_scale(teacher.get("scale", 1.0))

    def teach_at(draw: int) -> Taught:
        def teach(batch: Batch) -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                if own is None:
                    return (network(batch.inputs),)
                return (network(next(own.batches([batch.ids_n], draw, augmentation)).inputs),)

        return teach

    return teach_at


def stored(work: Work, device: torch.device) -> TeachAt:
    """The teacher's stored logits, one draw in memory at a time."""
    source = read_sources(work, ["train"], device)["train"]
    path = work.inputs["teacher"] / "logits.parquet"
    check_teacher(work, open_logits(path))
    transform = None
    if "transform" in work.functions:
        fit = fitted(work) if "fit" in work.functions else None
        transform = transform_of(work.spec, work.functions["transform"], fit)
    held: dict[int, torch.Tensor] = {}

    def teach_at(draw: int) -> Taught:
        if draw not in held:
            held.clear()
            read = partial(read_table, path, draw, source, transform)
            held[draw] = read() if transform else _TABLES.get(path, (draw, device), read)
        table_nk = held[draw]
        return lambda batch: (table_nk[batch.ids_n],)

    return teach_at


def check_teacher(work: Work, file: DrawsFile) -> None:
    """UserError unless a file holds the logits of the teacher that the job names."""
    if file.metadata["address"] != work.record("teacher")["address"]:
        raise UserError(f"{file.path}: holds the logits of another teacher; {mend(file.path)}")


def fitted(work: Work) -> float:
    """What a transform has fitted on the teacher's predictions on val; UserError where nothing can be."""
    _, labels_n, logits_nk = open_logits(work.read("teacher predict", "val.logits.parquet")).read_draw(CLEAN)
    value = float(work.functions["fit"](labels_n, logits_nk.astype(np.float64)))
    if math.isnan(value):
        name = work.spec["transform"]["name"]
        raise UserError(
            f"{work.title}: transform {name} has nothing to fit, as the teacher makes no error on val; raise "
            f"data.val_fraction, name another teacher, or leave transform out"
        )
    return value


def read_table(path: Path, draw: int, source: Source, transform: Transform | None = None) -> torch.Tensor:
    """The teacher's logits float32 [N, K] at a draw, row i for sample i, transformed, on the source's device.

    Raises UserError where the file does not hold each sample once, or holds other labels or classes.
    """
    labels_n, logits_nk = in_order(open_logits(path), draw, source)
    if logits_nk.shape[1] != len(source.classes):
        raise UserError(f"{path}: holds {logits_nk.shape[1]} classes, not {len(source.classes)}; {mend(path)}")
    table_nk = np.ascontiguousarray(logits_nk, dtype=np.float32)
    if transform is not None:
        table_nk = transform(table_nk, labels_n)
    return torch.from_numpy(table_nk).to(source.device)


def in_order(file: DrawsFile, draw: int, source: Source) -> Rows:
    """The labels of a draw and its vectors, row i for sample i.

    Raises UserError where the file does not hold each sample once, or holds other labels.
    """
    samples_n, *columns = file.read_draw(draw)
    order_n = np.argsort(samples_n, kind="stable")
    if not np.array_equal(samples_n[order_n], np.arange(len(source))):
        raise UserError(
            f"{file.path}: draw {draw} holds {len(samples_n)} rows, not each of {len(source)} training samples once; "
            f"{mend(file.path)}"
        )
    columns = [column[order_n] for column in columns]
    check_labels(source, columns[0], file.path)
    return tuple(columns)


def check_labels(source: Source, labels_n: Any, path: Path) -> None:
    """UserError unless a teacher was asked about these very samples, as far as their labels tell."""
    if not np.array_equal(labels_n, source.labels_n.cpu().numpy()):
        raise UserError(f"{path}: labels are not those of the training data; {mend(path)}")
