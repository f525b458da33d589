"""What a student was taught: how its teacher's logits came to it, and the distributions that they gave.

All of it as its record says. N training images, each without augmentation; K classes.
"""

import json
import math
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from scipy.special import softmax

from lskd.io.seal import read_record
from lskd.metrics.classwise import class_moments
from lskd.metrics.inputs import Array, Row, RunData
from lskd.metrics.smoothness import entropy, gamma
from lskd.transforms.of_student import transform_of

STANDARDIZED = "standardized_kd"  # the way of teaching that changes logits itself
SMALLEST = 1e-12  # of a deviation that is one
Record = dict[str, Any]


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, way, transform, keep, teacher_temperature, metric, value) of each student, on train.

    Metrics entropy (nats), gamma and within_class_std, of the softmax of its teacher's logits, transformed, divided by
    teacher_temperature (the T of its teacher alone where it has one, else T). `way` is its supervision, `transform` is
    "none" or what was done to the logits, and `keep` the lambda of erase, else NaN. A way without a T has NaN values.
    """
    by_teacher: dict[str, list[RunData]] = {}
    for run in runs:
        if run.teacher is not None:
            by_teacher.setdefault(run.row["teacher"], []).append(run)
    return [row for students in by_teacher.values() for row in _of_one_teacher(students)]


def _of_one_teacher(students: list[RunData]) -> Iterator[Row]:
    """The rows of students that share a teacher; what two were taught alike is measured once."""
    teacher = students[0].teacher
    assert teacher is not None
    labels_n, logits_nk = teacher.logits("train")
    known: dict[str, dict[str, float]] = {}
    for student in students:
        record = read_record(student.folders["train"])
        about = how(record)
        transform, seed = record["spec"].get("transform"), record["spec"]["seed"]
        key = json.dumps([about, transform, transform and seed], sort_keys=True)
        if key not in known:
            own_nk = transformed(logits_nk, labels_n, record, teacher)
            known[key] = _values(labels_n, own_nk, about)
        own = student.row | {"split": "train"} | about
        yield from (own | {"metric": name, "value": value} for name, value in known[key].items())


def how(record: Record) -> Row:
    """way, transform, keep and teacher_temperature of a student's record."""
    supervision, transform = record["spec"]["supervision"], record["spec"].get("transform", {"name": "none"})
    temperature = supervision.get("teacher_temperature") or supervision.get("temperature", math.nan)
    keep = transform.get("keep", math.nan)
    about = {"way": supervision["way"], "transform": transform["name"]}
    return about | {"keep": float(keep), "teacher_temperature": float(temperature)}


def transformed(logits_nk: Array, labels_n: Array, record: Record, teacher: RunData) -> Array:
    """Logits [N, K] after the transform that a student's record names.

    The record's own names of functions are called: they are part of what the student is, and so of what is measured.
    """
    functions = record["functions"]
    if "transform" not in functions:
        return logits_nk
    fitted = _function(functions["fit"])(*teacher.logits("val")) if "fit" in functions else None
    transform = transform_of(record["spec"], _function(functions["transform"]), fitted)
    return transform(logits_nk.astype(np.float32), labels_n).astype(np.float64)


def _function(entry: str) -> Any:
    module, _, name = entry.partition(":")
    return getattr(import_module(module), name)


def _values(labels_n: Array, logits_nk: Array, about: Row) -> dict[str, float]:
    if math.isnan(about["teacher_temperature"]):
        return dict.fromkeys(("entropy", "gamma", "within_class_std"), math.nan)
    if about["way"] == STANDARDIZED:
        logits_nk = standardized(logits_nk)
    probabilities_nk = softmax(logits_nk / about["teacher_temperature"], axis=1)
    return {
        "entropy": entropy(probabilities_nk),
        "gamma": gamma(labels_n, probabilities_nk),
        "within_class_std": within_class_std(labels_n, probabilities_nk),
    }


def standardized(logits_nk: Array) -> Array:
    """(z - mean z) / sd z by row; 0 where sd z is (Sun 2024, algorithm 1): as lskd/supervision/standardized_kd.py."""
    centred_nk = logits_nk - logits_nk.mean(1, keepdims=True)
    deviation_n1 = logits_nk.std(1, keepdims=True)  # at or below SMALLEST by rounding alone
    return np.divide(centred_nk, deviation_n1, out=np.zeros_like(centred_nk), where=deviation_n1 > SMALLEST)


def within_class_std(labels_n: Array, probabilities_nk: Array) -> float:
    """sqrt(mean over samples of ||p_i - mean p_c||^2), c the label of i: what is told of images beyond their class.

    Labels [N], probabilities [N, K]. Where classes are of one size it is sqrt(1 - S), S by Shen 2021, eq. 2.
    """
    _, _, scatter_k = class_moments([(labels_n, probabilities_nk)], probabilities_nk.shape[1])
    return math.sqrt(float(scatter_k.sum()) / len(labels_n))
