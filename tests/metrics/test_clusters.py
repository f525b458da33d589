import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lskd.errors import UserError
from lskd.metrics.clusters import cluster_distances, measure
from lskd.metrics.projection import muller_plane, similar_pair_and_other, templates
from tests.metrics.made import CLASSES, quick, study


def made(seed):
    draw = np.random.default_rng(seed)
    return draw.permutation(np.arange(40) % 4), draw.normal(size=(40, 5))


def test_distances_are_scipys():
    labels_n, features_nh = made(1)
    centres = np.array([features_nh[labels_n == label].mean(0) for label in (2, 0, 3)])
    apart = cdist(centres, centres)
    spread = np.mean(
        [
            np.sqrt(((features_nh[labels_n == y] - c) ** 2).sum(1).mean())
            for y, c in zip((2, 0, 3), centres, strict=True)
        ]
    )
    found = cluster_distances([(labels_n[:7], features_nh[:7]), (labels_n[7:], features_nh[7:])], [2, 0, 3], 4)
    assert found == pytest.approx({"D1": apart[0, 2], "D2": apart[1, 2], "Dc": apart[0, 1], "spread": spread}, abs=1e-9)


@quick
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_order_names_shift_and_rotation_do_not_matter_and_scale_scales(seed, scale):
    labels_n, features_nh = made(seed)
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(40), draw.permutation(4)
    turn_hh = np.linalg.qr(draw.normal(size=(5, 5)))[0]
    moved_nh = scale * (features_nh @ turn_hh) + 3
    found = cluster_distances([(names[labels_n][order], moved_nh[order])], [names[0], names[1], names[2]], 4)
    expected = cluster_distances([(labels_n, features_nh)], [0, 1, 2], 4)
    assert found == pytest.approx({name: scale * value for name, value in expected.items()}, rel=1e-6)


def test_a_class_without_images_is_told():
    with pytest.raises(UserError, match="one of the three classes has no image"):
        cluster_distances([(np.array([0, 1]), np.eye(2))], [0, 1, 2], 3)


def test_measure_gives_feature_space_and_plane(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs, {"classes": ["dog", "elk", "ant"]})
    assert len(rows) == len(runs) * 2 * 8
    assert {row["classes"] for row in rows} == {"dog|elk|ant"}
    run = runs[2]
    found = {r["metric"]: r["value"] for r in rows if r["run"] == run.row["run"] and r["split"] == "val"}
    labels_n, features_nh = (np.concatenate(parts) for parts in zip(*run.features("val"), strict=True))
    dog, elk, ant = (features_nh[labels_n == CLASSES.index(name)] for name in ("dog", "elk", "ant"))
    assert found["D1"] == pytest.approx(np.linalg.norm(dog.mean(0) - ant.mean(0)), abs=1e-6)
    assert found["Dc"] == pytest.approx(np.linalg.norm(dog.mean(0) - elk.mean(0)), abs=1e-6)
    plane = muller_plane(templates(run.head(), [3, 4, 0]))
    apart = plane.project(elk).mean(0) - plane.project(ant).mean(0)
    assert found["D2_plane"] == pytest.approx(np.linalg.norm(apart), abs=1e-6)
    assert found["spread_plane"] < found["spread"]


def test_unless_given_the_first_runs_last_layer_chooses(tmp_path):
    runs = study(tmp_path)
    names = "|".join(CLASSES[label] for label in similar_pair_and_other(runs[0].head()[0]))
    assert {row["classes"] for row in measure(runs, {})} == {names}
