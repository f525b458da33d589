"""What a translation's update costs: on labels, on stored logits of each form, and with the teacher in the loop.

Turns of a few updates are taken in rotation, each way from its own state, so that a busy machine slows all alike; a
way's number is the median over turns of its time in that turn over that of plain labels in the same turn: by clock, and
by the CPU time of the process, which other processes move less.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.io.seal import seal
from lskd.io.tensors import write_tensors
from lskd.jobs.work import Work
from lskd.models.network import weights
from lskd.study.runtime import Runtime
from lskd.supervision import kd_sample, kd_top_k, labels
from lskd.training.device import device_of
from lskd.translation import distill, model, teacher_logits
from lskd.translation.batches import order
from lskd.translation.tokens import SPECIALS, Sentences, ragged, write_tokens
from lskd.translation.train import Training

RECIPE = {
    "updates": 10**6,
    "lr": 1e-3,
    "warmup_updates": 400,
    "weight_decay": 0.0,
    "dropout": 0.1,
    "grad_clip": 0.0,
    "validate_updates": 10**6,
    "optimizer": "adam",
    "schedule": "inverse_sqrt",
}
FORMS = {"full": {}, "top_k": {"k": 32, "temperatures": [2.0]}, "sample": {"sampled": 64}}
WAYS = {
    "labels": ("", {"way": "labels", "label_smoothing": 0.0, "smoothing": "uniform"}),
    "smoothed labels": ("", {"way": "labels", "label_smoothing": 0.1, "smoothing": "uniform"}),
    "full": ("full", {"way": "kd", "temperature": 2.0}),
    "full, w 0.9": ("full", {"way": "kd", "temperature": 2.0, "soft_weight": 0.9, "hard_smoothing": 0.1}),
    "top 32": ("top_k", {"way": "kd_top_k", "k": 32, "tail": True, "temperature": 2.0}),
    "64 draws": ("sample", {"way": "kd_sample", "sampled": 64, "temperature": 1.0}),
    "online": ("online", {"way": "kd", "temperature": 2.0}),
}
LOSSES = {"labels": labels.loss, "kd_top_k": kd_top_k.loss, "kd_sample": kd_sample.loss}


def main() -> None:
    """Make corpus, teacher and stores, take the turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabulary", type=int, default=4000)
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--model", default="transformer_small")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--updates", type=int, default=3, help="of a turn")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--folder", type=Path, help="where the stores lie, in a folder of their own")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        os.chdir(folder)  # a GPU's locks lie below
        bench(Path(folder), arguments)


def bench(root: Path, arguments: argparse.Namespace) -> None:
    data = corpus(root, arguments.vocabulary, arguments.sentences)
    teacher, stores, sizes = teachers(root, data, arguments)
    trainings = {}
    for number, (name, (role, supervision)) in enumerate(WAYS.items()):
        work = work_of(root / f"way-{number:010}", {"data": data}, arguments)
        work.spec |= {"recipe": RECIPE | {"tokens": arguments.tokens}, "supervision": supervision, "seed": 0}
        work.spec["teacher"] = {"model": {"name": arguments.model}, "weights": "model.safetensors"}
        work.inputs["teacher"] = teacher if role == "online" else stores.get(role, teacher)
        work.functions["loss"] = LOSSES.get(supervision["way"])
        with device_of(work) as device:
            trainings[name] = Training(
                work, device, {"": of_labels, "online": distill.online}.get(role, distill.stored)
            )
    first = next(iter(trainings.values()))
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, 1 thread, {os.cpu_count()} cores"
    print(f"# {name}; Python {platform.python_version()}, torch {torch.__version__}; load {os.getloadavg()[0]:.1f}")
    print(f"# {arguments.model}, V {first.vocabulary}, {arguments.tokens} tokens a batch", flush=True)
    rounds = take_turns(trainings, arguments, device)
    print(
        f"| way | tokens/s | time over labels' | range of {arguments.turns} turns | CPU time | store, bytes a token |"
    )
    print("|---|---|---|---|---|---|")
    for name, (role, _) in WAYS.items():
        ratios = [seconds[name] / seconds["labels"] for seconds, _, _ in rounds]
        of_cpu = statistics.median(cpu[name] / cpu["labels"] for _, cpu, _ in rounds)
        speed = statistics.median(tokens / seconds[name] for seconds, _, tokens in rounds)
        size = f"{sizes[role]:,.0f}" if role in sizes else ""
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"| {name} | {speed:,.0f} | {statistics.median(ratios):.2f} | {spread} | {of_cpu:.2f} | {size} |")


def take_turns(
    trainings: dict[str, Training], arguments: argparse.Namespace, device: torch.device
) -> list[tuple[dict[str, float], dict[str, float], int]]:
    """The seconds of each way, by clock and CPU, and the target tokens of each turn but the first."""
    first = next(iter(trainings.values()))
    numbers = order(0, 0, len(first.batches))
    rounds = []
    for turn in range(arguments.turns + 1):
        chosen = [numbers[(turn * arguments.updates + step) % len(numbers)] for step in range(arguments.updates)]
        seconds, cpu = {}, {}
        names = list(trainings)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            training = trainings[name]
            begun, cpu_begun = time.perf_counter(), time.process_time()
            for number in chosen:
                training._update(training.train.batch(training.batches[number]))
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[name], cpu[name] = time.perf_counter() - begun, time.process_time() - cpu_begun
        tokens = sum(int(first.train.tgt_sizes[first.batches[number]].sum()) for number in chosen)
        if turn:
            rounds.append((seconds, cpu, tokens))
    return rounds


def of_labels(training: Training) -> Any:
    """The loss on labels, as `lskd.translation.train.run` has it."""
    options = {name: value for name, value in training.work.spec["supervision"].items() if name != "way"}
    return lambda logits_nv, tokens_n, sample: labels.loss(logits_nv, tokens_n, **options)


def teachers(root: Path, data: Path, arguments: argparse.Namespace) -> tuple[Path, dict[str, Path], dict[str, float]]:
    """A network that was not trained, its logits in each form, and their bytes a token."""
    teacher = root / "teacher-0000000001"
    teacher.mkdir()
    torch.manual_seed(1)
    network = getattr(model, arguments.model)(arguments.vocabulary, 0.0)
    network.decoder.output_projection.weight.data.mul_(3)  # as sure of its tokens as a trained one
    write_tensors(teacher / "model.safetensors", weights(network), {})
    seal(teacher, ["model.safetensors"], {"address": teacher.name[-10:]})
    stores, sizes = {}, {}
    for number, (form, more) in enumerate(FORMS.items()):
        work = work_of(root / f"logits-1{number:09}", {"data": data, "weights": teacher}, arguments)
        work.spec |= {
            "form": form,
            "dtype": "float16",
            "tokens": arguments.tokens,
            "weights": "model.safetensors",
            **more,
        }
        begun = time.perf_counter()
        teacher_logits.run(work)
        print(f"# store {form}: {time.perf_counter() - begun:.1f} s", flush=True)
        seal(work.folder, ["logits.parquet"], {"address": work.folder.name[-10:]})
        stores[form] = work.folder
        path = work.folder / "logits.parquet"
        sizes[form] = path.stat().st_size / pq.read_metadata(path).num_rows
    return teacher, stores, sizes


def corpus(root: Path, vocabulary: int, count: int) -> Path:
    """Random sentences of the lengths of LibreOffice's help: 20 tokens, half of them between 10 and 27."""
    folder = root / "corpus-0000000000"
    folder.mkdir()
    draw = np.random.default_rng(0)

    def side(lengths: Any) -> Any:
        return ragged([draw.integers(SPECIALS, vocabulary, length).tolist() for length in lengths])

    def sentences(count: int) -> Sentences:
        lengths = np.clip(draw.gamma(2.2, 9.0, count), 2, 90).astype(int)
        return Sentences(side(lengths), side(np.clip(lengths + draw.integers(-2, 3, count), 1, 95)))

    splits = {split: sentences(count if split == "train" else 20) for split in ("train", "val", "test")}
    write_tokens(folder / "tokens.safetensors", splits, {})
    (folder / "pieces.txt").write_text("".join(f"piece{number}\n" for number in range(vocabulary - SPECIALS)))
    seal(folder, ["tokens.safetensors", "pieces.txt"], {"address": folder.name[-10:]})
    return folder


def work_of(folder: Path, inputs: dict[str, Path], arguments: argparse.Namespace) -> Work:
    folder.mkdir()
    build = getattr(model, arguments.model)
    return Work(
        title="bench",
        address=folder.name[-10:],
        spec={"model": {"name": arguments.model}},
        folder=folder,
        inputs=inputs,
        functions={"model": build, "teacher_model": build},
        runtime=Runtime(device=arguments.device),
    )


if __name__ == "__main__":
    main()
