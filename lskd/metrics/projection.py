"""Penultimate features in two dimensions: Mueller 2019, section 2, and Chandrasegaran 2022, Algorithm 1.

Both look at three classes, at features with a 1 appended, and at the classes' templates [w_k | b_k].
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lskd.errors import UserError
from lskd.metrics.classwise import class_moments
from lskd.metrics.inputs import Array, Batch, Row, RunData

POINTS = {  # of each class: Mueller 2019, A.1 and A.2; Chandrasegaran's code
    "muller": {"train": 100, "val": 100},
    "chandrasegaran": {"train": 150, "val": 50},
}


class Plane(NamedTuple):
    """An affine map to the plane: (features with a 1 appended - origin [H + 1]) @ basis [H + 1, 2]."""

    origin: Array
    basis: Array

    def project(self, features_nh: Array) -> Array:
        """Coordinates [N, 2] of features [N, H], in the features' own unit."""
        return (with_one(features_nh) - self.origin) @ self.basis


def with_one(features_nh: Array) -> Array:
    """Features [N, H] with a 1 appended for the bias: [N, H + 1]."""
    return np.hstack([features_nh, np.ones((len(features_nh), 1))])


def templates(head: Batch, labels: list[int]) -> Array:
    """Templates [3, H + 1]: each class's weights [K, H] with its own bias [K] appended (Mueller 2019, section 1.1)."""
    weight_kh, bias_k = head
    return np.hstack([weight_kh, bias_k[:, None]])[labels]


def muller_plane(templates_3h: Array) -> Plane:
    """The plane through three templates [3, H + 1] (Mueller 2019, section 2).

    Origin w1; the x axis points to w2, and w3 lies at y > 0, so the result has no free sign. Raises UserError where the
    templates lie on one line.
    """
    first, second, third = templates_3h
    x = second - first
    across = third - first
    length = np.linalg.norm(x)
    y = across - x * (x @ across) / max(length**2, np.finfo(float).tiny)
    if not length or np.linalg.norm(y) <= 1e-9 * np.linalg.norm(across):
        raise UserError("classes: the templates of these three classes lie on one line; choose other classes")
    return Plane(first, np.stack([x / length, y / np.linalg.norm(y)], axis=1))


def chandrasegaran_plane(templates_3h: Array, features_nh: Array) -> Plane:
    """Algorithm 1 of Chandrasegaran 2022: QR of three templates [3, H + 1], then PCA from 3 to 2 on features [N, H].

    The features are train's; the same plane serves the other splits. Signs are fixed: R's diagonal is positive, and of
    each principal axis the entry largest in size. Raises UserError below 3 features.
    """
    if len(features_nh) < 3:
        raise UserError(f"projection: found {len(features_nh)} train images of the three classes, it takes 3 or more")
    q_h3, r_33 = np.linalg.qr(templates_3h.T)
    q_h3 = q_h3 * np.where(np.diag(r_33) < 0, -1, 1)
    points_n3 = with_one(features_nh) @ q_h3
    centre_3 = points_n3.mean(0)
    axes_23 = np.linalg.svd(points_n3 - centre_3, full_matrices=False)[2][:2]
    largest_2 = np.take_along_axis(axes_23, np.abs(axes_23).argmax(1)[:, None], 1)
    axes_23 = axes_23 * np.where(largest_2 < 0, -1, 1)
    return Plane(q_h3 @ centre_3, q_h3 @ axes_23.T)


def turned(plane: Plane, means_3h: Array) -> Plane:
    """The plane turned in itself, and mirrored, so that three class means [3, H] of features have a fixed place.

    The first class's lies left of the second's at the same height, the third's above: principal axes have no sign, and
    change places where two variances are alike, while distances stay what they are. Unchanged where the first two means
    coincide or a class has no sample (NaN).
    """
    first, second, third = plane.project(means_3h)
    length = np.linalg.norm(second - first)
    if not length > 0:
        return plane
    right = (second - first) / length
    up = np.array([-right[1], right[0]])
    if (third - first) @ up < 0:
        up = -up
    return Plane(plane.origin, plane.basis @ np.stack([right, up], axis=1))


def first_of_each(batches: Iterable[Batch], labels: list[int], number: int) -> tuple[Array, Array, Array]:
    """The first `number` samples of each of three classes: indices [P], labels [P] and features [P, H].

    Holds these alone, whatever the number of samples, and stops reading when it has them. Raises UserError if there
    are none.
    """
    kept: list[tuple[Array, Array, Array]] = []
    left = dict.fromkeys(labels, number)
    start = 0
    for labels_n, features_nh in batches:
        take_n = np.zeros(len(labels_n), dtype=bool)
        for label in labels:
            own = np.flatnonzero(labels_n == label)[: left[label]]
            take_n[own] = True
            left[label] -= len(own)
        if take_n.any():
            kept.append((start + np.flatnonzero(take_n), labels_n[take_n], features_nh[take_n]))
        start += len(labels_n)
        if not any(left.values()):
            break
    if not kept:
        raise UserError("projection: a split has no image of the three classes; choose others")
    indices, kept_labels, features = zip(*kept, strict=True)
    return np.concatenate(indices), np.concatenate(kept_labels), np.concatenate(features)


def fewer(images: tuple[Array, Array, Array], number: int) -> tuple[Array, Array, Array]:
    """Of what `first_of_each` gives, the first `number` of each class."""
    indices, labels_n, features_nh = images
    place_n = np.array([np.count_nonzero(labels_n[:i] == label) for i, label in enumerate(labels_n)])
    return indices[place_n < number], labels_n[place_n < number], features_nh[place_n < number]


def three_classes(run: RunData, first: RunData, options: Row) -> list[int]:
    """The labels of options.classes (similar, similar, dissimilar); else chosen from the last layer of the run `first`.

    Then they are the two classes whose weights have the highest cosine, and the one whose higher cosine to these two is
    lowest. Raises UserError unless there are three different, known classes.
    """
    if len(run.classes) < 3:
        raise UserError(f"classes: found {len(run.classes)} in {run.row['dataset']}, a projection takes 3 or more")
    names = options.get("classes") or []
    if names and len(set(names)) != 3:
        raise UserError(f"classes: found {', '.join(names)}; name three: two similar ones, then a dissimilar one")
    return [run.class_index(name, "classes") for name in names] or similar_pair_and_other(first.head()[0])


def similar_pair_and_other(weight_kh: Array) -> list[int]:
    """Two rows of weights [K, H] with the highest cosine, and the row whose higher cosine to them is lowest."""
    norms_k1 = np.linalg.norm(weight_kh, axis=1, keepdims=True)
    unit_kh = weight_kh / np.where(norms_k1 > 0, norms_k1, 1)
    cosine_kk = unit_kh @ unit_kh.T
    upper = np.where(np.triu(np.ones_like(cosine_kk), 1) > 0, cosine_kk, -np.inf)
    pair = [int(i) for i in np.unravel_index(upper.argmax(), upper.shape)]
    to_pair_k = cosine_kk[pair].max(0)
    to_pair_k[pair] = np.inf
    return [*pair, int(to_pair_k.argmin())]


def with_classes(runs: list[RunData], options: Row) -> Iterator[tuple[RunData, list[int]]]:
    """Each run with the labels of its three classes; the same for all runs on a data set."""
    first: dict[str, RunData] = {}
    for run in runs:
        yield run, three_classes(run, first.setdefault(run.row["dataset"], run), options)


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, method, class, x, y, sample): the first images of each class on train and val, by POINTS.

    Methods muller and chandrasegaran, both fitted on train; the second is turned so that networks can be compared.
    `sample` is the image's index in its split. In Mueller's plane the split "template" has the three templates, with
    sample -1.
    """
    rows = []
    for run, labels in with_classes(runs, options):
        names = {label: run.classes[label] for label in labels}
        most = {split: max(points[split] for points in POINTS.values()) for split in ("train", "val")}
        images = {split: first_of_each(run.features(split), labels, number) for split, number in most.items()}
        rows_3h = templates(run.head(), labels)
        planes = {"muller": muller_plane(rows_3h), "chandrasegaran": _turned_plane(rows_3h, labels, images["train"])}
        for method, plane in planes.items():
            for split, number in POINTS[method].items():
                indices, labels_n, features_nh = fewer(images[split], number)
                points = zip(indices, labels_n, plane.project(features_nh), strict=True)
                rows += [_row(run, split, method, names[label], xy, index) for index, label, xy in points]
        corners = (rows_3h - planes["muller"].origin) @ planes["muller"].basis
        for label, xy in zip(labels, corners, strict=True):
            rows.append(_row(run, "template", "muller", names[label], xy, -1))
    return rows


def _turned_plane(rows_3h: Array, labels: list[int], train: tuple[Array, Array, Array]) -> Plane:
    """Algorithm 1's plane of train images, turned by their class means."""
    _, labels_n, features_nh = fewer(train, POINTS["chandrasegaran"]["train"])
    means_kh = class_moments([(labels_n, features_nh)], max(labels) + 1).mean_kh
    return turned(chandrasegaran_plane(rows_3h, features_nh), means_kh[labels])


def _row(run: RunData, split: str, method: str, name: str, xy: Array, sample: int) -> Row:
    where = {"x": float(xy[0]), "y": float(xy[1]), "sample": int(sample)}
    return run.row | {"split": split, "method": method, "class": name} | where
