"""What a training keeps so that `lskd adopt --check` can ask whether today's code would train to the same bits.

The run's file `trace.safetensors` has of up to 8 epochs, spread evenly, the first and the last among them, the state
before each (none before the first) and what became of it: every step's loss, the epoch's row of the history, digests of
the state after it; and the plan of all steps: learning rates, batches, draws, which epochs are best and kept. To check,
the plan is made again, which trains nothing, and those epochs are trained again, each from its kept state.

What a trace cannot see is a change that acts in other epochs alone and is no part of the plan.
"""

import json
import shutil
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xxhash
from safetensors import SafetensorError, safe_open

from lskd.errors import UserError
from lskd.io.atomic import write_json
from lskd.io.layout import TRACE
from lskd.io.seal import file_digest
from lskd.io.tensors import load_tensors, write_tensors

if TYPE_CHECKING:
    from lskd.training.loop import Training

PART = "trace.part"  # the folder of what is kept so far; a killed training goes on with it
EPOCHS = 8  # at most
MOST_BYTES = 64 << 20  # of all kept states together, unless two are more
PARTS = ("model", "optimizer", "loss", "best", "snapshots")  # of a training's state, its tensors
State = dict[str, Any]
Content = dict[str, Any]


class Trace:
    """What is kept of one training, as it goes; of several processes, or fused with others, nothing is."""

    def __init__(self, training: "Training") -> None:
        self.file, self.part = training.work.folder / TRACE, training.work.folder / PART
        self.epochs = _spread(training) if training.team.size == 1 else []
        self.losses: list[torch.Tensor] = []  # of the epoch's steps

    def drop(self) -> None:
        """Keep nothing of it."""
        self.epochs = []
        shutil.rmtree(self.part, ignore_errors=True)

    def begin(self, training: "Training", epoch: int) -> None:
        """Keep the state before an epoch (from 0)."""
        self.losses = []
        if epoch and epoch in self.epochs:
            self.part.mkdir(exist_ok=True)
            state = training.state()
            write_tensors(self.part / f"{epoch}.safetensors", _tensors(state), _plain(state))

    def after_step(self, epoch: int, loss: torch.Tensor) -> None:
        """Keep a step's loss."""
        if epoch in self.epochs:
            self.losses.append(loss)

    def end(self, training: "Training", epoch: int) -> None:
        """Keep what became of it."""
        if epoch in self.epochs:
            self.part.mkdir(exist_ok=True)
            write_json(self.part / f"{epoch}.json", outcome(training, self.losses))
        self.losses = []

    def close(self, training: "Training") -> None:
        """Write what was kept into one file."""
        tensors: dict[str, torch.Tensor] = {}
        content: Content = {"top1s": [row["val_top1"] for row in training.history], "epochs": {}}
        content["plan"] = plan(training, content["top1s"])
        for epoch in self.epochs:
            before, after = self.part / f"{epoch}.safetensors", self.part / f"{epoch}.json"
            if not after.exists() or (epoch and not before.exists()):  # its checkpoint was carried here without them
                self.drop()
                return
            content["epochs"][str(epoch)] = {"after": json.loads(after.read_text())}
            if epoch:
                tensors |= {f"{epoch}/{name}": tensor for name, tensor in load_tensors(before).items()}
                content["epochs"][str(epoch)]["before"] = _read(before)
        if self.epochs:
            write_tensors(self.file, tensors, content)
            training.work.notes["trace"] = file_digest(self.file)
        self.drop()


def _spread(training: "Training") -> list[int]:
    """The epochs (from 0) that are kept."""
    last = training.recipe["epochs"] - 1
    size = 3 * sum(tensor.nbytes for tensor in training.best.values())  # the weights, the best ones, the momenta
    count = max(2, min(EPOCHS, MOST_BYTES // max(1, size)))
    return sorted({last * place // (count - 1) for place in range(count)})


def plan(training: "Training", top1s: list[float]) -> list[Content]:
    """Of each epoch: digests of the learning rates and the batches of its steps; its draws; what is kept at its end.

    `top1s`: the accuracies on val, by which the best is chosen.
    """
    rows: list[Content] = []
    best = -1.0
    for epoch, top1 in enumerate(top1s):
        first = epoch * training.steps_per_epoch
        rates = [training.lr_at(step) for step in range(first, first + training.steps_per_epoch)]
        batches = training.batches_of(epoch)
        sizes = np.array([len(ids_n) for ids_n in batches])
        is_best = training.is_better(top1, best)
        best = top1 if is_best else best
        rows.append(
            {
                "learning rates": xxhash.xxh3_64_hexdigest(np.array(rates).tobytes()),
                "batches": xxhash.xxh3_64_hexdigest(sizes.tobytes() + torch.cat(batches).numpy().tobytes()),
                "draws": list(training.objective(epoch)[0]),
                "choice of the best": is_best,
                "snapshots": training.is_snapshot(epoch + 1),
            }
        )
    return rows


def compare(training: "Training", file: Path) -> None:
    """Train the kept epochs again, each from its state, and write the run's files as after the last.

    UserError names the first difference.
    """
    content = _read(file)
    tensors = load_tensors(file)
    if len(content["top1s"]) != training.recipe["epochs"]:
        raise UserError(f"it has {training.recipe['epochs']} epochs, not {len(content['top1s'])}")
    for epoch, (then, now) in enumerate(zip(content["plan"], plan(training, content["top1s"]), strict=True), 1):
        if then != now:
            parts = [name for name in now if then.get(name) != now[name]]
            raise UserError(f"epoch {epoch} has another plan: {', '.join(parts)}")
    training.trace.epochs = sorted(map(int, content["epochs"]))
    for epoch in training.trace.epochs:
        kept, prefix = content["epochs"][str(epoch)], f"{epoch}/"
        if epoch:
            own = {key.removeprefix(prefix): each for key, each in tensors.items() if key.startswith(prefix)}
            training.restore(_state(own, kept["before"], epoch * training.steps_per_epoch))
        training.advance(None)
        now = json.loads((training.trace.part / f"{epoch}.json").read_text())
        for difference in _differences(kept["after"], now):
            raise UserError(f"epoch {epoch + 1}: {difference}")
    training.write()


def outcome(training: "Training", losses: list[torch.Tensor]) -> dict[str, Any]:
    """What an epoch led to."""
    state = training.state()
    tensors = _tensors(state)
    digests = {}
    for part in PARTS:
        digest = xxhash.xxh3_64()
        for name in sorted(name for name in tensors if name.startswith(f"{part}/")):
            digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
            digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
        digests[part] = digest.hexdigest()
    bits = torch.stack(losses).float().cpu().numpy().tobytes().hex()
    return {"losses": bits, "row": state["history"][-1], "best_top1": state["best_top1"], "state": digests}


def _differences(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What differs, the first step first."""
    ours, theirs = (np.frombuffer(bytes.fromhex(each["losses"]), np.float32) for each in (now, then))
    for step, (one, other) in enumerate(zip_longest(ours, theirs), 1):
        if one is None or other is None or one.tobytes() != other.tobytes():
            yield f"step {step} has loss {one}, not {other}"
    for name, value in then["row"].items():
        if now["row"].get(name) != value:
            yield f"{name} is {now['row'].get(name)}, not {value}"
    for part, digest in then["state"].items():
        if now["state"][part] != digest:
            yield f"{part} has other values at its end"
    if now["best_top1"] != then["best_top1"]:
        yield f"the best accuracy on val is {now['best_top1']}, not {then['best_top1']}"


def _tensors(state: State) -> dict[str, torch.Tensor]:
    """The tensors of a state, by part and name, on the CPU."""
    flat: dict[str, torch.Tensor] = {}
    for part in PARTS:
        for name, value in state[part].items():
            if isinstance(value, list):
                flat |= {f"{part}/{name}/{place}": each for place, each in enumerate(value)}
            else:
                flat[f"{part}/{name}"] = value
    return {name: tensor.detach().cpu().contiguous() for name, tensor in flat.items()}


def _plain(state: State) -> Content:
    """What is no tensor."""
    lists = {name: len(value) for name, value in state["optimizer"].items()}
    rows = json.dumps(state["history"])  # as text, which keeps the order of a row's keys
    return {"history": rows, "best_top1": state["best_top1"], "scaler": state["scaler"], "lists": lists}


def _state(tensors: dict[str, torch.Tensor], plain: Content, step: int) -> State:
    """What `Training.restore` takes up, at a step that begins an epoch."""
    state: State = {part: {} for part in PARTS}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        state[part][rest] = tensor
    state["optimizer"] = {
        name: [state["optimizer"][f"{name}/{place}"] for place in range(count)]
        for name, count in plain["lists"].items()
    }
    state |= {"scaler": plain["scaler"], "history": json.loads(plain["history"]), "best_top1": plain["best_top1"]}
    return state | {"step": step, "sums": torch.zeros(2, dtype=torch.float64), "losses": [], "environments": []}


def _read(path: Path) -> Content:
    """What a file of tensors says beside them; UserError where it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            content: Content = json.loads(file.metadata()["lskd"])
    except (OSError, SafetensorError, ValueError, LookupError, TypeError):
        raise UserError(f"{path}: missing or damaged") from None
    return content
