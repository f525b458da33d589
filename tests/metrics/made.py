"""Small made-up runs, written as the stages write them."""

import json
import math
from pathlib import Path

import numpy as np
from hypothesis import settings
from safetensors.numpy import save_file

from lskd.io.seal import RECORD, seal
from lskd.io.store import write_features, write_logits
from lskd.jobs.job import digest
from lskd.metrics.inputs import RunData

CLASSES = ["ant", "bee", "cat", "dog", "elk"]
TEACHER = {
    "model": "resnet8",
    "recipe": "short",
    "teacher": "",
    "teacher_model": "",
    "variant": "",
    "student": math.nan,
}
STUDENT = TEACHER | {"model": "mlp", "teacher_model": "resnet8", "soft_weight": 1.0, "student": 0}

quick = settings(max_examples=40, deadline=None)  # a busy machine is no failure


def drawn(seed: int, samples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N], each class at least twice, and logits [N, K] that often are right."""
    draw = np.random.default_rng(seed)
    labels_n = draw.permutation(np.arange(samples) % classes)
    return labels_n, draw.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[labels_n]


def study(
    root: Path,
    classes: list[str] | None = None,
    each: int = 8,
    ts: tuple[float, ...] = (1.0, 3.0),
    families: list[str] | None = None,
) -> list[RunData]:
    """Two teachers (alpha 0 and 0.1), each with a student at each temperature."""
    classes = classes or CLASSES
    data = folder(root, "data", "made")
    metadata = {"classes": classes} | ({"families": families} if families else {})
    save_file({"train_labels": np.arange(2)}, data / "data.safetensors", {"lskd": json.dumps(metadata)})
    sealed(data)
    runs = []
    for i, alpha in enumerate((0.0, 0.1)):
        title = f"made/resnet8/short/ls{alpha:g}/seed0"
        named = {"run": title, "group": "teachers", "role": "teacher", "dataset": "made", "seed": 0}
        own = {"label_smoothing": alpha, "temperature": math.nan, "soft_weight": math.nan}
        teacher = RunData(TEACHER | named | own, {"data": data, "predict": folder(root, "predictions", title)})
        write_run(teacher, 10 * i, classes, each)
        runs.append(teacher)
        for j, temperature in enumerate(ts):
            below = f"made/mlp/short/kd-T{temperature:g}-from-resnet8-ls{alpha:g}/seed0"
            own = {"label_smoothing": alpha, "temperature": temperature, "teacher": title}
            row = STUDENT | named | own | {"run": below, "group": "students", "role": "student"}
            student = RunData(row, {"data": data, "predict": folder(root, "predictions", below)}, teacher)
            write_run(student, 10 * i + j + 1, classes, each)
            runs.append(student)
    return runs


def folder(root: Path, room: str, title: str) -> Path:
    """The empty folder of a job."""
    path = root / room / f"{title}-{digest([room, title])}"
    path.mkdir(parents=True, exist_ok=True)
    return path


def sealed(path: Path) -> Path:
    """A job's folder, sealed as it is now."""
    files = [file.name for file in path.iterdir() if file.name != RECORD]
    seal(path, files, {"address": path.name[-10:]})
    return path


def write_run(run: RunData, seed: int, classes: list[str], each: int) -> None:
    """Write logits, features and the last layer that links them; `each` test images a class, more of train and val."""
    draw = np.random.default_rng(seed)
    width, number = 7, len(classes)
    centre_kh, weight_kh = draw.normal(size=(2, number, width))
    bias_k = draw.normal(size=number)
    path = run.folders["predict"]
    head = {"weight": weight_kh.astype(np.float32), "bias": bias_k.astype(np.float32)}
    save_file(head, path / "head.safetensors")
    for split, times in (("train", 3), ("val", 2), ("test", 1)):
        labels_n = np.arange(each * times * number) % number
        features_nh = centre_kh[labels_n] + 0.5 * draw.normal(size=(len(labels_n), width))
        write_outputs(path, split, np.arange(len(labels_n)), labels_n, features_nh @ weight_kh.T + bias_k, features_nh)


def write_outputs(
    path: Path,
    split: str,
    samples_n: np.ndarray,
    labels_n: np.ndarray,
    logits_nk: np.ndarray,
    features_nh: np.ndarray,
) -> None:
    """Write the logits and features of one split, and seal the folder."""
    ids_n, labels_n = samples_n.astype(np.int32), labels_n.astype(np.int32)
    view, rows = (0, ids_n, labels_n, logits_nk.astype(np.float32)), (ids_n, labels_n, features_nh.astype(np.float32))
    write_logits(path / f"{split}.logits.parquet", [view], logits_nk.shape[1], "float32", {})
    write_features(path / f"{split}.features.parquet", [rows], features_nh.shape[1], "float32", {})
    sealed(path)
