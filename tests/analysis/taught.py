"""Studies of interventions on synthetic students whose accuracy is a known function of how they were taught."""

import math

import numpy as np
import pandas as pd

from tests.figures import synthetic

DEGREES = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 16.0, 64.0)
T0 = 4.0
RIVALS = ("maxsup-a0.1", "online_smoothing", "squared_error")
LOSSES = ("dkd", "dist", "nkd", "wsld", "wttm")
KEEPS = (0.0, 0.25, 0.5, 0.75)
SHARPNESS = {"hard": 3.0, "LS": 1.5}  # the T at which half of the most entropy is reached; of a rival 2
MOST = math.log(64)
ECE = {"hard": 0.12, "LS": 0.03, "maxsup-a0.1": 0.05, "online_smoothing": 0.06, "squared_error": 0.09}
NETWORKS = (("resnet8-w16", "resnet8-w4"),)


def entropy(teacher, way, transform, t):
    """Of what is taught: rises with T, sooner where the teacher is soft; erasing leaves it alone."""
    half = 2.5 if transform == "calibrate" else SHARPNESS.get(teacher, 2.0)
    half = 2.5 if way == "standardized_kd" else half
    return MOST * t**2 / (t**2 + half**2)


def ways(degrees=DEGREES):
    """(teacher, way, transform, keep, teacher's T, T) of each kind of student in the study."""
    both = ("hard", "LS")
    yield from ((teacher, "kd", "none", math.nan, t, t) for teacher in both for t in degrees)
    yield from ((teacher, "kd", "none", math.nan, t, T0) for teacher in both for t in degrees if t != T0)
    yield from ((teacher, "kd", "calibrate", math.nan, t, t) for teacher in both for t in (1.0, T0))
    yield from ((teacher, "standardized_kd", "none", math.nan, T0, T0) for teacher in both)
    yield from (("hard", "kd", "erase", keep, T0, T0) for keep in KEEPS)
    yield from (("hard", "kd", name, math.nan, T0, T0) for name in ("shuffle", "randomize"))
    yield from ((teacher, "kd", "none", math.nan, t, t) for teacher in RIVALS for t in (1.0, T0))
    yield from ((teacher, way, "none", math.nan, T0, T0) for teacher in both for way in LOSSES)


def study(top1, seeds=range(8), students=2, noise=0.05, only=None, networks=NETWORKS):
    """Frames accuracy, taught and calibration: top1(teacher, way, transform, keep, teacher's T, T, entropy) in percent.

    Seeds differ, alike for all; `noise` is the deviation of what they do not share. `only` chooses from `ways`.
    """
    random = np.random.default_rng(0)
    accuracy, taught, calibration = [], [], []
    for teacher_model, model in networks:
        for seed in seeds:
            teachers = {kind: _teacher(kind, teacher_model, seed) for kind in ("hard", "LS", *RIVALS)}
            alone = teachers["hard"] | {"run": f"alone/{model}/seed{seed}", "role": "baseline", "model": model}
            accuracy += [alone | top1_of(split, 70.0 + seed) for split in ("val", "test")]
            for kind, row in teachers.items():
                accuracy += [row | top1_of(split, 80.0) for split in ("val", "test")]
                for name, value in (("ece", ECE[kind]), ("ece_scaled", 0.02)):
                    calibration.append(row | {"split": "test", "metric": name, "value": value + 0.001 * seed})
            for how in ways():
                if only and not only(*how):
                    continue
                soft = entropy(*how[:3], how[4])
                for student in range(students):
                    row = _student(teachers[how[0]], model, how, student)
                    value = top1(*how, soft) + seed + noise * random.normal()
                    accuracy += [row | top1_of(split, value) for split in ("val", "test")]
                    about = {"way": how[1], "transform": how[2], "keep": how[3], "teacher_temperature": how[4]}
                    numbers = {"entropy": soft, "gamma": soft / MOST, "within_class_std": 0.2 / (1 + (how[0] == "LS"))}
                    rows = ({"split": "train", "metric": name, "value": v} for name, v in numbers.items())
                    taught += [row | about | each for each in rows]
    return {name: pd.DataFrame(rows) for name, rows in zip(FAMILIES, (accuracy, taught, calibration), strict=True)}


FAMILIES = ("accuracy", "taught", "calibration")


def top1_of(split, percent):
    return {"split": split, "metric": "top1", "k": 1, "value": percent / 100}


def _teacher(kind, model, seed):
    alpha, variant = 0.1 * (kind == "LS"), "" if kind in ("hard", "LS") else kind
    row = next(r for r in synthetic.runs(seeds=(seed,), students=False) if r["role"] == "teacher")
    lineage = f"digits/{model}/short" + f"/{variant}" * bool(variant)
    about = {"run": f"{lineage}/ls{alpha:g}/seed{seed}", "model": model, "lineage": lineage, "variant": variant}
    return row | about | {"label_smoothing": alpha}


def _student(teacher, model, how, student):
    kind, way, transform, keep, teachers_t, t = how
    texts = [way * (way != "kd"), f"Tt{teachers_t:g}" * (teachers_t != t), transform * (transform != "none")]
    texts.append("" if math.isnan(keep) else f"keep{keep:g}")
    variant = "-".join(filter(None, texts))
    row = {
        "run": f"digits/{model}/short/{variant or 'kd'}-T{t:g}-from-{teacher['run']}.{student}",
        "group": "student",
        "role": "student",
        "model": model,
        "teacher": teacher["run"],
        "teacher_model": teacher["model"],
        "temperature": t,
        "soft_weight": 1.0,
        "variant": variant,
        "student": student,
    }
    return teacher | row
