"""Other data sets made of one: some of its classes or images, a long tail, wrong labels.

Each is a function of the labels and the options alone, so that all machines choose the same samples. What thins or
corrupts touches train only: val and test stay as they are. K classes, N samples.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lskd.data.arrays import Arrays, Samples
from lskd.data.class_names import subset_labels
from lskd.data.split import stratified_mask
from lskd.errors import UserError
from lskd.io.seal import file_digest

OPTIONS = (
    "class_subset",
    "split_file",
    "train_images",
    "long_tail",
    "pareto",
    "label_noise",
)  # keys of a data job's spec, of any data set
_ORDER_SEED, _NOISE_SEED = 20202, 20203


def with_classes(data: Arrays, subset: int | list[str] | None) -> Arrays:
    """The classes that `subset` names, or so many spread evenly over all in their order; labels count anew from 0.

    Raises UserError for a class that is not there, or more than there are.
    """
    if subset is None:
        return data
    kept = subset_labels(data.classes, subset)
    new_label_k = np.full(len(data.classes), -1, dtype=np.int64)
    new_label_k[kept] = np.arange(len(kept))

    def of(samples: Samples) -> Samples:
        chosen = samples.where(new_label_k[samples.labels] >= 0)
        return Samples(chosen.images, new_label_k[chosen.labels], chosen.names)

    return Arrays(
        of(data.train),
        of(data.test),
        tuple(data.classes[k] for k in kept),
        None if data.val is None else of(data.val),
        {key: counts for key, counts in data.skipped.items() if key[1] in {data.classes[k] for k in kept}},
        tuple(data.families[k] for k in kept) if data.families else (),
    )


def with_list(data: Arrays, root: Path, split_file: dict[str, str] | None) -> Arrays:
    """The data set with those training images alone that a list below `root` names, one a line, its label after it or
    not; `split_file` holds its "name" and its "digest" at planning.

    Raises UserError for a list that changed, and for a name of no training image.
    """
    if split_file is None:
        return data
    path = root / split_file["name"]
    if file_digest(path) != split_file["digest"]:
        raise UserError(f"{path}: changed since this job was planned; run again")
    known = {name: place for place, name in enumerate(data.train.names)}
    chosen_n = np.zeros(len(data.train), dtype=bool)
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        place = known.get(line, known.get(line.rpartition(" ")[0]))
        if place is None:
            raise UserError(
                f"{path}: line {number}: found {line[:80]!r}, which names no training image of this data set"
            )
        chosen_n[place] = True
    return replace(data, train=data.train.where(chosen_n))


def train_of(samples: Samples, spec: dict[str, Any], classes: int) -> Samples:
    """The training samples as the spec's `train_images`, tail (`long_tail`, `pareto`) and `label_noise` leave them."""
    counts_k = np.bincount(samples.labels, minlength=classes)
    wanted_k = counts_k if spec.get("train_images") is None else np.minimum(counts_k, spec["train_images"])
    if spec.get("long_tail"):
        wanted_k = np.minimum(wanted_k, tail(int(wanted_k.max()), spec["long_tail"], classes))
    if spec.get("pareto"):
        power, least, most = spec["pareto"]
        wanted_k = np.minimum(wanted_k, pareto(power, int(least), int(most), classes))
    if (wanted_k < counts_k).any():
        samples = samples.where(_first_of_each(samples.labels, wanted_k))
    if spec.get("label_noise"):
        samples = Samples(samples.images, noisy(samples.labels, spec["label_noise"], classes), samples.names)
    return samples


def tail(largest: int, ratio: float, classes: int) -> np.ndarray:
    """Images of each class [K] in a long tail: largest * ratio^(-k / (K - 1)), at least 1 (Cui 2019, section 5.1)."""
    k = np.arange(classes)
    return np.maximum(1, np.floor(largest * float(ratio) ** (-k / (classes - 1)) + 1e-9)).astype(np.int64)


def pareto(power: float, least: int, most: int, classes: int) -> np.ndarray:
    """Images of each class [K] by a Pareto law, from `most` (class 0) to `least` (class K - 1).

    x_k = ((k + 1) / (K + 1))^(-1 / power) - 1, the quantiles of the law at expected ranks, stretched to `most` and
    `least`. Liu 2019 ("Large-Scale Long-Tailed Recognition in an Open World", section 4) states power 6, 5 to 1,280
    images and no formula, and publishes 115,846 images of ImageNet's 1,000 classes; this law has 121,937.
    """
    x_k = ((np.arange(classes) + 1) / (classes + 1)) ** (-1 / power) - 1
    return least + np.rint((most - least) * (x_k - x_k[-1]) / (x_k[0] - x_k[-1])).astype(np.int64)


def _first_of_each(labels_n: np.ndarray, wanted_k: np.ndarray) -> np.ndarray:
    """True [N] at the first `wanted_k` of each class in a fixed random order."""
    chosen = np.zeros(len(labels_n), dtype=bool)
    for label, wanted in enumerate(wanted_k.tolist()):
        members = np.flatnonzero(labels_n == label)
        order = np.random.RandomState([_ORDER_SEED, label]).permutation(len(members))
        chosen[members[order[:wanted]]] = True
    return chosen


def noisy(labels_n: np.ndarray, share: float, classes: int) -> np.ndarray:
    """Labels [N] of which a stratified `share` of each class is another class's, each as likely (symmetric noise)."""
    wrong_n = stratified_mask(labels_n, share, _NOISE_SEED)
    steps_n = np.random.RandomState(_NOISE_SEED).randint(1, classes, len(labels_n))
    return np.where(wrong_n, (labels_n + steps_n) % classes, labels_n)
