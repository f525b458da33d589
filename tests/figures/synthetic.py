"""Metrics tables with known means, in the form that the metrics stage writes: one row a number."""

import math
from typing import Any

import numpy as np
import pandas as pd

from lskd.study.identity import IDENTITY
from tests.figures.synthetic_translation import DECODED, bleu, bleu_history, next_token, truncated

CLASSES = [str(k) for k in range(10)]
SHOWN = ["3", "9", "6"]


def runs(
    alphas=(0.0, 0.1), temperatures=(1.0, 2.0, 3.0, 64.0), seeds=(0, 1, 2), baseline=True, students=True, weights=(1.0,)
) -> list[dict[str, Any]]:
    """Identity rows of a study: teachers, the student's network alone, and its students."""
    rows = []
    for seed in seeds:
        if baseline:
            rows.append(_label_run("alone", "baseline", "resnet8-w4", 0.0, seed))
        for alpha in alphas:
            teacher = _label_run("teacher", "teacher", "resnet8-w16", alpha, seed)
            rows.append(teacher)
            for temperature in temperatures if students else ():
                for weight in weights:
                    rows.append(_student(teacher, temperature, weight, seed))
    return rows


def _label_run(group: str, role: str, model: str, alpha: float, seed: int) -> dict[str, Any]:
    values = {
        "run": f"digits/{model}/short/ls{alpha:g}/seed{seed}",
        "group": group,
        "role": role,
        "dataset": "digits",
        "model": model,
        "recipe": "short",
        "teacher": "",
        "teacher_model": "",
        "lineage": f"digits/{model}/short",
        "label_smoothing": alpha,
        "smoothing": "uniform",
        "temperature": math.nan,
        "soft_weight": math.nan,
        "variant": "",
        "seed": seed,
        "student": math.nan,
    }
    return {name: values[name] for name in IDENTITY}  # all of them, and no other


def _student(teacher: dict[str, Any], temperature: float, weight: float, seed: int) -> dict[str, Any]:
    how = f"kd-T{temperature:g}-w{weight:g}-from-{teacher['model']}-ls{teacher['label_smoothing']:g}"
    return teacher | {
        "run": f"digits/resnet8-w4/short/{how}/seed{seed}",
        "group": "student",
        "role": "student",
        "model": "resnet8-w4",
        "teacher": teacher["run"],
        "teacher_model": teacher["model"],
        "temperature": temperature,
        "soft_weight": weight,
        "student": 0,
    }


def accuracy(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Top-1 falls with T, faster where alpha > 0."""
    random = np.random.default_rng(1)
    numbers = []
    for row in rows:
        base = 0.975 if row["role"] == "teacher" else 0.945
        if row["role"] == "student":
            base += 0.012 - 0.006 * math.log(row["temperature"]) * (1 + 12 * row["label_smoothing"])
        for split in ("train", "val", "test"):
            top1 = base + random.normal(0, 0.004)
            for metric, k, value in (("top1", 1, top1), ("top5", 5, top1 + 0.02), ("nll", 1, 0.1)):
                numbers.append(row | {"split": split, "metric": metric, "k": k, "value": value})
    return pd.DataFrame(numbers)


def correct(rows: list[dict[str, Any]], images: int = 200) -> pd.DataFrame:
    """Each run's hits on test, as many as its top-1 says."""
    return hits_of(accuracy(rows), images, np.random.default_rng(5))


def hits_of(accuracies: pd.DataFrame, images: int, random: np.random.Generator) -> pd.DataFrame:
    """Hits of the runs of accuracy rows: each right on each test image with the chance of its top-1."""
    top1 = accuracies[(accuracies["split"] == "test") & (accuracies["metric"] == "top1")]
    numbers = []
    for row in top1.drop(columns=["metric", "k", "value"]).to_dict("records"):
        hit_n = random.random(images) < top1.loc[top1["run"] == row["run"], "value"].iloc[0]
        numbers.append(row | {"images": images, "correct": np.packbits(hit_n).tobytes().hex()})
    return pd.DataFrame(numbers)


def projection(rows: list[dict[str, Any]], templates: bool = False) -> pd.DataFrame:
    """Three clusters, tighter where alpha > 0, closer where T is high."""
    random = np.random.default_rng(2)
    numbers = []
    for row in rows:
        width = (0.35 if row["label_smoothing"] else 1.3) * 2
        scale = 3.0 if row["label_smoothing"] else 7.0
        for method in ("muller", "chandrasegaran"):
            for i, name in enumerate(SHOWN):
                angle = 2 * math.pi * i / 3 + (0.6 if i == 1 and row["temperature"] > 2 else 0)
                x, y = scale * math.cos(angle), scale * math.sin(angle)
                for split, many in (("train", 100), ("val", 50), ("test", 100)):
                    for sample in range(many):
                        at = {"x": x + random.normal(0, width), "y": y + random.normal(0, width), "sample": sample}
                        numbers.append(row | {"split": split, "method": method, "class": name} | at)
                if templates:
                    at = {"x": 1.3 * x, "y": 1.3 * y, "sample": -1}
                    numbers.append(row | {"split": "template", "method": method, "class": name} | at)
    return pd.DataFrame(numbers)


def diffusion(rows: list[dict[str, Any]], targets=tuple(CLASSES)) -> pd.DataFrame:
    """eta below 0 on S1 and above 0 on S2 where alpha > 0."""
    random = np.random.default_rng(3)
    numbers = []
    for row in rows:
        if row["role"] != "student" or row["temperature"] != 1:
            continue
        for split in ("train", "val", "test"):
            for target in targets:
                for name, sign in (("S1", -1.0), ("S2", 0.3)):
                    size = 0.8 if row["label_smoothing"] else 0.15
                    value = sign * size + random.normal(0, 0.1)
                    extra = {"t1": 1.0, "t2": 3.0, "target": target, "set": name, "normalisation": "mean_norm"}
                    count = 2 if name == "S1" else 7
                    numbers.append(
                        row | extra | {"split": split, "value": value, "classes": count, "source": "measured"}
                    )
    return pd.DataFrame(numbers)


def reliability(rows: list[dict[str, Any]], empty: int = 3) -> pd.DataFrame:
    """Over-confident hard targets; the first bins are empty."""
    numbers = []
    for row in rows:
        for scaled in (False, True):
            gap = -0.03 if row["label_smoothing"] else 0.02 if scaled else 0.12
            for binning in ("width", "mass"):
                for b in range(15):
                    lower, upper = b / 15, (b + 1) / 15
                    count = 0 if b < empty else 5 * (b + 1)
                    confidence = (lower + upper) / 2 if count else math.nan
                    accuracy_ = max(confidence - gap - 0.01 * row["seed"], 0) if count else math.nan
                    extra = {"bin": b, "lower": lower, "upper": upper, "confidence": confidence, "accuracy": accuracy_}
                    how = {"split": "test", "scaled": scaled, "binning": binning}
                    numbers.append(row | how | extra | {"count": count})
    return pd.DataFrame(numbers)


def calibration(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """ECE 0.12 for hard targets, 0.02 after scaling or with smoothing; 0.01 more on val."""
    numbers = []
    for row in rows:
        hard = row["label_smoothing"] == 0
        values = {"ece": 0.12 if hard else 0.024, "ece_scaled": 0.02, "temperature": 1.8 if hard else 0.9, "nll": 0.3}
        values |= {"brier": 0.2, "brier_scaled": 0.1, "aurc": 0.03, "aurc_scaled": 0.03}
        for split, more in (("val", 0.01), ("test", 0.0)):
            for metric, value in values.items():
                numbers.append(row | {"split": split, "metric": metric, "value": value + more + 0.002 * row["seed"]})
    return pd.DataFrame(numbers)


def stability(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """1 - S is smaller with LS."""
    numbers = []
    for row in rows:
        for split in ("train", "val", "test"):
            by = {"stability_eq2": 0.03, "stability_alg1": 0.14, "stability_inter": 0.8, "stability_inter_std": 0.18}
            for metric, hard in by.items():
                value = 1 - (hard - 0.05 * row["label_smoothing"] + 0.001 * row["seed"])
                numbers.append(row | {"split": split, "metric": metric, "value": value})
    return pd.DataFrame(numbers)


def smoothness(rows: list[dict[str, Any]], temperatures=(1.0, 2.0, 3.0, 64.0)) -> pd.DataFrame:
    """gamma and entropy of the teachers on train."""
    numbers = []
    for row in rows:
        if row["role"] == "teacher":
            for t in temperatures:
                value = min(0.95, 0.002 + row["label_smoothing"] + 0.2 * math.log(t))
                for metric, of_metric in (("gamma", value), ("entropy", 2 * value)):
                    at = {"split": "train", "temperature_at": t, "metric": metric}
                    numbers.append(row | at | {"value": of_metric})
    return pd.DataFrame(numbers)


def information(rows: list[dict[str, Any]], samples: int = 600) -> pd.DataFrame:
    """A rise, then a fall towards log 2, deeper with LS."""
    numbers = []
    for row in rows:
        if row["role"] == "teacher":
            for epoch in range(0, 31, 2):
                rise = 3.2 * (1 - math.exp(-epoch / 2))
                value = rise - (0.06 + 0.2 * row["label_smoothing"]) * max(epoch - 5, 0) + 0.05 * row["seed"]
                extra = {"epoch": epoch, "metric": "mutual_information", "samples": samples, "value": value}
                numbers.append(row | extra)
    return pd.DataFrame(numbers)


def clusters(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Dc grows with LS."""
    numbers = []
    for row in rows:
        for split in ("train", "val", "test"):
            grown = 1.0 if row["label_smoothing"] else 0.0
            for metric, value in (
                ("D1", 12.0),
                ("D2", 11.5),
                ("Dc", 5.0 + grown),
                ("spread", 1.3),
                ("D1_plane", 11.9),
                ("D2_plane", 11.4),
                ("Dc_plane", 4.6 + grown),
            ):
                extra = {"split": split, "metric": metric, "classes": "3|9|6", "value": value + 0.1 * row["seed"]}
                numbers.append(row | extra)
    return pd.DataFrame(numbers)


def probabilities(rows: list[dict[str, Any]], temperatures=(1.0, 5.0, 10.0, 20.0)) -> pd.DataFrame:
    """Class means: softer with LS and with T; neighbours get more."""
    numbers = []
    for row in rows:
        for t in temperatures:
            for split in ("train", "test"):
                for i in range(10):
                    logits = np.array([8.0 if i == j else 2.0 * (abs(i - j) == 1) for j in range(10)])
                    logits = logits * (0.5 if row["label_smoothing"] else 1.0) + 0.02 * row["seed"] * np.arange(10)
                    p = np.exp(logits / t) / np.exp(logits / t).sum()
                    for j in range(10):
                        extra = {"split": split, "temperature_at": t, "class": CLASSES[i], "predicted": CLASSES[j]}
                        numbers.append(row | extra | {"value": float(p[j])})
    return pd.DataFrame(numbers)


def history(rows: list[dict[str, Any]], epochs: int = 30) -> pd.DataFrame:
    """Loss falls to a level that is higher with LS."""
    random = np.random.default_rng(4)
    numbers = []
    for row in rows:
        for epoch in range(epochs):
            loss = 0.1 + 2 * row["label_smoothing"] + 1.5 * math.exp(-epoch / 5)
            top1 = 0.95 - 0.5 * math.exp(-epoch / 4) + random.normal(0, 0.003)
            known = {"train_cross_entropy": loss + 3 * row["label_smoothing"]} if row["role"] == "student" else {}
            for metric, value in ({"train_loss": loss, "val_top1": top1, "lr": 0.1} | known).items():
                numbers.append(row | {"epoch": epoch, "metric": metric, "value": value})
    return pd.DataFrame(numbers)


def complexity(names=("resnet8-w16", "resnet8-w4", "resnet18", "mobilenet_v2")) -> pd.DataFrame:
    """Counts; two of the networks are the paper's."""
    counts = {"resnet18": (11_689_512, 1_819_066_368), "mobilenet_v2": (3_504_872, 314_000_000)}
    numbers = []
    for i, name in enumerate(names):
        parameters, flops = counts.get(name, (78_042 // (1 + 14 * i), 12_501_632 // (1 + 13 * i)))
        numbers.append({"model": name, "parameters": parameters, "image": "3x224x224"})
        numbers[-1] |= {"multiply_adds": flops, "flops": flops + 1_000_000}
    return pd.DataFrame(numbers)


def data_card() -> pd.DataFrame:
    """The cards of the paper's ImageNet-LT, as this code reads it, and of letters with a tail."""
    ours = {"groups": 9, "property": "long-tailed, 1:50", "taken": 540, "val": 0, "train": 3600, "test": 3840}
    ours |= {"dataset": "glyphs-tail", "classes": 64, "largest": 170, "smallest": 3, "imbalance": 170 / 3}
    theirs = {"groups": 191, "property": "long-tailed", "taken": 0, "val": 20000, "train": 115846, "test": 50000}
    theirs |= {"dataset": "imagenet_lt", "classes": 1000, "largest": 1280, "smallest": 5, "imbalance": 256.0}
    return pd.DataFrame([ours | {"head": 12, "rare": 20}, theirs | {"head": 385, "rare": 136}])


OF_CLASSES = {"few": (10, 500, 500), "more": (100, 50, 50), "tail_few": (10, 900, 9), "tail_more": (100, 90, 1)}


def class_gains(rows: list[dict[str, Any]], per_decade: float = 1.0, tail: float = 2.0) -> dict[str, pd.DataFrame]:
    """The families of `classes_gain`: LS gains 3 points on 10 classes, less by `per_decade` and by `tail`."""
    random = np.random.default_rng(8)
    accuracies, sizes = [], []
    for dataset, (classes, largest, smallest) in OF_CLASSES.items():
        for row in rows:
            own = row | {"dataset": dataset, "run": f"{dataset}/{row['run']}", "teacher": row["teacher"] and "t"}
            gain = 3 - per_decade * math.log10(classes / 10) - tail * (largest > smallest)
            value = 0.7 + gain / 100 * (row["label_smoothing"] > 0) + random.normal(0, 0.001)
            accuracies.append(own | {"split": "test", "metric": "top1", "k": 1, "value": value})
            images = classes * (largest + smallest) // 2
            sizes.append(own | {"classes": classes, "train_images": images, "largest": largest, "smallest": smallest})
    return {"accuracy": pd.DataFrame(accuracies), "class_sizes": pd.DataFrame(sizes)}


def several_teachers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """These runs, and those of the same networks whose teachers trained longer."""
    longer = []
    for row in rows:
        if row["role"] != "baseline":
            own = {"lineage": "digits/resnet8-w16/long", "run": f"long/{row['run']}"}
            own |= {"teacher": f"long/{row['teacher']}"} if row["teacher"] else {"recipe": "long"}
            longer.append(row | own)
    return [*rows, *longer]


SMOOTHINGS = (0.05, 0.1, 0.3)


def without_teachers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The network alone, the same with a virtual teacher, and with each of some smoothings."""
    alone = [row for row in rows if row["role"] == "baseline"]
    variant = "tf_kd_reg-T20-w0.1"
    virtual = [row | {"group": "virtual", "variant": variant, "run": f"{row['run']}-{variant}"} for row in alone]
    smoothed = [
        row | {"group": "lsr", "label_smoothing": alpha, "run": f"{row['run']}-ls{alpha:g}"}
        for row in alone
        for alpha in SMOOTHINGS
    ]
    return [*alone, *virtual, *smoothed]


def teacher_accuracy(rows: list[dict[str, Any]], acc: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of each student's teacher, under the student's name."""
    known = acc[acc["metric"] == "top1"].set_index(["run", "split"])["value"]
    students = [row for row in rows if row["role"] == "student"]
    numbers = [
        row | {"split": split, "metric": "top1", "value": known[row["teacher"], split]}
        for row in students
        for split in ("val", "test")
    ]
    return pd.DataFrame(numbers)


def frames_for(kind: str, **how: Any) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """The frames of a figure kind and its options, as in the papers' targets."""
    rows = runs(**how)
    label_only = [row for row in rows if row["role"] == "teacher"]
    acc, proj = accuracy(rows), projection([r for r in rows if r["role"] != "baseline"])
    if kind == "gamma_curve":
        rows = runs(alphas=(0.0, 0.15, 0.3, 0.45, 0.6, 0.75), temperatures=(1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 16.0), **how)
        alone = [row | {"label_smoothing": a} for row in rows if row["role"] == "baseline" for a in (0.0, 0.15, 0.3)]
        rows = [row for row in rows if row["role"] != "baseline"] + alone
        t = (1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 16.0)
        return {"accuracy": accuracy(rows), "smoothness": smoothness(rows, t)}, {
            "study": "muller2019",
            "figure": "fig5",
        }
    teachers, virtual = projection(label_only), [r for r in without_teachers(rows) if r["group"] == "virtual"]
    known: dict[str, tuple[dict[str, pd.DataFrame], dict[str, Any]]] = {
        "bleu_curves": (
            {"bleu_history": bleu_history(rows)},
            {"study": "shen2021", "figure": "fig7", "temperatures": [1.0]},
        ),
        "decoding": (
            {"bleu": bleu(label_only, DECODED), "next_token": next_token(label_only, DECODED)},
            {"study": "muller2019", "figure": "fig4"},
        ),
        "token_calibration_table": (
            {"next_token": next_token(label_only, DECODED)},
            {"study": "muller2019", "figure": "table3"},
        ),
        "token_reliability": (
            {"next_token_reliability": reliability(label_only), "next_token": next_token(label_only, DECODED)},
            {"study": "muller2019", "figure": "fig3"},
        ),
        "truncation": (truncated(rows), {"study": "nmt_truncation", "figure": "truncation"}),
        "accuracy_table": ({"accuracy": acc}, {"study": "shen2021", "figure": "table2"}),
        "calibration_table": ({"calibration": calibration(label_only)}, {"study": "muller2019", "figure": "table3"}),
        "classes_gain": (
            class_gains([row for row in rows if row["temperature"] != 64 and row["temperature"] != 3]),
            {"study": "shen2021", "figure": "fig9"},
        ),
        "teacher_student": (
            {"accuracy": accuracy(several_teachers(rows))},
            {"study": "shen2021", "figure": "table8", "temperatures": [1.0]},
        ),
        "clusters": (
            {"projection": teachers, "clusters": clusters(label_only)},
            {"study": "shen2021", "figure": "fig1"},
        ),
        "complexity": ({"complexity": complexity()}, {"study": "yuan2020", "figure": "table3"}),
        "data_card": ({"data_card": data_card()}, {"study": "shen2021", "figure": "table5"}),
        "curves": ({"history": history(rows)}, {"study": "shen2021", "figure": "fig5", "temperatures": [1.0]}),
        "diffusion": ({"diffusion": diffusion(rows)}, {"study": "chandrasegaran2022", "figure": "eta"}),
        "error_table": ({"accuracy": acc}, {"study": "muller2019", "figure": "mnist"}),
        "grid": ({"accuracy": acc}, {"study": "chandrasegaran2022", "figure": "gridA"}),
        "information": ({"information": information(rows)}, {"study": "muller2019", "figure": "fig6"}),
        "inter_stability": (
            {"stability": stability(label_only), "accuracy": acc[acc["role"] == "teacher"]},
            {"study": "shen2021", "figure": "table10"},
        ),
        "probabilities": ({"probabilities": probabilities(label_only)}, {"study": "shen2021", "figure": "fig4"}),
        "projection": ({"projection": proj}, {"study": "chandrasegaran2022", "figure": "projection"}),
        "projection_muller": ({"projection": teachers}, {"study": "muller2019", "figure": "fig1"}),
        "reliability": (
            {"reliability": reliability(label_only), "calibration": calibration(label_only)},
            {"study": "muller2019", "figure": "fig2"},
        ),
        "settings": (
            {"accuracy": accuracy([*rows, *virtual]), "teacher_accuracy": teacher_accuracy(rows, acc)},
            {"study": "yuan2020", "figure": "table1"},
        ),
        "best_smoothing": (
            {"accuracy": accuracy(without_teachers(rows))},
            {"study": "yuan2020", "figure": "table4"},
        ),
        "smoothed_loss": ({}, {"study": "shen2021", "figure": "fig3"}),
        "soft_targets": ({"probabilities": probabilities(label_only)}, {"study": "yuan2020", "figure": "figS1"}),
        "stability": (
            {"stability": stability(label_only), "accuracy": acc[acc["role"] == "teacher"]},
            {"study": "shen2021", "figure": "table1"},
        ),
    }
    frames, options = known[kind]
    return frames, options | {"classes": SHOWN} if "project" in kind or kind == "clusters" else options
