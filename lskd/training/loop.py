"""The one training loop, and its simplest use: training on labels."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from lskd.data.sources import Batch, augmentation_of, read_sources
from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.io.tensors import load_tensors
from lskd.jobs.progress import Report, report
from lskd.jobs.work import Work
from lskd.models.network import be_deterministic, evaluate, new_model, weights
from lskd.training import checkpoint
from lskd.training.checkpoint import stop_on_sigterm
from lskd.training.device import device_of
from lskd.training.outputs import Saver, append_history, write_history, write_run
from lskd.training.schedules import epoch_batches, lr_factor, pixel_key, stream_seed
from lskd.training.tracking import Tracker, tracker

BatchLoss = Callable[[torch.Tensor, Batch], torch.Tensor]
"""From logits [N, K] and their batch to its mean loss."""

Objective = Callable[[int], tuple[int, BatchLoss]]
"""From an epoch (from 0) to the draw of its pixels and its loss: all that tells one kind of training from another."""

LossState = dict[str, torch.Tensor]
"""What a loss remembers of the batches that it saw, on the device."""

OF_TEACHER = ("way", "draws", "dtype", "k", "tail")  # what tells of a supervision how its teacher's logits come


def run(work: Work) -> None:
    """Train a network on labels, by a loss that needs no teacher, and write its folder.

    Raises UserError where the loss becomes infinite or NaN; after saving a checkpoint, SystemExit(143) on SIGTERM and
    SystemExit(130) on Ctrl-C.
    """
    with device_of(work, precision(work)) as device:
        train(work, device)


def train(work: Work, device: torch.device) -> None:
    """The same on a device."""
    loss, state = loss_of(work)

    def batch_loss(logits_nk: torch.Tensor, batch: Batch) -> torch.Tensor:
        return loss(logits_nk, batch.targets)

    Training(work, device, lambda epoch: (epoch + 1, batch_loss), state).run()


def loss_of(work: Work) -> tuple[Callable[..., torch.Tensor], LossState]:
    """A job's loss, its options given, and the state that it keeps where it ends epochs too: empty at first."""
    state: LossState = {}
    options = loss_options(work.spec["supervision"])
    if "end_epoch" in work.functions:
        options["state"] = state
    return partial(work.functions["loss"], **options), state


def loss_options(supervision: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the loss beyond logits and targets: a supervision's spec but for how the logits come."""
    return {name: value for name, value in supervision.items() if name not in OF_TEACHER}


def precision(work: Work) -> str:
    """The precision of a training's forward passes."""
    amp = work.spec["recipe"].get("amp", "none")
    return "float32" if amp == "none" else amp


class Training:
    """A run in training: all its state, how it advances, and how it is saved, resumed and written."""

    def __init__(self, work: Work, device: torch.device, objective: Objective, loss_state: LossState) -> None:
        self.work, self.device, self.objective, self.loss_state = work, device, objective, loss_state
        self.recipe, self.seed = work.spec["recipe"], work.spec["seed"]
        sources = read_sources(work, ["train", "val"], device)
        self.source, self.val = sources["train"], sources["val"]
        self.augmentation = augmentation_of(self.recipe, work.functions, pixel_key(work.spec))
        self.steps_per_epoch = len(epoch_batches(0, 0, len(self.source), self.recipe["batch_size"]))
        be_deterministic(device)
        torch.manual_seed(self.seed)
        self.model = new_model(work.functions["model"], work.spec["model"], self.source)
        if "start" in work.spec:
            path = work.read("start", work.spec["start"]["weights"])
            work.functions["begin"](self.model, load_tensors(path), work.spec["start"]["head"], path)
        if work.runtime.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.forward = torch.compile(self.model) if work.runtime.compile and device.type == "cuda" else self.model
        self.amp = None if precision(work) == "float32" else getattr(torch, precision(work))
        # the parts that are trained: all, or those that are left to fine-tune
        self.trained = work.functions["freeze"](self.model) if "freeze" in work.functions else [self.model]
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = work.functions["optimizer"](self.recipe, parameters)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.amp == torch.float16)
        self.step = 0
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)  # of this epoch: loss, correct
        self.history: list[dict[str, Any]] = []
        self.best_top1, self.best = -1.0, weights(self.model)
        self.snapshots: dict[str, torch.Tensor] = {}
        self._keep_snapshot(0)

    def run(self) -> None:
        """Train to the end, from the checkpoint if there is one of this very job, and write the run's files."""
        work, epochs = self.work, self.recipe["epochs"]
        key = {"address": work.address, "data": file_digest(work.inputs["data"] / "data.safetensors")}
        saved = checkpoint.load(work.folder, key)
        if saved:
            self.restore(saved)
        write_history(work.folder, self.history)
        steps = epochs * self.steps_per_epoch
        samples = self.recipe["batch_size"]
        with (
            stop_on_sigterm() as stop,
            tracker(work.runtime.track, work.title, work.address, work.spec, len(self.history)) as track,
            report(work.title, work.address, epochs, steps, self.step, samples) as tell,
        ):
            saver = Saver(work, key, stop, self.state, self.place)
            while self.step < steps:
                self._epoch(saver, tell, track)
            self.write()
        checkpoint.remove(work.folder)

    def _epoch(self, saver: Saver, tell: Report, track: Tracker) -> None:
        """Train to the end of the current epoch and take stock of it."""
        epoch, first = divmod(self.step, self.steps_per_epoch)
        draw, batch_loss = self.objective(epoch)
        ids = epoch_batches(self.seed, epoch, len(self.source), self.recipe["batch_size"])
        ids = list(torch.cat(ids).to(self.device).split([len(ids_n) for ids_n in ids]))  # one copy an epoch
        self.model.eval()
        for part in self.trained:
            part.train()
        for batch in self.source.batches(ids[first:], draw, self.augmentation):
            self._step(batch, batch_loss)
            tell.step(self.step)
            if self.step % self.steps_per_epoch:
                saver.after(is_stock_taken=False)
        self._end_epoch(epoch + 1, tell)
        track.log(epoch + 1, self.history[-1])
        saver.after(is_stock_taken=True)

    def _step(self, batch: Batch, batch_loss: BatchLoss) -> None:
        """One step of the optimizer; nothing here waits for the device."""
        recipe = self.recipe
        seed_dropout(self.seed, self.step, self.device)
        factor = lr_factor(recipe, self.step, self.steps_per_epoch, self.work.functions["schedule"])
        self.optimizer.lr = recipe["lr"] * factor
        logits_nk = self._logits(batch.inputs)
        loss = batch_loss(logits_nk, batch)
        self.optimizer.zero_grad()
        self.scaler.scale(loss * recipe.get("loss_scale", 1.0)).backward()
        if "grad_clip" in recipe:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, recipe["grad_clip"])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.sums[0] += loss.detach() * batch.weight
        self.sums[1] += (logits_nk.detach().argmax(1) == batch.hard_targets_n).sum()
        self.step += 1

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.work.runtime.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        if self.amp is None:
            return self.forward(inputs)
        with torch.autocast(self.device.type, self.amp):
            logits_nk = self.forward(inputs)
        return logits_nk.float()

    def _end_epoch(self, epoch: int, tell: Report) -> None:
        """Read the sums once, validate, and keep what an epoch's end may ask to be kept. `epoch` counts from 1."""
        lr = self.optimizer.lr
        train_loss, train_top1 = (self.sums / len(self.source)).tolist()
        val_loss, val_top1 = evaluate(self.model, self.val)
        if not math.isfinite(train_loss + val_loss):
            raise UserError(
                f"{self.work.title}: the loss is {train_loss:g} on train and {val_loss:g} on val after epoch {epoch} "
                f"at lr {lr:g}; lower its recipe's lr"
            )
        row = {"epoch": epoch, "step": self.step, "lr": lr, "train_loss": train_loss, "train_top1": train_top1}
        row |= {"val_loss": val_loss, "val_top1": val_top1}
        self.history.append(row)
        append_history(self.work.folder, row)
        if val_top1 > self.best_top1:
            self.best_top1, self.best = val_top1, weights(self.model)
        self._keep_snapshot(epoch)
        if self.loss_state:
            self.work.functions["end_epoch"](self.loss_state)
        self.sums.zero_()
        tell.epoch(epoch, self.step, train_loss, val_top1)

    def _keep_snapshot(self, epoch: int) -> None:
        if epoch in self.recipe.get("snapshot_epochs", []):
            self.snapshots |= {f"{epoch}/{name}": tensor for name, tensor in weights(self.model).items()}

    def state(self) -> dict[str, Any]:
        """All that `restore` needs; tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "loss": self.loss_state,
            "step": self.step,
            "sums": self.sums,
            "history": self.history,
            "best_top1": self.best_top1,
            "best": self.best,
            "snapshots": self.snapshots,
            "environments": [*self.work.begun_on, self.work.environment],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up the state of another process's `state`."""
        self.work.begun_on += [each for each in saved["environments"] if each != self.work.environment]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.loss_state |= {name: tensor.to(self.device) for name, tensor in saved["loss"].items()}
        self.sums.copy_(saved["sums"])
        self.step, self.history = saved["step"], saved["history"]
        self.best_top1, self.best, self.snapshots = saved["best_top1"], saved["best"], saved["snapshots"]

    def place(self) -> str:
        """How far it is."""
        return f"step {self.step} ({self.step // self.steps_per_epoch} of {self.recipe['epochs']} epochs)"

    def write(self) -> None:
        """Write the run's files."""
        write_run(self.work, self.history, self.best, self.snapshots, weights(self.model))


def seed_dropout(seed: int, step: int, device: torch.device) -> None:
    """Make what a step draws (dropout) a function of the run's seed and the step, for an exact resume."""
    seed = stream_seed(f"step {step}", seed)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
