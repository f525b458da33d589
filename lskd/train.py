"""The one training loop, and its simplest use: training on labels."""

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lskd import checkpoint, stage
from lskd.checkpoint import Stop, stop_on_sigterm
from lskd.config import Labels, Recipe, Runtime, canonical
from lskd.data.prepared import Split, load_split
from lskd.device import lease
from lskd.errors import UserError
from lskd.files import atomic
from lskd.network import be_deterministic, device_name, evaluate, new_model, pixels, weights, write_tensors
from lskd.optimizer import Optimizer
from lskd.progress import Report, report
from lskd.provenance import collect, file_digest
from lskd.runs import loss_entry, model_entry
from lskd.schedule import epoch_batches, lr_factor, pixel_key, stream_seed

BatchLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""From logits [B, K], labels [B], sample indices [B] and normalised pixels [B, C, H, W] to the mean loss of a batch."""

Objective = Callable[[int], tuple[int, BatchLoss]]
"""From an epoch (from 0) to the view of its pixels and its loss: all that tells one kind of training from another."""


@dataclass(frozen=True)
class Job:
    """What is asked for: a run's spec, its code's fingerprint, input files by name ("data", ...), folder, means."""

    spec: dict[str, Any]
    code: str
    inputs: dict[str, Path]
    out: Path
    device: torch.device
    runtime: Runtime


def train(job: Job, build: Callable[..., torch.nn.Module], loss: Callable[..., torch.Tensor]) -> None:
    """Train a run on labels with `loss`, cross-entropy or smoothed cross-entropy, and write its folder.

    Raises UserError where the loss becomes infinite or NaN, SystemExit(143) on SIGTERM after saving a checkpoint.
    """
    labels = Labels.model_validate(job.spec["labels"])
    options: dict[str, Any] = {}
    if labels.label_smoothing:
        options = {"label_smoothing": labels.label_smoothing, "form": labels.smoothing}

    def batch_loss(
        logits_nk: torch.Tensor, labels_n: torch.Tensor, ids_n: torch.Tensor, pixels_nchw: torch.Tensor
    ) -> torch.Tensor:
        return loss(logits_nk, labels_n, **options)

    split = load_split(job.inputs["data"], "train", str(job.device))
    Training(job, split, build, lambda epoch: (epoch + 1, batch_loss)).run()


class Training:
    """A run in training: all its state, how it advances, and how it is saved, resumed and written."""

    def __init__(self, job: Job, split: Split, build: Callable[..., torch.nn.Module], objective: Objective) -> None:
        self.job, self.split, self.objective = job, split, objective
        self.recipe = Recipe.model_validate(job.spec["recipe"])
        self.val = load_split(job.inputs["data"], "val", str(job.device))
        self.key = pixel_key(job.spec)
        self.drawn = {"crop_padding": self.recipe.crop_padding, "flip": self.recipe.flip}
        self.steps_per_epoch = len(epoch_batches(0, 0, len(split.labels_n), self.recipe.batch_size))
        be_deterministic(job.device)
        torch.manual_seed(job.spec["seed"])
        self.model = new_model(build, job.spec["model"], split, job.device)
        if job.runtime.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        on_gpu = job.device.type == "cuda"
        self.forward = torch.compile(self.model) if job.runtime.compile and on_gpu else self.model
        self.amp = getattr(torch, job.runtime.amp) if job.runtime.amp != "none" and on_gpu else None
        self.optimizer = Optimizer(self.recipe, list(self.model.parameters()))
        self.scaler = torch.amp.GradScaler(job.device.type, enabled=self.amp == torch.float16)
        self.step = 0
        self.sums = torch.zeros(2, dtype=torch.float64, device=job.device)  # of this epoch: loss, correct
        self.seconds = 0.0  # of this epoch
        self.history: list[dict[str, Any]] = []
        self.best_top1, self.best = -1.0, weights(self.model)
        self.snapshots: dict[str, torch.Tensor] = {}
        self._keep_snapshot(0)

    def run(self) -> None:
        """Train to the end, from the checkpoint if there is one of this very job, and write the run's files."""
        key = {"spec": canonical(self.job.spec), "code": self.job.code}
        key["inputs"] = canonical({name: file_digest(path) for name, path in self.job.inputs.items()})
        saved = checkpoint.load(self.job.out, key)
        if saved:
            self.restore(saved)
        steps = self.recipe.epochs * self.steps_per_epoch
        with stop_on_sigterm() as stop, report(str(self.job.out), self.recipe.epochs, steps, self.step) as tell:
            saver = _Saver(self, key, stop)
            while self.step < steps:
                self._epoch(saver, tell)
            self.write()
        checkpoint.remove(self.job.out)

    def _epoch(self, saver: "_Saver", tell: Report) -> None:
        """Train to the end of the current epoch and take stock of it."""
        epoch, first = divmod(self.step, self.steps_per_epoch)
        view, batch_loss = self.objective(epoch)
        batches = epoch_batches(self.job.spec["seed"], epoch, len(self.split.labels_n), self.recipe.batch_size)
        order = torch.cat(batches).to(self.job.device)
        self.model.train()
        started = time.monotonic() - self.seconds
        for ids_n in order.split([len(batch) for batch in batches])[first:]:
            self._step(ids_n, view, batch_loss)
            tell.step(self.step)
            if self.step % self.steps_per_epoch:
                self.seconds = time.monotonic() - started
                saver.within_epoch()
        self._end_epoch(epoch + 1, started, tell)
        saver.after_epoch()

    def _step(self, ids_n: torch.Tensor, view: int, batch_loss: BatchLoss) -> None:
        """One step of the optimizer; nothing here waits for the device."""
        recipe = self.recipe
        seed_dropout(self.job, self.step)
        self.optimizer.lr = recipe.lr * lr_factor(recipe, self.step, self.steps_per_epoch)
        pixels_nchw = pixels(self.split, ids_n, view, self.key, self.drawn)
        labels_n = self.split.labels_n[ids_n]
        logits_nk = self._logits(pixels_nchw)
        loss = batch_loss(logits_nk, labels_n, ids_n, pixels_nchw)
        self.optimizer.zero_grad()
        self.scaler.scale(loss * recipe.loss_scale).backward()
        if recipe.grad_clip:
            self.scaler.unscale_(self.optimizer)  # type: ignore[arg-type]
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, recipe.grad_clip)
        self.scaler.step(self.optimizer)  # type: ignore[arg-type]
        self.scaler.update()
        self.sums[0] += loss.detach() * len(ids_n)
        self.sums[1] += (logits_nk.detach().argmax(1) == labels_n).sum()
        self.step += 1

    def _logits(self, pixels_nchw: torch.Tensor) -> torch.Tensor:
        if self.job.runtime.channels_last:
            pixels_nchw = pixels_nchw.contiguous(memory_format=torch.channels_last)
        if self.amp is None:
            return self.forward(pixels_nchw)
        with torch.autocast(self.job.device.type, self.amp):
            logits_nk = self.forward(pixels_nchw)
        return logits_nk.float()

    def _end_epoch(self, epoch: int, started: float, tell: Report) -> None:
        """Read the sums once, validate, and keep what an epoch's end may ask to be kept. `epoch` counts from 1."""
        lr = self.optimizer.lr
        train_loss, train_top1 = (self.sums / len(self.split.labels_n)).tolist()
        val_loss, val_top1 = evaluate(self.model, self.val)
        if not math.isfinite(train_loss + val_loss):
            name = self.job.out.parent.parent.name
            raise UserError(
                f"{self.job.out}: the loss is {train_loss:g} on train and {val_loss:g} on val after epoch {epoch} "
                f"at lr {lr:g}; lower recipes.{name}.lr"
            )
        row = {"epoch": epoch, "step": self.step, "lr": lr, "train_loss": train_loss, "train_top1": train_top1}
        row |= {"val_loss": val_loss, "val_top1": val_top1, "seconds": time.monotonic() - started}
        self.history.append(row)
        if val_top1 > self.best_top1:
            self.best_top1, self.best = val_top1, weights(self.model)
        self._keep_snapshot(epoch)
        self.sums.zero_()
        self.seconds = 0.0
        tell.epoch(epoch, self.step, train_loss, val_top1)

    def _keep_snapshot(self, epoch: int) -> None:
        if epoch in self.recipe.snapshot_epochs:
            self.snapshots |= {f"{epoch}/{name}": tensor for name, tensor in weights(self.model).items()}

    def state(self) -> dict[str, Any]:
        """All that `restore` needs; tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "sums": self.sums,
            "seconds": self.seconds,
            "history": self.history,
            "best_top1": self.best_top1,
            "best": self.best,
            "snapshots": self.snapshots,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up the state of another process's `state`."""
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.sums.copy_(saved["sums"])
        self.step, self.seconds, self.history = saved["step"], saved["seconds"], saved["history"]
        self.best_top1, self.best, self.snapshots = saved["best_top1"], saved["best"], saved["snapshots"]

    def write(self) -> None:
        """Write the run's files, each saying of itself what it is."""
        job = self.job
        metadata = collect(job.spec, job.code, job.inputs, device_name(job.device))
        write_history(job.out / "history.parquet", self.history, metadata)
        files = {"best": self.best, "snapshots": self.snapshots, "model": weights(self.model)}
        for name, tensors in files.items():  # model last: it stands for them all
            write_tensors(job.out / f"{name}.safetensors", tensors, metadata)


class _Saver:
    """When a checkpoint is due, and what SIGTERM means."""

    def __init__(self, training: Training, key: dict[str, str], stop: Stop) -> None:
        self.training, self.key, self.stop = training, key, stop
        self.every = training.job.runtime.checkpoint_minutes * 60
        self.saved = time.monotonic()

    def within_epoch(self) -> None:
        if self.stop.asked or (self.every and time.monotonic() - self.saved >= self.every):
            self._save()

    def after_epoch(self) -> None:
        if self.stop.asked or time.monotonic() - self.saved >= self.every:
            self._save()

    def _save(self) -> None:
        checkpoint.save(self.training.job.out, self.key, self.training.state())
        self.saved = time.monotonic()
        if self.stop.asked:
            epoch = self.training.step // self.training.steps_per_epoch
            print(
                f"error: {self.training.job.out}: stopped by SIGTERM after step {self.training.step} "
                f"({epoch} of {self.training.recipe.epochs} epochs); run again to go on from there",
                file=sys.stderr,
                flush=True,
            )
            raise SystemExit(143)


def write_history(path: Path, rows: list[dict[str, Any]], metadata: dict[str, str]) -> None:
    """Write numbers, a row an epoch, as parquet, atomically."""
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    arrays = {  # not pa.array, which imports pandas: half a second
        name: pa.Array.from_buffers(pa.from_numpy_dtype(column.dtype), len(column), [None, pa.py_buffer(column)])
        for name, column in columns.items()
    }
    table = pa.Table.from_arrays(list(arrays.values()), list(arrays), metadata={"lskd": canonical(metadata)})
    with atomic(path) as tmp:
        pq.write_table(table, tmp)


def seed_dropout(job: Job, step: int) -> None:
    """Make what a step draws (dropout) a function of the run's seed and the step, for an exact resume."""
    seed = stream_seed(f"step {step}", job.spec["seed"])
    torch.default_generator.manual_seed(seed)
    if job.device.type == "cuda":
        torch.cuda.manual_seed(seed)


def main(arguments: argparse.Namespace) -> None:
    """Train the run that `--spec` tells, on the device that LSKD_RUNTIME asks for."""
    spec, runtime = arguments.spec, stage.runtime()
    with lease(runtime) as device:
        job = Job(spec, arguments.code, {"data": arguments.data}, arguments.out, device, runtime)
        train(job, stage.resolve(model_entry(spec["model"])), stage.resolve(loss_entry(spec)))


if __name__ == "__main__":
    stage.call("train", main, stage.parser("train", "data", "out").parse_args())
