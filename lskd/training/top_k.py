"""Training on the k largest of a teacher's stored logits, and what all others are together: the loss `kd_top_k`.

N samples, k classes listed of each.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from lskd.data.sources import Source, read_sources
from lskd.io.store import DrawsFile, open_top_k, place_of_tail
from lskd.jobs.work import Work
from lskd.training.distill import TeachAt, check_teacher, distilled, in_order
from lskd.training.distributed import in_processes
from lskd.training.loop import Taught, Training, precision
from lskd.training.team import Team

Soften = Callable[[torch.Tensor, torch.Tensor | None], tuple[torch.Tensor, torch.Tensor]]
"""From logits [N, k] and the tail [N], if there is one, to probabilities [N, k] and the others' [N]."""


def run(work: Work) -> None:
    """Train a student on its teacher's stored logits, and write its folder as a teacher's.

    Raises UserError where they are not those of this data, or have no tail at the student's T.
    """
    in_processes(work, precision(work), train)


def train(work: Work, device: torch.device, team: Team) -> None:
    """The same on a device, as one of a team."""
    on_stored(work, device, team).run()


def on_stored(work: Work, device: torch.device, team: Team) -> Training:
    """That training, not begun."""
    return distilled(work, device, team, stored(work, device))


def stored(work: Work, device: torch.device) -> TeachAt:
    """What is stored of the teacher, one draw in memory at a time: 8 k + 4 bytes a sample."""
    source = read_sources(work, ["train"], device)["train"]
    path = work.inputs["teacher"] / "logits.parquet"
    file = open_top_k(path)
    check_teacher(work, file)
    tail_at, soften = _tail(work, file, path), partial(work.functions["soften"], temperature=_temperature(work))
    held: dict[int, tuple[torch.Tensor, ...]] = {}

    def teach_at(draw: int) -> Taught:
        if draw not in held:
            held.clear()
            held[draw] = read_table(file, draw, source, soften, tail_at)
        listed_nk, p_nk, rest_n = held[draw]
        return lambda batch: (listed_nk[batch.ids_n].long(), p_nk[batch.ids_n], rest_n[batch.ids_n])

    return teach_at


def _tail(work: Work, file: DrawsFile, path: Path) -> int | None:
    """Where a file has the tail at the student's T; None where the student takes none."""
    if not work.spec["supervision"]["tail"]:
        return None
    return place_of_tail(file.metadata["spec"], _temperature(work), path)


def _temperature(work: Work) -> float:
    return work.spec["supervision"]["temperature"]


def read_table(
    file: DrawsFile, draw: int, source: Source, soften: Soften, tail_at: int | None
) -> tuple[torch.Tensor, ...]:
    """Classes int32 [N, k], their probabilities float32 [N, k] and the others' [N], row i for sample i.

    On the source's device. Raises UserError as `lskd.training.distill.read_table` does.
    """
    _, listed_nk, tail_nd, top_nk = in_order(file, draw, source)
    p_nk, rest_n = soften(torch.from_numpy(top_nk), None if tail_at is None else torch.from_numpy(tail_nd[:, tail_at]))
    return tuple(each.to(source.device) for each in (torch.from_numpy(listed_nk), p_nk, rest_n))
