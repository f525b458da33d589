"""A small data set and small runs for the tests of the stages."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lskd import stage
from lskd.config import Data, Distill, Labels, Model, Recipe, Runtime
from lskd.data.prepare import channel_statistics, write
from lskd.runs import Run, loss_entry, model_entry
from lskd.train import Job

CLASSES = ["ant", "bee", "cat"]


def prepared(path: Path, train: int = 61, shape: tuple[int, int, int] = (1, 8, 8)) -> Path:
    """Write a prepared file of three noisy, separable classes."""
    draw = np.random.default_rng(5)
    centres = draw.integers(40, 215, (len(CLASSES), *shape))
    tensors = {}
    for split, count in (("train", train), ("val", 15), ("test", 18)):
        labels = np.arange(count) % len(CLASSES)
        images = centres[labels] + draw.normal(0, 60, (count, *shape))
        tensors[f"{split}_images"] = images.clip(0, 255).astype(np.uint8)
        tensors[f"{split}_labels"] = labels.astype(np.int64)
    mean, std = channel_statistics(tensors["train_images"])
    write(path, tensors, {"classes": json.dumps(CLASSES), "mean": json.dumps(list(mean)), "std": json.dumps(list(std))})
    return path


def recipe(**fields: Any) -> Recipe:
    return Recipe(**{"epochs": 3, "batch_size": 16, "lr": 0.05} | fields)


def teacher(model: str = "resnet8", width: int = 4, how: Labels | None = None, seed: int = 0, **fields: Any) -> Run:
    return Run(Data(), Model(name=model, width=width), "short", recipe(**fields), how or Labels(), seed)


def student(of: Run, model: str = "mlp", width: int = 16, how: dict[str, Any] | None = None, **fields: Any) -> Run:
    distill = Distill(**{"temperature": 2.0} | (how or {}))
    return Run(of.data, Model(name=model, width=width), "short", recipe(**fields), distill, of.seed, of)


def job(run: Run, out: Path, data: Path, teacher_file: Path | None = None, **runtime: Any) -> Job:
    inputs = {"data": data} | ({"teacher": teacher_file} if teacher_file else {})
    return Job(run.spec, "code", inputs, out, torch.device("cpu"), Runtime(**{"device": "cpu"} | runtime))


def builder(run: Run) -> Any:
    return stage.resolve(model_entry(run.spec["model"]))


def loss(run: Run) -> Any:
    return stage.resolve(loss_entry(run.spec))
