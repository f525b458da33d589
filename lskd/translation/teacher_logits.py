"""A teacher's next-token logits of every target token of train, given the tokens before it.

N tokens of a batch, V the vocabulary, k tokens listed of each, D temperatures.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from lskd.jobs.work import Work
from lskd.models.network import be_deterministic
from lskd.supervision.kd_top_k import top_k
from lskd.training.device import device_of
from lskd.training.schedules import generator
from lskd.translation.batches import composed, next_token_logits, samples
from lskd.translation.model import load_model
from lskd.translation.store import Columns, write_store
from lskd.translation.user_dir.task import PairsTask


def run(work: Work) -> None:
    """Write a network's logits in the form of the spec: full, top_k or sample (`lskd.translation.store`).

    The batches are those of a training with as many `tokens`, so that float32 logits of the same machine have the bits
    that a teacher in the loop would give.
    """
    with device_of(work) as device:
        be_deterministic(device)
        write_store(work.folder / "logits.parquet", _blocks(work, device), work.origin)


@torch.no_grad()
def _blocks(work: Work, device: torch.device) -> Iterator[Columns]:
    """The rows of each batch."""
    task = PairsTask.of(work)
    pairs, spec = task.pairs("train"), work.spec
    path = work.read("weights", spec["weights"])
    network = load_model(work.functions["model"], spec["model"], path, len(task.target_dictionary)).to(device)
    draws = generator("sampled tokens", 0)
    for sample in samples(pairs, composed(pairs.sentences, spec["tokens"], work.title), device):
        logits_nv, tokens_n = next_token_logits(network, sample)
        ids_b = sample["id"].cpu().numpy()
        lengths_b = pairs.tgt_sizes[ids_b]
        starts_b = lengths_b.cumsum() - lengths_b
        columns = {
            "sentence": np.repeat(ids_b, lengths_b).astype(np.int32),
            "position": (np.arange(len(tokens_n)) - np.repeat(starts_b, lengths_b)).astype(np.int32),
            "token": tokens_n.cpu().numpy().astype(np.int32),
        }
        yield columns | _in_form(logits_nv, spec, draws)


def _in_form(logits_nv: torch.Tensor, spec: dict[str, Any], draws: torch.Generator) -> Columns:
    """The columns of logits float32 [N, V] in the form of a spec."""
    if spec["form"] == "full":
        return {"logits": _stored(logits_nv, spec)}
    if spec["form"] == "top_k":
        listed_nk, top_nk, tail_nd = top_k(logits_nv, spec["k"], spec["temperatures"])
        return {"listed": _int32(listed_nk), "logits": _stored(top_nk, spec), "tail": tail_nd.cpu().numpy()}
    counts_nv = drawn(logits_nv, spec["sampled"], draws)
    counts_nk, listed_nk = counts_nv.topk(min(spec["sampled"], logits_nv.shape[1]), 1)  # all drawn, then any others
    logits_nk = logits_nv.gather(1, listed_nk.to(logits_nv.device))
    return {
        "listed": _int32(listed_nk),
        "counts": counts_nk.numpy().astype(np.int16),
        "logits": _stored(logits_nk, spec),
    }


def drawn(logits_nv: torch.Tensor, sampled: int, draws: torch.Generator) -> torch.Tensor:
    """How often each token is drawn from softmax(z) in `sampled` draws, int32 [N, V] on the CPU."""
    drawn_ns = torch.softmax(logits_nv.double(), 1).cpu().multinomial(sampled, replacement=True, generator=draws)
    counts_nv = torch.zeros(logits_nv.shape, dtype=torch.int32)
    return counts_nv.scatter_add_(1, drawn_ns, torch.ones_like(drawn_ns, dtype=torch.int32))


def _stored(logits: torch.Tensor, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    return logits.to(getattr(torch, spec["dtype"])).cpu().numpy()


def _int32(listed_nk: torch.Tensor) -> np.ndarray[Any, Any]:
    return listed_nk.cpu().numpy().astype(np.int32)
