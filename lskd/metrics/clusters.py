"""Distances between class clusters (Shen 2021, figure 1), two similar classes a, b and a dissimilar one c.

The paper draws them without a formula. Here they lie between class means, of penultimate features and, with the suffix
_plane, of their projections on Mueller's plane through the three templates.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from lskd.errors import UserError
from lskd.metrics.classwise import class_moments
from lskd.metrics.inputs import Batch, Row, RunData
from lskd.metrics.projection import Plane, muller_plane, templates, with_classes


def cluster_distances(batches: Iterable[Batch], labels: list[int], classes: int) -> dict[str, float]:
    """D1 = |m_a - m_c|, D2 = |m_b - m_c|, Dc = |m_a - m_b|, and spread, in the features' own unit.

    Batches of labels [B] and vectors [B, H]; `labels` are of a, b, c. The spread is the root mean square distance of a
    vector from its own class's mean, averaged over the three classes. One pass; memory does not grow with the samples.
    Raises UserError where one of the three has no sample.
    """
    count_k, mean_kh, scatter_k = class_moments(batches, classes)
    if (count_k[labels] == 0).any():
        raise UserError("clusters: one of the three classes has no image in this split; choose others")
    a, b, c = mean_kh[labels]
    return {
        "D1": float(np.linalg.norm(a - c)),
        "D2": float(np.linalg.norm(b - c)),
        "Dc": float(np.linalg.norm(a - b)),
        "spread": float(np.sqrt(scatter_k[labels] / count_k[labels]).mean()),
    }


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, classes "a|b|c", metric, value): D1, D2, Dc and spread, in feature space and (_plane) projected."""
    rows = []
    for run, labels in with_classes(runs, options):
        plane = muller_plane(templates(run.head(), labels))
        for split in ("train", "val"):
            spaces = {"": run.features(split), "_plane": _projected(run.features(split), plane)}
            for suffix, batches in spaces.items():
                distances = cluster_distances(batches, labels, len(run.classes))
                own = run.row | {"split": split, "classes": "|".join(run.classes[label] for label in labels)}
                rows += [own | {"metric": name + suffix, "value": value} for name, value in distances.items()]
    return rows


def _projected(batches: Iterable[Batch], plane: Plane) -> Iterator[Batch]:
    for labels_n, features_nh in batches:
        yield labels_n, plane.project(features_nh)
