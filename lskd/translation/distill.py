"""Training on a teacher's next-token distributions: the same training as on labels, with another loss.

N target tokens of a batch, V the vocabulary.
"""

from typing import Any

import torch

from lskd.errors import UserError, mend
from lskd.jobs.work import Work
from lskd.training.device import device_of
from lskd.translation.batches import Sample, next_token_logits
from lskd.translation.losses import kd, softened
from lskd.translation.model import load_model
from lskd.translation.store import Map, open_map, read_origin, softening
from lskd.translation.train import Training
from lskd.translation.user_dir.criterion import TokenLoss

OF_TARGETS = ("way", "draws", "dtype", "k", "tail", "sampled", "temperatures")  # what tells how a teacher is stored


def run(work: Work) -> None:
    """Train a student on its teacher's stored logits, and write its folder as a teacher's.

    Raises UserError where the logits are not those of this corpus, or another teacher's.
    """
    with device_of(work, "float32") as device:
        Training(work, device, stored).run()


def run_online(work: Work) -> None:
    """The same with the teacher's own forward pass at each update; nothing is stored. For whole distributions (kd)."""
    with device_of(work, "float32") as device:
        Training(work, device, online).run()


def stored(training: Training) -> TokenLoss:
    """The loss on the teacher's stored logits, of which a map in memory is made at the student's T."""
    work = training.work
    path = work.read("teacher", "logits.parquet")
    origin = read_origin(path)
    if origin["address"] != work.record("teacher")["address"]:
        raise UserError(f"{path}: holds the logits of another teacher; {mend(path)}")
    supervision = work.spec["supervision"]
    soften = softening(origin, supervision, training.device, path)
    taught = open_map(path, training.train.sentences.target, soften, work.folder).near(training.device)
    return on_map(taught, work, training.device)


def on_map(taught: Map, work: Work, device: torch.device) -> TokenLoss:
    """The loss on a map's rows; of whole distributions no [N, V] is copied."""
    options, way = _options(work.spec["supervision"]), work.spec["supervision"]["way"]
    p = taught.arrays["p"]

    def whole(logits_nv: torch.Tensor, tokens_n: torch.Tensor, sample: Sample) -> torch.Tensor:
        rows_n = taught.rows(sample["rows"])
        return kd(logits_nv, tokens_n, lambda part: p.index_select(0, rows_n[part]).to(device), **options)

    def listed(logits_nv: torch.Tensor, tokens_n: torch.Tensor, sample: Sample) -> torch.Tensor:
        rows_n = taught.rows(sample["rows"])
        columns = {name: values.index_select(0, rows_n).to(device) for name, values in taught.arrays.items()}
        given = [columns["listed"].long(), columns["p"]]
        if "rest" in columns:
            given.append(columns["rest"].squeeze(1))
        return work.functions["loss"](logits_nv, tokens_n, *given, **options)

    return whole if way == "kd" else listed


def online(training: Training) -> TokenLoss:
    """The loss on what the teacher says of the batch at hand."""
    work, device = training.work, training.device
    teacher = work.spec["teacher"]
    path = work.read("teacher", teacher["weights"])
    network = load_model(work.functions["teacher_model"], teacher["model"], path, training.vocabulary).to(device)
    options = _options(work.spec["supervision"])
    temperature = options.get("teacher_temperature") or options["temperature"]

    def token_loss(logits_nv: torch.Tensor, tokens_n: torch.Tensor, sample: Sample) -> torch.Tensor:
        with torch.no_grad():
            teacher_nv, _ = next_token_logits(network, sample)
        return kd(logits_nv, tokens_n, lambda part: softened(teacher_nv[part], temperature), **options)

    return token_loss


def _options(supervision: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a loss beyond logits, tokens and the teacher's part."""
    return {name: value for name, value in supervision.items() if name not in OF_TARGETS}
