"""Training on a teacher's logits: the same loop as for labels, with another objective."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lskd import stage
from lskd.config import Distill, Recipe
from lskd.data.prepared import Split, load_split
from lskd.device import lease
from lskd.errors import UserError
from lskd.network import load_model
from lskd.runs import loss_entry, model_entry, used_weights
from lskd.schedule import generator
from lskd.store import open_logits
from lskd.train import BatchLoss, Job, Training

Teach = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From sample indices [B] and their pixels [B, C, H, W] to the teacher's logits [B, K]."""


def distill(
    job: Job,
    build: Callable[..., torch.nn.Module],
    loss: Callable[..., torch.Tensor],
    build_teacher: Callable[..., torch.nn.Module] | None = None,
) -> None:
    """Train a student on `job.inputs["teacher"]` and write its folder as `train` does.

    That file holds the teacher's logits (cached), or its weights where `views` is online (then `build_teacher` is
    needed). Raises UserError where the logits are not those of this data.
    """
    how, recipe = Distill.model_validate(job.spec["distill"]), Recipe.model_validate(job.spec["recipe"])
    split = load_split(job.inputs["data"], "train", str(job.device))
    if how.views == "online":
        assert build_teacher is not None
        teach_at = _online(job, split, build_teacher)
    else:
        teach_at = _cached(job, split)
    options = loss_options(how)

    def objective(epoch: int) -> tuple[int, BatchLoss]:
        pixel_view, logits_view = views_at(epoch, how, recipe, job.spec["seed"])
        teach = teach_at(logits_view)

        def batch_loss(
            logits_nk: torch.Tensor, labels_n: torch.Tensor, ids_n: torch.Tensor, pixels_nchw: torch.Tensor
        ) -> torch.Tensor:
            return loss(logits_nk, teach(ids_n, pixels_nchw), labels_n, **options)

        return pixel_view, batch_loss

    Training(job, split, build, objective).run()


def loss_options(how: Distill) -> dict[str, Any]:
    """The arguments of the loss beyond logits and labels."""
    if how.loss == "logit_mse":
        return {"soft_weight": how.soft_weight}
    return {
        "temperature": how.temperature,
        "soft_weight": how.soft_weight,
        "t_squared": how.t_squared,
        "soften_student": how.soften_student,
        "reduction": how.reduction,
    }


def views_at(epoch: int, how: Distill, recipe: Recipe, seed: int) -> tuple[int, int]:
    """The view of the pixels and the view of the teacher's logits in an epoch (from 0).

    They are the same but for `views: 1`, whose logits are of the clean image (view 0). Without augmentation all views
    are the clean one.
    """
    if not (recipe.crop_padding or recipe.flip):
        return 0, 0
    if how.views == 1:
        return epoch + 1, 0
    if isinstance(how.views, int):
        order = torch.randperm(how.views, generator=generator("views", seed))
        view = 1 + int(order[epoch % how.views])
        return view, view
    return epoch + 1, epoch + 1


def _online(job: Job, split: Split, build: Callable[..., torch.nn.Module]) -> Callable[[int], Teach]:
    network = load_model(build, job.spec["teacher"]["model"], split, job.device, job.inputs["teacher"])

    def teach(ids_n: torch.Tensor, pixels_nchw: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return network(pixels_nchw)

    return lambda view: teach


def _cached(job: Job, split: Split) -> Callable[[int], Teach]:
    path = job.inputs["teacher"]
    made_for = open_logits(path).metadata.get("spec")
    if made_for and json.loads(made_for).get("run") != job.spec["teacher"]:
        raise UserError(
            f"{path}: holds the logits of another run than the teacher of the spec; delete it and run again"
        )
    held: dict[int, torch.Tensor] = {}  # one view at a time

    def teach_at(view: int) -> Teach:
        if view not in held:
            held.clear()
            held[view] = read_table(path, view, split)
        table_nk = held[view]
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
            "delete it and run again"
        )
    if not np.array_equal(labels_n[order_n], expected_n) or logits_nk.shape[1] != len(split.classes):
        raise UserError(f"{path}: labels or classes are not those of the training data; delete it and run again")
    table_nk = torch.from_numpy(np.ascontiguousarray(logits_nk[order_n], dtype=np.float32))
    return table_nk.to(split.labels_n.device)


def main(arguments: argparse.Namespace) -> None:
    """Train the student that `--spec` tells, on the device that LSKD_RUNTIME asks for."""
    spec, runtime = arguments.spec, stage.runtime()
    teacher, build_teacher = arguments.teacher, None
    if spec["distill"].get("views") == "online":
        teacher = used_weights(teacher, spec["teacher"])
        build_teacher = stage.resolve(model_entry(spec["teacher"]["model"]))
    with lease(runtime) as device:
        inputs = {"data": arguments.data, "teacher": teacher}
        job = Job(spec, arguments.code, inputs, arguments.out, device, runtime)
        distill(job, stage.resolve(model_entry(spec["model"])), stage.resolve(loss_entry(spec)), build_teacher)


if __name__ == "__main__":
    stage.call("distill", main, stage.parser("distill", "data", "teacher", "out").parse_args())
