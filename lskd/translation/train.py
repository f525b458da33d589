"""A translation network in training: fairseq's Trainer takes each update, in our own order; it is resumed exactly.

V entries of the vocabulary, N target tokens of a batch.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from fairseq.dataclass.configs import FairseqConfig
from fairseq.logging import metrics
from fairseq.trainer import Trainer
from omegaconf import OmegaConf

from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.io.tensors import load_tensors
from lskd.jobs.progress import TOKENS, Report, report
from lskd.jobs.work import Work
from lskd.models.network import be_deterministic, weights
from lskd.training import checkpoint
from lskd.training.checkpoint import stop_on_sigterm
from lskd.training.device import device_of
from lskd.training.outputs import Saver, append_history, write_history, write_run
from lskd.training.schedules import stream_seed
from lskd.training.tracking import tracker
from lskd.translation.batches import Ids, Pairs, Sample, composed, order, samples
from lskd.translation.model import EMBEDDING, new_model
from lskd.translation.user_dir.criterion import TokenCriterion, TokenLoss
from lskd.translation.user_dir.task import PairsTask

BETAS = (0.9, 0.98)  # of Adam, in the papers' code and everywhere in fairseq's examples

Teach = Callable[["Training"], TokenLoss]
"""From a training that is set up to its loss: all that tells one kind of training from another."""


def run(work: Work) -> None:
    """Train a network on the corpus' own translations, by a loss that needs no teacher, and write its folder.

    Raises UserError where the loss becomes infinite or NaN; after saving a checkpoint, SystemExit(143) on SIGTERM and
    SystemExit(130) on Ctrl-C.
    """
    supervision = work.spec["supervision"]
    loss = partial(work.functions["loss"], **{key: value for key, value in supervision.items() if key != "way"})

    def token_loss(logits_nv: torch.Tensor, tokens_n: torch.Tensor, sample: Sample) -> torch.Tensor:
        return loss(logits_nv, tokens_n)

    with device_of(work, "float32") as device:
        Training(work, device, lambda training: token_loss).run()


class _NotFiniteError(Exception):
    """A gradient is infinite or NaN."""


class _Trainer(Trainer):
    """fairseq's, which leaves no crash.pt in the folder where it runs: what went wrong is told in a line."""

    def save_checkpoint(self, filename: str, extra_state: dict[str, Any]) -> None:
        """Nothing: `lskd.training.checkpoint` saves."""

    def clip_grad_norm(self, clip_norm: float) -> torch.Tensor:
        """The gradient's norm, which this bounds."""
        norm: torch.Tensor = super().clip_grad_norm(clip_norm)
        if not norm.isfinite():
            raise _NotFiniteError
        return norm


class Training:
    """A run in training: all its state, how it advances, and how it is saved, resumed and written."""

    def __init__(self, work: Work, device: torch.device, teach: Teach) -> None:
        self.work, self.device = work, device
        self.recipe, self.seed = work.spec["recipe"], work.spec["seed"]
        self.task = PairsTask.of(work)
        self.vocabulary = len(self.task.target_dictionary)
        self.train = self.task.pairs("train")
        tokens = self.recipe["tokens"]
        self.batches = composed(self.train.sentences, tokens, work.title)
        self.val_batches = val_batches(self.task.pairs("val"), tokens, work.title)
        be_deterministic(device)
        torch.manual_seed(self.seed)
        network = new_model(work.functions["model"], self._model(), self.vocabulary)
        if "start" in work.spec:
            path = work.read("start", work.spec["start"]["weights"])
            begin_with(network, load_tensors(path), str(path))
        criterion = TokenCriterion(self.task)
        self.trainer = _Trainer(config(self.recipe, self.seed, device), self.task, network, criterion)
        self.network = self.trainer.model
        self.update, self.epoch, self.place = 0, 0, 0  # place: batches of this epoch that are done
        self.sums = torch.zeros(2, dtype=torch.float64)  # since the last validation: loss, tokens
        self.history: list[dict[str, Any]] = []
        self.best_nll, self.best = math.inf, weights(self.network)
        self.snapshots: dict[str, torch.Tensor] = {}
        self._keep_snapshot()
        criterion.loss = teach(self)

    def _model(self) -> dict[str, Any]:
        return {"dropout": self.recipe.get("dropout", 0.0)} | self.work.spec["model"]

    def run(self) -> None:
        """Train to the end, from the checkpoint if there is one of this very job, and write the run's files."""
        work, updates = self.work, self.recipe["updates"]
        key = {"address": work.address, "data": file_digest(work.inputs["data"] / "tokens.safetensors")}
        if saved := checkpoint.load(work.folder, key):
            self.restore(saved)
        write_history(work.folder, self.history)
        tokens = round(sum(int(self.train.tgt_sizes[ids_b].sum()) for ids_b in self.batches) / len(self.batches))
        with (
            stop_on_sigterm() as stop,
            tracker(work.runtime.track, work.title, work.address, work.spec, len(self.history)) as track,
            report(work.title, work.address, updates, updates, self.update, tokens, TOKENS) as tell,
        ):
            saver = Saver(work, key, stop, self.state, self.update_of)
            while self.update < updates:
                self._epoch(saver, tell, track.log)
            self.write()
        checkpoint.remove(work.folder)

    def _epoch(self, saver: Saver, tell: Report, log: Callable[[int, dict[str, float]], None]) -> None:
        """Take the updates of the current epoch that are left."""
        rest = order(self.seed, self.epoch, len(self.batches))[self.place :]
        self.trainer.begin_epoch(self.epoch + 1)
        every, updates = self.recipe["validate_updates"], self.recipe["updates"]
        for number in rest[: updates - self.update]:
            self._update(self.train.batch(self.batches[number]))
            tell.step(self.update)
            is_stock_taken = self.update % every == 0 or self.update == updates
            if is_stock_taken:
                self._take_stock(tell)
                log(self.update, self.history[-1])
            saver.after(is_stock_taken)
        if self.place == len(self.batches):
            self.epoch, self.place = self.epoch + 1, 0

    def _update(self, sample: Sample) -> None:
        """One update by fairseq's Trainer, which seeds dropout by the update's number."""
        try:
            with metrics.aggregate(new_root=True):  # its meters would grow with every update else
                logged = self.trainer.train_step([sample])
        except _NotFiniteError:
            raise self._diverged("gradient is not finite") from None
        loss, tokens = float(logged["loss"]), int(sample["places"].numel())
        self.sums += torch.tensor([loss * tokens, tokens], dtype=torch.float64)
        self.update, self.place = self.update + 1, self.place + 1
        self._keep_snapshot()

    def _take_stock(self, tell: Report) -> None:
        """Validate on all of val, and keep what may be asked to be kept."""
        loss, nll, accuracy = (
            (self.sums[0] / self.sums[1]).item(),
            *validate(self.task, self.network, self.trainer.criterion, self.val_batches),
        )
        if not math.isfinite(loss + nll):
            raise self._diverged(f"loss is {loss:g} on train and {nll:g} on val")
        row = {"update": self.update, "epoch": self.epoch + 1, "lr": self.trainer.get_lr(), "loss": loss}
        row |= {"val_nll": nll, "val_accuracy": accuracy}
        self.history.append(row)
        append_history(self.work.folder, row)
        if nll < self.best_nll:
            self.best_nll, self.best = nll, weights(self.network)
        self.sums.zero_()
        tell.epoch(self.update, self.update, loss, nll)

    def _diverged(self, what: str) -> UserError:
        return UserError(
            f"{self.work.title}: the {what} after update {self.update} at lr {self.trainer.get_lr():g}; lower its "
            "recipe's lr, or raise warmup_updates"
        )

    def _keep_snapshot(self) -> None:
        if self.update in self.recipe.get("snapshot_updates", []):
            self.snapshots |= {f"{self.update}/{name}": tensor for name, tensor in weights(self.network).items()}

    def state(self) -> dict[str, Any]:
        """All that `restore` needs; tensors and plain values. Schedule and dropout are functions of `update`."""
        return {
            "model": weights(self.network),
            "optimizer": self.trainer.optimizer.state_dict(),
            "update": self.update,
            "epoch": self.epoch,
            "place": self.place,
            "sums": self.sums,
            "history": self.history,
            "best_nll": self.best_nll,
            "best": self.best,
            "snapshots": self.snapshots,
            "environments": [*self.work.begun_on, self.work.environment],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up the state of another process's `state`."""
        self.work.begun_on += [each for each in saved["environments"] if each != self.work.environment]
        self.network.load_state_dict(saved["model"])
        self.trainer.optimizer.load_state_dict(saved["optimizer"])
        self.update, self.epoch, self.place = saved["update"], saved["epoch"], saved["place"]
        self.trainer.set_num_updates(self.update)
        self.sums.copy_(saved["sums"])
        self.history, self.snapshots = saved["history"], saved["snapshots"]
        self.best_nll, self.best = saved["best_nll"], saved["best"]

    def update_of(self) -> str:
        """How far it is."""
        return f"update {self.update} of {self.recipe['updates']}"

    def write(self) -> None:
        """Write the run's files."""
        write_run(self.work, self.history, self.best, self.snapshots, weights(self.network))


def val_batches(val: Pairs, tokens: int, title: str) -> list[Ids]:
    """All of val in batches of `tokens`, or of its longest sentence where that has more."""
    return composed(val.sentences, max(tokens, int(val.sizes.max(initial=1))), title)


@torch.no_grad()
def validate(
    task: PairsTask, network: torch.nn.Module, criterion: TokenCriterion, batches: list[Ids]
) -> tuple[float, float]:
    """NLL in nats and accuracy of the next token over these batches of val, each token once."""
    device = next(network.parameters()).device
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    for sample in samples(task.pairs("val"), batches, device):
        _, _, logged = task.valid_step(sample, network, criterion)
        sums += torch.stack([logged["nll"], logged["correct"].double(), logged["nll"].new_tensor(logged["ntokens"])])
    nll, correct, tokens = sums.tolist()
    return nll / tokens, correct / tokens


def config(recipe: dict[str, Any], seed: int, device: torch.device) -> Any:
    """fairseq's own config of a recipe: float32, one process, one batch an update."""
    whole = OmegaConf.structured(FairseqConfig)
    whole.model = None  # it is built already
    whole.common.cpu = device.type == "cpu"
    whole.common.seed = stream_seed("dropout", seed)
    whole.distributed_training.distributed_world_size = 1
    whole.optimization.lr = [recipe["lr"]]
    whole.optimization.clip_norm = recipe.get("grad_clip", 0.0)
    whole.optimizer = {
        "_name": "adam",
        "adam_betas": BETAS,
        "weight_decay": recipe.get("weight_decay", 0.0),
        "lr": [recipe["lr"]],
    }
    whole.lr_scheduler = {
        "_name": "inverse_sqrt",
        "warmup_updates": recipe["warmup_updates"],
        "lr": [recipe["lr"]],
    }
    return whole


def begin_with(network: torch.nn.Module, tensors: dict[str, torch.Tensor], path: str) -> None:
    """Put `tensors` into a network; UserError where they are of another vocabulary or another model."""
    own, given = network.state_dict()[EMBEDDING], tensors.get(EMBEDDING)
    if given is not None and len(given) != len(own):
        raise UserError(
            f"{path}: of a vocabulary of {len(given)}, not {len(own)} as the corpus; name a network of this corpus"
        )
    try:
        network.load_state_dict(tensors)
    except (RuntimeError, KeyError) as error:
        why = str(error).splitlines()[-1].strip()
        raise UserError(
            f"{path}: these weights do not fit the model ({why}); name the model that was trained"
        ) from None
