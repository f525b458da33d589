"""Chandrasegaran 2022's diffusion index eta: how far classes move between students distilled at T1 and at T2.

The talk says neither the layer nor what a "normalized distance" is. Here centroids are class means of penultimate
features, the layer that it projects, and each normalisation is a row of its own; a distance is Euclidean, divided by
    mean_norm      the mean distance between all pairs of that student's centroids (the default)
    mean_distance  the mean distance from the target's centroid to the others of that student
    feature_norm   the mean norm of that student's features
    none           1
    unit           1, with each feature vector scaled to norm 1 before the class means are taken
eta is a fraction, at least -1 for any distance. The talk prints values down to -4.618, so not this fraction; its unit
is not said.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.special import softmax

from lskd.errors import UserError
from lskd.metrics.classwise import class_moments
from lskd.metrics.inputs import Array, Batch, Row, RunData
from lskd.metrics.probabilities import class_means

NORMALISATIONS = ("mean_norm", "mean_distance", "feature_norm", "none", "unit")
SAME = (
    "dataset",
    "teacher",
    "model",
    "recipe",
    "soft_weight",
    "variant",
    "seed",
    "student",
)  # of the students at T1 and T2


class Centroids(NamedTuple):
    """Class means of features [K, H], class means of unit-norm features [K, H], and the mean norm of the features."""

    mean_kh: Array
    unit_kh: Array
    norm: float


def centroids(batches: Iterable[Batch], classes: int) -> Centroids:
    """Centroids of batches of labels [B] and features [B, H], in one pass whose memory does not grow with samples.

    A zero vector stays zero when scaled to norm 1. Raises UserError where a class has no sample.
    """
    count_k, both_kh, _ = class_moments(_with_units(batches), classes)
    if (count_k == 0).any():
        raise UserError(f"diffusion: class {int(count_k.argmin())} has no image in this split; give it some")
    size = both_kh.shape[1] // 2
    norm = float(count_k @ both_kh[:, -1] / count_k.sum())
    return Centroids(both_kh[:, :size], both_kh[:, size:-1], norm)


def _with_units(batches: Iterable[Batch]) -> Iterator[Batch]:
    for labels_n, features_nh in batches:
        norm_n1 = np.linalg.norm(features_nh, axis=1, keepdims=True)
        unit_nh = features_nh / np.where(norm_n1 > 0, norm_n1, 1)
        yield labels_n, np.hstack([features_nh, unit_nh, norm_n1])


def distances(centroids: Centroids, normalisation: str) -> Array:
    """Distances [K, K] between centroids; row c is of target class c. See the module for the normalisations."""
    flat = pdist(centroids.unit_kh if normalisation == "unit" else centroids.mean_kh)
    distance_kk = squareform(flat)
    if normalisation == "mean_norm":
        return _over(distance_kk, flat.mean())
    if normalisation == "mean_distance":
        return _over(distance_kk, distance_kk.sum(1, keepdims=True) / (len(distance_kk) - 1))
    return _over(distance_kk, centroids.norm) if normalisation == "feature_norm" else distance_kk


def eta(first_kk: Array, second_kk: Array, target: int, members: list[int]) -> float:
    """eta = 1/|S| sum_{k in S} (d2(target, k) - d1(target, k)) / d1(target, k); no unit (Chandrasegaran 2022).

    Distances [K, K] at T1 and at T2; `members` are the labels in S. NaN where a distance at T1 is 0.
    """
    return float(changes(first_kk, second_kk)[target, members].mean())


def changes(first_kk: Array, second_kk: Array) -> Array:
    """(d2 - d1) / d1 of each two classes, whose means over a set are eta; distances [K, K] at T1 and at T2."""
    return _over(second_kk - first_kk, first_kk)


def _over(above: Array, below: Array | float) -> Array:
    """A quotient that is NaN where its divisor is 0."""
    return above / np.where(np.equal(below, 0), np.nan, below)


def most_confused(means_kk: Array, target: int) -> list[int]:
    """Labels of the (K - 1) // 4 classes, from 1 to 5, most probable on images of `target`; class means [K, K]."""
    number = min(5, max(1, (len(means_kk) - 1) // 4))
    order = np.argsort(-means_kk[target], kind="stable")
    return [int(k) for k in order if k != target][:number]


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, t1, t2, target, set, normalisation, value, classes, similar, source) of pairs of students.

    A row has the identity of the student at t2; the one at t1 differs in its temperature alone. Set S1 holds the
    classes similar to the target (options.similar, else those that teachers confuse with it), S2 all others. Unless
    given, t1 is the temperature nearest to 1 and t2 the one above it nearest to 3. No rows where eta has no meaning and
    no option asks for it: fewer than 3 classes, or no student at two temperatures. Raises UserError for unknown classes
    or temperatures.
    """
    students = [run for run in runs if run.teacher is not None and not np.isnan(run.row["temperature"])]
    asked = {"t1", "t2", "targets", "similar"} & set(options)
    few = len({run.row["temperature"] for run in students}) < 2 or any(len(run.classes) < 3 for run in students)
    if not students or (few and not asked):
        return []
    t1, t2 = temperatures({float(run.row["temperature"]) for run in students}, options)
    rows: list[Row] = []
    confusion: dict[tuple[str, str], tuple[Array, str]] = {}
    paired = pairs(students, t1, t2)
    if not paired and asked:
        raise UserError(f"diffusion: no teacher has the same student at both T {t1:g} and T {t2:g}; name such groups")
    for first, second in paired:
        kind = (second.row["dataset"], second.row["teacher_model"])
        if kind not in confusion:
            confusion[kind] = teacher_confusion([run for run in students if _kind(run) == kind])
        sets = similar_sets(second, options, *confusion[kind])
        for split in ("train", "val"):
            both = [centroids(run.features(split), len(run.classes)) for run in (first, second)]
            own = second.row | {"split": split, "t1": t1, "t2": t2}
            rows += [own | row for row in _rows(second.classes, both[0], both[1], sets)]
    return rows


def temperatures(available: set[float], options: Row) -> tuple[float, float]:
    """t1 and t2 among the students' temperatures; UserError where a given one is not there, or t2 <= t1."""
    known = ", ".join(f"{t:g}" for t in sorted(available))
    if len(available) < 2:
        raise UserError(f"diffusion: all students have temperature {known}; it takes two temperatures to compare")
    for key in ("t1", "t2"):
        if key in options and options[key] not in available:
            raise UserError(f"{key}: no student has temperature {options[key]:g}; there are {known}")
    last = options.get("t2", max(available))
    below = sorted(t for t in available if t < last)
    t1 = options["t1"] if "t1" in options else min(below, key=lambda t: abs(t - 1), default=last)
    above = sorted(t for t in available if t > t1)
    t2 = options["t2"] if "t2" in options else min(above, key=lambda t: abs(t - 3), default=t1)
    if t2 <= t1:
        raise UserError(f"t2: found {t2:g}, not above t1 {t1:g}; there are {known}")
    return float(t1), float(t2)


def pairs(students: list[RunData], t1: float, t2: float) -> list[tuple[RunData, RunData]]:
    """Students at t1 and t2 that are otherwise the same; of several at t1, the one in the group of that at t2."""
    pairs = []
    for second in students:
        alike = [run for run in students if run.row["temperature"] == t1 and _same(run, second)]
        if second.row["temperature"] == t2 and alike:
            pairs.append((min(alike, key=lambda run: run.row["group"] != second.row["group"]), second))
    return pairs


def teacher_confusion(students: list[RunData]) -> tuple[Array, str]:
    """Mean class-mean probabilities [K, K] on train at T = 1 of the students' teachers, and which: those at alpha 0.

    All teachers count where none was trained without label smoothing. One mean over all seeds, so that the sets are
    the same for all of them.
    """
    hard = [run for run in students if run.row["label_smoothing"] == 0]
    of = {run.row["teacher"]: run.teacher for run in hard or students}
    means = []
    for teacher in of.values():
        assert teacher is not None
        labels_n, logits_nk = teacher.logits("train")
        means.append(class_means(labels_n, softmax(logits_nk, axis=1)))
    which = "teachers without label smoothing" if hard else "teachers, all with label smoothing"
    return np.mean(means, axis=0), f"measured: most probable wrong classes on train by {which}"


def similar_sets(run: RunData, options: Row, confusion_kk: Array, source: str) -> dict[int, tuple[list[int], str]]:
    """For each target's label: the labels in S1, and where S1 comes from. Raises UserError for unknown classes."""
    if len(run.classes) < 3:
        raise UserError(f"diffusion: found {len(run.classes)} classes in {run.row['dataset']}, it takes 3 or more")
    given = {}
    for target, names in (options.get("similar") or {}).items():
        key = f"similar.{target}"
        label = run.class_index(target, "similar")
        given[label] = [run.class_index(name, key) for name in dict.fromkeys(names)]
        if label in given[label] or not 0 < len(given[label]) < len(run.classes) - 1:
            raise UserError(f"{key}: found {', '.join(names)}; name 1 or more classes, not all and not {target} itself")
    has_relatives = any(_relatives(run.families, label) for label in range(len(run.families)))
    similar_sets = {}
    for label in [run.class_index(name, "targets") for name in options.get("targets") or run.classes]:
        if label in given:
            similar_sets[label] = (given[label], "given in the config")
        elif has_relatives and not given:
            if relatives := _relatives(run.families, label):
                similar_sets[label] = (relatives, "known: of the target's family")
        else:
            similar_sets[label] = (most_confused(confusion_kk, label), source)
    if not similar_sets:
        raise UserError("targets: none of them has a relative in the data; name others, or their similar classes")
    return similar_sets


def _relatives(families: list[str], label: int) -> list[int]:
    """The other classes of a class's family; none where that is all classes, which leaves S2 empty."""
    relatives = [k for k, family in enumerate(families) if family == families[label] and k != label]
    return relatives if len(relatives) < len(families) - 1 else []


def _rows(
    names: list[str], first: Centroids, second: Centroids, sets: dict[int, tuple[list[int], str]]
) -> Iterator[Row]:
    for normalisation in NORMALISATIONS:
        change_kk = changes(distances(first, normalisation), distances(second, normalisation))
        for target, (similar, source) in sets.items():
            others = [k for k in range(len(names)) if k != target and k not in similar]
            about = {"target": names[target], "similar": "|".join(names[k] for k in similar), "source": source}
            for name, members in (("S1", similar), ("S2", others)):
                value = float(change_kk[target, members].mean())
                how = {"set": name, "normalisation": normalisation}
                yield about | how | {"value": value, "classes": len(members)}


def _kind(run: RunData) -> tuple[str, str]:
    return run.row["dataset"], run.row["teacher_model"]


def _same(one: RunData, two: RunData) -> bool:
    return all(one.row[key] == two.row[key] for key in SAME)
