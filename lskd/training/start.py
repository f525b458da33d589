"""Where a network's weights come from: another run, or a user's own file, whose names are read by a key map."""

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lskd.data.sources import read_sources
from lskd.errors import UserError
from lskd.io.atomic import write_text
from lskd.io.seal import file_digest
from lskd.io.tensors import write_tensors
from lskd.jobs.work import Work
from lskd.models.network import be_deterministic, evaluate, new_model, weights
from lskd.training.device import device_of

Tensors = dict[str, torch.Tensor]
INSIDE = ("state_dict", "model_state_dict", "model", "net", "state_dict_ema", "model_ema")  # where trainers put weights
WRAPPERS = ("module.", "_orig_mod.", "model.")  # what DataParallel, torch.compile and Lightning put before each name
HEAD = "head."
_SHOWN = 3  # names that a message shows


def run(work: Work) -> None:
    """Make a run of a user's own checkpoint: the weights of the file under the names of the spec's model.

    Writes the files of a training; its history is one line, the accuracy on val. Raises UserError where the file is
    none, has changed since it was planned, or does not fit the model or the number of classes.
    """
    with device_of(work) as device:
        be_deterministic(device)
        val = read_sources(work, ["val"], device)["val"]
        torch.manual_seed(work.spec["seed"])
        network = new_model(work.functions["model"], work.spec["model"], val)
        given = work.spec["checkpoint"]
        tensors = read_checkpoint(work.place, given["digest"])
        begin_with(network, renamed(tensors, given["keys"], network), given["head"], work.place)
        loss, top1 = evaluate(network, val)
        _warn_of_chance(work, top1, len(val), len(val.classes))
        row = {"epoch": 0, "step": 0, "lr": 0.0, "train_loss": None, "train_top1": None}
        write(work, weights(network), row | {"val_loss": loss, "val_top1": top1})


def write(work: Work, tensors: Tensors, row: dict[str, Any]) -> None:
    """Write the files of a run."""
    write_text(work.folder / "history.jsonl", json.dumps(row) + "\n")
    for name, content in {"best": tensors, "snapshots": {}, "model": tensors}.items():
        write_tensors(work.folder / f"{name}.safetensors", content, work.origin)


def _warn_of_chance(work: Work, top1: float, samples: int, classes: int) -> None:
    """A teacher no better than chance mostly has other classes, another order of them, or another normalisation."""
    chance = 1 / classes
    error = math.sqrt(chance * (1 - chance) / samples)
    if work.spec["checkpoint"]["head"] == "keep" and top1 <= chance + 3 * error:
        print(
            f"warning: {work.place}: right on {top1:.1%} of val, about chance for {classes} classes; are its classes "
            "in the order of yours (sorted by name), and its mean and std those of the data?",
            file=sys.stderr,
        )


def read_checkpoint(path: Path, digest: str) -> Tensors:
    """The tensors of a state dict, .safetensors or a weights-only .pt; UserError where it is none or has changed."""
    try:
        if file_digest(path) != digest:
            raise UserError(f"{path}: the checkpoint changed since this job was planned; run again")
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace]):  # the arguments that many scripts save too
            return _inside(torch.load(path, map_location="cpu", weights_only=True), path)
    except (OSError, SafetensorError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: cannot be read ({why}); name a state dict, .safetensors or .pt") from None
    except UserError:
        raise
    except Exception as error:  # torch names no class for what such a file may raise
        why = " ".join(str(error).split())[:80] or type(error).__name__
        raise UserError(
            f"{path}: no state dict that loads with weights_only ({why}...); save it again: "
            "torch.save(model.state_dict(), PATH)"
        ) from None


def _inside(content: Any, path: Path) -> Tensors:
    """The state dict in what a trainer saved."""
    if isinstance(content, dict):
        for name in INSIDE:
            if isinstance(content.get(name), dict):
                return _inside(content[name], path)
        tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
        if tensors and len(tensors) == len(content):
            return tensors
    names = ", ".join(map(str, list(content)[:_SHOWN])) if isinstance(content, dict) else type(content).__name__
    raise UserError(f"{path}: holds {names}, no state dict; save torch.save(model.state_dict(), PATH)")


def renamed(tensors: Tensors, keys: dict[str, str], network: torch.nn.Module) -> Tensors:
    """The tensors under the network's names: wrappers' prefixes off, `keys` applied, the library's own names read.

    `keys` are regular expressions and their replacements, each applied in turn to every name; a name that becomes
    empty is left out.
    """
    while wrapper := _wrapper(tensors):
        tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    for pattern, replacement in keys.items():
        tensors = {re.sub(pattern, replacement, name): tensor for name, tensor in tensors.items()}
    tensors.pop("", None)
    own_name = getattr(network, "own_name", str)  # of a library's network that is wrapped here
    known = network.state_dict().keys()  # which a file of lskd's own has
    return {name if name in known else own_name(name): tensor for name, tensor in tensors.items()}


def _wrapper(tensors: Tensors) -> str:
    """What a wrapper put before every name; "" for none."""
    return next((each for each in WRAPPERS if tensors and all(name.startswith(each) for name in tensors)), "")


def begin_with(network: torch.nn.Module, tensors: Tensors, head: str, path: Path) -> None:
    """Put `tensors` into a network, all of them, or with `head` "new" all but the last layer's.

    Raises UserError where names or shapes differ. Batch norm's counters, which some exports leave out, may be missing.
    """
    own = network.state_dict()
    if head == "new":
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(HEAD)}
        tensors |= {name: tensor for name, tensor in own.items() if name.startswith(HEAD)}
    tensors = {name: tensor for name, tensor in own.items() if name.endswith("num_batches_tracked")} | tensors
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or unknown:
        raise UserError(
            f"{path}: its names are not the model's: {_some(missing)} missing, {_some(unknown)} unknown; name the "
            "model that was trained, or map the names with start.keys"
        )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            advice = "name the model that was trained"
            if name.startswith(HEAD):
                advice = "start.head: new, with a recipe, trains that layer afresh"
            raise UserError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, the model with these classes and images "
                f"{tuple(own[name].shape)}; {advice}"
            )
    network.load_state_dict(tensors)


def _some(names: list[str]) -> str:
    first = ", ".join(names[:_SHOWN]) or "none"
    return first + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
