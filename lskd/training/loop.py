"""The one training loop, and its simplest use: training on labels."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from lskd.data.sources import Batch, augmentation_of, read_sources
from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.io.tensors import load_tensors
from lskd.jobs.progress import Report, report
from lskd.jobs.work import Work
from lskd.models.network import be_deterministic, laid_out, new_model, weights
from lskd.training import checkpoint
from lskd.training.checkpoint import Stop, stop_on_sigterm
from lskd.training.distributed import in_processes
from lskd.training.outputs import Saver, append_history, write_history, write_run
from lskd.training.schedules import epoch_batches, lr_factor, pixel_key, stream_seed
from lskd.training.team import Team
from lskd.training.trace import Trace, compare
from lskd.training.tracking import Tracker, tracker

Taught = Callable[[Batch], tuple[torch.Tensor, ...]]
"""From a batch to what a loss is told of the teacher: its logits [N, K], or what `lskd.training.top_k` gives."""


@dataclass(frozen=True)
class BatchLoss:
    """From logits [N, K] and their batch to its mean loss: a function of them and what is `taught`, at some options."""

    function: Callable[..., torch.Tensor]
    options: dict[str, Any] = field(default_factory=dict)
    taught: Taught = lambda batch: ()

    def __call__(self, logits_nk: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The loss, a number."""
        return self.function(logits_nk, batch.targets, *self.taught(batch), **self.options)


Objective = Callable[[int], tuple[tuple[int, ...], BatchLoss]]
"""From an epoch (from 0) to its draws (of its pixels, then of its teacher's logits if they are drawn) and its loss: all
that tells one kind of training from another."""

LossState = dict[str, torch.Tensor]
"""What a loss remembers of the batches that it saw, on the device."""

ALONE, FUSED = "alone", "fused"  # how a training advances: by itself, or as one with others (`lskd.training.fused`)
OF_TEACHER = ("way", "draws", "dtype", "k", "tail")  # what tells of a supervision how its teacher's logits come


def run(work: Work) -> None:
    """Train a network on labels, by a loss that needs no teacher, and write its folder.

    Raises UserError where the loss becomes infinite or NaN; after saving a checkpoint, SystemExit(143) on SIGTERM and
    SystemExit(130) on Ctrl-C.
    """
    in_processes(work, precision(work), train)


def train(work: Work, device: torch.device, team: Team) -> None:
    """The same on a device, as one of a team."""
    on_labels(work, device, team).run()


def on_labels(work: Work, device: torch.device, team: Team) -> "Training":
    """That training, not begun."""
    loss, state = loss_of(work, team)
    return Training(work, device, team, lambda epoch: ((epoch + 1,), loss), state)


def loss_of(work: Work, team: Team) -> tuple[BatchLoss, LossState]:
    """A job's loss of a whole batch, told nothing, and the state that it keeps where it ends epochs too."""
    state: LossState = {}
    options = loss_options(work.spec["supervision"])
    if "end_epoch" in work.functions:
        options["state"] = state
    return BatchLoss(team.of_whole_batch(work.functions["loss"]), options), state


def loss_options(supervision: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the loss beyond logits and targets: a supervision's spec but for how the logits come."""
    return {name: value for name, value in supervision.items() if name not in OF_TEACHER}


def precision(work: Work) -> str:
    """The precision of a training's forward passes."""
    amp = work.spec["recipe"].get("amp", "none")
    return "float32" if amp == "none" else amp


class Training:
    """A run in training: all its state, how it advances, and how it is saved, resumed and written."""

    def __init__(
        self, work: Work, device: torch.device, team: Team, objective: Objective, loss_state: LossState
    ) -> None:
        self.work, self.device, self.team = work, device, team
        self.objective, self.loss_state = objective, loss_state
        self.recipe, self.seed = work.spec["recipe"], work.spec["seed"]
        work.environment["training"] = ALONE
        sources = read_sources(work, ["train", "val"], device)
        self.source, self.val = sources["train"], sources["val"]
        self.augmentation = augmentation_of(self.recipe, work.functions, pixel_key(work.spec))
        self.steps_per_epoch = self._count_steps()
        be_deterministic(device)
        torch.manual_seed(self.seed)
        self.model = new_model(work.functions["model"], work.spec["model"], self.source)
        if "start" in work.spec:
            path = work.read("start", work.spec["start"]["weights"])
            work.functions["begin"](self.model, load_tensors(path), work.spec["start"]["head"], path)
        self.model = laid_out(self.model, work.runtime.channels_last)
        team.share(self.model)
        is_compiled = work.runtime.compile and device.type == "cuda" and team.size == 1
        self.forward = torch.compile(self.model) if is_compiled else self.model
        self.amp = None if precision(work) == "float32" else getattr(torch, precision(work))
        # the parts that are trained: all, or those that are left to fine-tune
        self.trained = work.functions["freeze"](self.model) if "freeze" in work.functions else [self.model]
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = work.functions["optimizer"](self.recipe, parameters)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.amp == torch.float16)
        self.step = 0
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)  # of this epoch: loss, correct
        self.loss_sum, self.correct = self.sums.unbind()
        self.history: list[dict[str, Any]] = []
        self.best_top1, self.best = -1.0, weights(self.model)
        self.snapshots: dict[str, torch.Tensor] = {}
        self._keep_snapshot(0)
        self.trace = Trace(self)

    def _count_steps(self) -> int:
        """Steps of an epoch; UserError where a batch has no sample for each process."""
        batches = epoch_batches(0, 0, len(self.source), self.recipe["batch_size"])
        if len(batches[-1]) < self.team.size:
            raise UserError(
                f"{self.work.title}: the last batch of an epoch has {len(batches[-1])} samples, fewer than processes "
                f"{self.team.size}; change its recipe's batch_size"
            )
        return len(batches)

    def run(self) -> None:
        """Train to the end, from the checkpoint if there is one of this very job, and write the run's files.

        With a trace to compare with, do no more than that.
        """
        if self.work.kept:
            compare(self, self.work.kept)
            return
        self.resume()
        if self.team.leads:
            with stop_on_sigterm() as stop, self.watched(stop) as watch:
                while self.step < self.steps:
                    self.advance(watch)
                self.finish()
        else:
            while self.step < self.steps:
                self.advance(None)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one of this very job."""
        with self.team.leader_first():
            saved = checkpoint.load(self.work.folder, self._key)
        if saved:
            self.restore(saved)
        if any(each["training"] == FUSED for each in self.work.begun_on):
            self.trace.drop()

    def be_fused(self) -> None:
        """Note that it advances as one with others: its numbers are those of one alone but for rounding."""
        self.work.environment["training"] = FUSED
        self.trace.epochs = []

    @cached_property
    def _key(self) -> dict[str, str]:
        """What a checkpoint is of."""
        data = file_digest(self.work.inputs["data"] / "data.safetensors")
        return {"address": self.work.address, "data": data}

    @contextmanager
    def watched(self, stop: Stop) -> Iterator["Watch"]:
        """Tell of the training and save it, until it is done or asked to stop."""
        work, epochs, samples = self.work, self.recipe["epochs"], self.recipe["batch_size"]
        write_history(work.folder, self.history)
        with (
            tracker(work.runtime.track, work.title, work.address, work.spec, len(self.history)) as track,
            report(work.title, work.address, epochs, self.steps, self.step, samples) as tell,
        ):
            yield Watch(Saver(work, self._key, stop, self.state, self.place), tell, track)

    def finish(self) -> None:
        """Write the run's files, once it is trained."""
        self.trace.close(self)
        self.write()
        checkpoint.remove(self.work.folder)

    def write(self) -> None:
        """Write the run's files."""
        write_run(self.work, self.history, self.best, self.snapshots, weights(self.model))

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return int(self.recipe["epochs"] * self.steps_per_epoch)

    def advance(self, watch: "Watch | None") -> None:
        """Train to the end of the current epoch and take stock of it."""
        epoch, first = divmod(self.step, self.steps_per_epoch)
        if not first:
            self.trace.begin(self, epoch)
        (draw, *_), batch_loss = self.objective(epoch)
        self.model.eval()
        for part in self.trained:
            part.train()
        for samples, batch in self.batches_left(draw):
            self._step(batch, samples, batch_loss)
            if watch:
                watch.after_step(self.step, is_within_epoch=self.step % self.steps_per_epoch > 0)
        self.end_epoch(epoch + 1)
        self.trace.end(self, epoch)
        if watch:
            watch.after_epoch(self.history[-1])

    def batches_left(self, draw: int) -> Iterator[tuple[int, Batch]]:
        """The batches of the current epoch that are still to come, each with its samples in all processes."""
        epoch, first = divmod(self.step, self.steps_per_epoch)
        ids = self.batches_of(epoch)
        sizes = [len(ids_n) for ids_n in ids]
        ids = [self.team.part(ids_n) for ids_n in torch.cat(ids).to(self.device).split(sizes)]  # one copy an epoch
        return zip(sizes[first:], self.source.batches(ids[first:], draw, self.augmentation), strict=True)

    def batches_of(self, epoch: int) -> list[torch.Tensor]:
        """The samples of each step of an epoch (from 0)."""
        return epoch_batches(self.seed, epoch, len(self.source), self.recipe["batch_size"])

    def lr_at(self, step: int) -> float:
        """The learning rate of a step (from 0)."""
        factor = lr_factor(self.recipe, step, self.steps_per_epoch, self.work.functions["schedule"])
        return float(self.recipe["lr"] * factor)

    def _step(self, batch: Batch, samples: int, batch_loss: BatchLoss) -> None:
        """One step of the optimizer on a batch of so many samples; nothing here waits."""
        recipe = self.recipe
        self.team.samples = samples
        seed_dropout(self.seed, self.step, self.device)
        self.optimizer.lr = self.lr_at(self.step)
        logits_nk = self._logits(batch.inputs)
        loss = batch_loss(logits_nk, batch)
        self.optimizer.zero_grad()
        self.scaler.scale(loss * recipe.get("loss_scale", 1.0)).backward()
        self.team.sum_gradients(self.optimizer.parameters)
        if "grad_clip" in recipe:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, recipe["grad_clip"])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.trace.after_step(self.step // self.steps_per_epoch, loss.detach())
        self.loss_sum += loss.detach() * samples
        self.correct += self.team.total((logits_nk.detach().argmax(1) == batch.hard_targets_n).sum())
        self.step += 1

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.work.runtime.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        if self.amp is None:
            return self.forward(inputs)
        with torch.autocast(self.device.type, self.amp):
            logits_nk = self.forward(inputs)
        return logits_nk.float()

    def end_epoch(self, epoch: int) -> None:
        """Read the sums once, validate, and keep what an epoch's end may ask to be kept. `epoch` counts from 1."""
        lr = self.optimizer.lr
        train_loss, train_top1 = (self.sums / len(self.source)).tolist()
        val_loss, val_top1 = self.team.evaluate(self.model, self.val)
        if not math.isfinite(train_loss + val_loss):
            raise UserError(
                f"{self.work.title}: the loss is {train_loss:g} on train and {val_loss:g} on val after epoch {epoch} "
                f"at lr {lr:g}; lower its recipe's lr"
            )
        row = {"epoch": epoch, "step": self.step, "lr": lr, "train_loss": train_loss, "train_top1": train_top1}
        row |= {"val_loss": val_loss, "val_top1": val_top1}
        self.history.append(row)
        if self.team.leads:
            append_history(self.work.folder, row)
        if self.is_better(val_top1, self.best_top1):
            self.best_top1, self.best = val_top1, weights(self.model)
        self._keep_snapshot(epoch)
        if self.loss_state:
            self.work.functions["end_epoch"](self.loss_state)
        self.sums.zero_()

    def is_better(self, val_top1: float, best_top1: float) -> bool:
        """Whether an epoch is better on val than the best before it."""
        return val_top1 > best_top1

    def is_snapshot(self, epoch: int) -> bool:
        """Whether the weights at the end of an epoch (from 1; 0 before the first) are kept."""
        return epoch in self.recipe.get("snapshot_epochs", [])

    def _keep_snapshot(self, epoch: int) -> None:
        if self.is_snapshot(epoch):
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
            "losses": torch.stack(self.trace.losses) if self.trace.losses else [],  # of this epoch
            "history": self.history,
            "best_top1": self.best_top1,
            "best": self.best,
            "snapshots": self.snapshots,
            "environments": [*self.work.begun_on, self.work.environment],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up the state of another process's `state`."""
        self.work.begun_on += [each for each in saved["environments"] if each not in self.work.begun_on]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.loss_state |= {name: tensor.to(self.device) for name, tensor in saved["loss"].items()}
        self.sums.copy_(saved["sums"])
        self.trace.losses = [loss.to(self.device) for loss in saved["losses"]]
        self.step, self.history = saved["step"], saved["history"]
        self.best_top1, self.best, self.snapshots = saved["best_top1"], saved["best"], saved["snapshots"]

    def place(self) -> str:
        """How far it is."""
        return f"step {self.step} ({self.step // self.steps_per_epoch} of {self.recipe['epochs']} epochs)"


@dataclass
class Watch:
    """What the process that leads a training tells and saves."""

    saver: Saver
    tell: Report
    track: Tracker

    def after_step(self, step: int, is_within_epoch: bool) -> None:
        """What follows a step."""
        self.tell.step(step)
        if is_within_epoch:
            self.saver.after(is_stock_taken=False)

    def after_epoch(self, row: dict[str, Any]) -> None:
        """What follows an epoch, by its row of the history."""
        self.tell.epoch(row["epoch"], row["step"], row["train_loss"], row["val_top1"])
        self.track.log(row["epoch"], row)
        self.saver.after(is_stock_taken=True)


def seed_dropout(seed: int, step: int, device: torch.device) -> None:
    """Make what a step draws (dropout) a function of the run's seed and the step, for an exact resume."""
    seed = stream_seed(f"step {step}", seed)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
