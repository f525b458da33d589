"""A corpus of invented sentences, a tiny network, and jobs on them, for tests of translation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.models.transformer.transformer_legacy import base_architecture

from lskd.io.seal import seal
from lskd.jobs.work import Work
from lskd.study.runtime import Runtime
from lskd.supervision import kd_sample, kd_top_k, labels
from lskd.translation import distill, teacher_logits, train
from lskd.translation.model import _transformer
from lskd.translation.tokens import SPECIALS, Sentences, ragged, write_tokens

VOCABULARY = 40
TRAINED = ("model.safetensors", "best.safetensors", "snapshots.safetensors", "history.jsonl")
RECIPE = {
    "updates": 10,
    "tokens": 60,
    "lr": 0.01,
    "warmup_updates": 4,
    "weight_decay": 0.01,
    "dropout": 0.2,
    "grad_clip": 0.0,
    "validate_updates": 4,
    "optimizer": "adam",
    "schedule": "inverse_sqrt",
}
LABELS = {"way": "labels", "label_smoothing": 0.1, "smoothing": "uniform"}


def tiny(vocabulary: int, dropout: float) -> torch.nn.Module:
    """1+1 layers, d 16."""
    return _transformer(base_architecture, vocabulary, dropout, layers=1, embed_dim=16, ffn_embed_dim=24)


def sentences(count: int, seed: int) -> Sentences:
    """A target is its source backwards, each token one higher; 1 to 9 tokens."""
    draw = np.random.default_rng(seed)
    sources = [draw.integers(SPECIALS, VOCABULARY - 1, draw.integers(1, 10)).tolist() for _ in range(count)]
    return Sentences(ragged(sources), ragged([[token + 1 for token in source[::-1]] for source in sources]))


def corpus(root: Path, train_count: int = 57, seed: int = 0, vocabulary: int = VOCABULARY) -> Path:
    """The sealed folder of a corpus job."""
    folder = root / f"corpus{seed}-{seed:05}{vocabulary:05}"
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"train": train_count, "val": 13, "test": 11}
    splits = {split: sentences(count, seed + place) for place, (split, count) in enumerate(counts.items())}
    write_tokens(folder / "tokens.safetensors", splits, {"title": "corpus"})
    (folder / "pieces.txt").write_text("".join(f"piece{number}\n" for number in range(vocabulary - SPECIALS)))
    return sealed(folder, ("tokens.safetensors", "pieces.txt"))


def sealed(folder: Path, files: tuple[str, ...]) -> Path:
    """The folder, its record written."""
    seal(folder, files, {"address": folder.name[-10:]})
    return folder


def work(folder: Path, spec: dict[str, Any], inputs: dict[str, Path], **functions: Any) -> Work:
    """A job in a folder whose name ends in its address."""
    folder.mkdir(parents=True, exist_ok=True)
    functions = {"model": tiny, "teacher_model": tiny, "loss": labels.loss} | functions
    return Work(
        title=folder.name[:-11],
        address=folder.name[-10:],
        spec=spec,
        folder=folder,
        inputs=inputs,
        functions=functions,
        runtime=Runtime(device="cpu"),
    )


def train_work(folder: Path, data: Path, supervision: dict[str, Any] = LABELS, seed: int = 0, **recipe: Any) -> Work:
    spec = {"model": {"name": "tiny"}, "recipe": RECIPE | recipe, "supervision": supervision, "seed": seed}
    return work(folder, spec, {"data": data})


def trained(root: Path, data: Path, name: str = "teacher", address: str = "0000000001", **fields: Any) -> Path:
    """The sealed folder of a training."""
    job = train_work(root / f"{name}-{address}", data, **fields)
    train.run(job)
    return sealed(job.folder, TRAINED)


def stored(root: Path, data: Path, teacher: Path, address: str = "0000000002", **spec: Any) -> Path:
    """The sealed folder of a teacher's logits."""
    spec = {
        "form": "full",
        "dtype": "float32",
        "temperatures": [1.0, 2.0, 64.0],
        "tokens": RECIPE["tokens"],
        "model": {"name": "tiny"},
        "weights": "model.safetensors",
    } | spec
    job = work(root / f"logits-{address}", spec, {"data": data, "weights": teacher})
    teacher_logits.run(job)
    return sealed(job.folder, ("logits.parquet",))


def student(
    folder: Path, data: Path, teacher: Path, supervision: dict[str, Any], is_online: bool = False, **recipe: Any
) -> Path:
    """The folder of a student that was trained."""
    job = train_work(folder, data, supervision, seed=1, **recipe)
    job.inputs["teacher"] = teacher
    job.spec["teacher"] = {"model": {"name": "tiny"}, "weights": "model.safetensors"}
    job.functions["loss"] = {"kd_top_k": kd_top_k.loss, "kd_sample": kd_sample.loss}.get(supervision["way"])
    (distill.run_online if is_online else distill.run)(job)
    return job.folder


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
