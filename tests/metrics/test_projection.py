import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from lskd.errors import UserError
from lskd.metrics.projection import (
    chandrasegaran_plane,
    fewer,
    first_of_each,
    measure,
    muller_plane,
    similar_pair_and_other,
    templates,
    turned,
    with_one,
)
from tests.metrics.made import CLASSES, quick, study

SEEDS = st.integers(0, 2**32 - 1)


def made(seed, width=6, samples=30):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(3, width + 1)), draw.normal(size=(samples, width))


def test_templates_take_each_class_its_own_bias():
    weight_kh, bias_k = np.arange(15.0).reshape(5, 3), np.arange(5.0) * 100
    assert templates((weight_kh, bias_k), [3, 0, 4])[:, -1].tolist() == [300, 0, 400]
    assert templates((weight_kh, bias_k), [3, 0, 4])[:, :-1].tolist() == weight_kh[[3, 0, 4]].tolist()


def test_mullers_coordinates_are_those_of_the_nearest_point_in_the_plane():
    """Least squares for the foot of the perpendicular, without an orthonormal basis."""
    rows_3h, features_nh = made(1)
    plane = muller_plane(rows_3h)
    span_h2 = np.stack([rows_3h[1] - rows_3h[0], rows_3h[2] - rows_3h[0]], axis=1)
    steps_2n = np.linalg.lstsq(span_h2, (with_one(features_nh) - rows_3h[0]).T, rcond=None)[0]
    feet_nh = rows_3h[0] + (span_h2 @ steps_2n).T
    found_n2 = plane.project(features_nh)
    np.testing.assert_allclose(plane.origin + found_n2 @ plane.basis.T, feet_nh, atol=1e-9)
    np.testing.assert_allclose(pdist(found_n2), pdist(feet_nh), atol=1e-9)


@quick
@given(SEEDS)
def test_mullers_basis_is_orthonormal_and_keeps_the_templates_triangle(seed):
    rows_3h, _ = made(seed)
    plane = muller_plane(rows_3h)
    np.testing.assert_allclose(plane.basis.T @ plane.basis, np.eye(2), atol=1e-9)
    corners_32 = (rows_3h - plane.origin) @ plane.basis
    np.testing.assert_allclose(pdist(corners_32), pdist(rows_3h), atol=1e-9)
    np.testing.assert_allclose(corners_32[0], 0, atol=1e-12)
    assert corners_32[1, 0] > 0
    assert corners_32[1, 1] == pytest.approx(0, abs=1e-9)
    assert corners_32[2, 1] > 0


@quick
@given(SEEDS)
def test_distances_in_mullers_plane_do_not_depend_on_the_order_of_classes(seed):
    rows_3h, features_nh = made(seed)
    expected = pdist(muller_plane(rows_3h).project(features_nh))
    for order in itertools.permutations(range(3)):
        np.testing.assert_allclose(pdist(muller_plane(rows_3h[list(order)]).project(features_nh)), expected, atol=1e-8)


@pytest.mark.parametrize("rows", [[[0, 0], [1, 1], [2, 2]], [[1, 0], [1, 0], [0, 1]], [[0, 1], [1, 0], [0, 1]]])
def test_templates_on_one_line_are_told(rows):
    with pytest.raises(UserError, match="lie on one line"):
        muller_plane(np.array(rows, dtype=float))


def test_chandrasegarans_coordinates_are_numpys_qr_and_scikit_learns_pca():
    rows_3h, features_nh = made(2)
    _, others_nh = made(3)
    q_h3 = np.linalg.qr(rows_3h.T)[0]
    pca = PCA(2).fit(with_one(features_nh) @ q_h3)
    plane = chandrasegaran_plane(rows_3h, features_nh)
    for points_nh in (features_nh, others_nh):  # fitted on the first, reused on the second
        theirs_n2, ours_n2 = pca.transform(with_one(points_nh) @ q_h3), plane.project(points_nh)
        signs_2 = np.sign((theirs_n2 * ours_n2).sum(0))
        np.testing.assert_allclose(ours_n2, theirs_n2 * signs_2, atol=1e-9)


@quick
@given(SEEDS)
def test_order_of_samples_and_size_of_templates_do_not_change_algorithm_1(seed):
    rows_3h, features_nh = made(seed)
    draw = np.random.default_rng(seed)
    expected_n2 = chandrasegaran_plane(rows_3h, features_nh).project(features_nh)
    mixed = chandrasegaran_plane(rows_3h, features_nh[draw.permutation(30)])
    np.testing.assert_allclose(mixed.project(features_nh), expected_n2, atol=1e-8)
    scaled = chandrasegaran_plane(rows_3h * draw.uniform(0.1, 10, (3, 1)), features_nh)
    np.testing.assert_allclose(scaled.project(features_nh), expected_n2, atol=1e-8)
    np.testing.assert_allclose(expected_n2.mean(0), 0, atol=1e-9)
    assert expected_n2[:, 0].var() >= expected_n2[:, 1].var()


@quick
@given(SEEDS)
def test_a_turned_plane_has_the_classes_in_their_places_and_all_distances(seed):
    rows_3h, features_nh = made(seed)
    plane = chandrasegaran_plane(rows_3h, features_nh)
    means_3h = features_nh[:3] * 2
    fixed = turned(plane, means_3h)
    first, second, third = fixed.project(means_3h)
    assert first[0] < second[0] and first[1] == pytest.approx(second[1], abs=1e-9) and third[1] > first[1]
    np.testing.assert_allclose(pdist(fixed.project(features_nh)), pdist(plane.project(features_nh)), atol=1e-9)
    mirrored = plane._replace(basis=plane.basis @ np.array([[0.6, 0.8], [0.8, -0.6]]))
    np.testing.assert_allclose(turned(mirrored, means_3h).basis, fixed.basis, atol=1e-9)


def test_a_plane_stays_where_two_means_are_one_or_a_class_has_none():
    plane = chandrasegaran_plane(*made(7))
    for means_3h in (np.ones((3, 6)), np.full((3, 6), np.nan)):
        assert turned(plane, means_3h) is plane


def test_too_few_features_are_told():
    with pytest.raises(UserError, match="found 2 train images"):
        chandrasegaran_plane(made(4)[0], made(4)[1][:2])


def test_the_first_samples_of_each_class_are_kept():
    labels_n = np.array([0, 1, 1, 2, 0, 1, 0, 0, 2])
    batches = [
        (labels_n[i : i + 2], labels_n[i : i + 2, None] + 10.0 * np.arange(i, i + 2)[: 9 - i, None])
        for i in range(0, 9, 2)
    ]
    indices, found, features = first_of_each(iter(batches), [0, 2], 2)
    assert indices.tolist() == [0, 3, 4, 8]
    assert found.tolist() == [0, 2, 0, 2]
    assert features[:, 0].tolist() == [0, 32, 40, 82]


def test_fewer_keeps_the_first_of_each_class():
    images = np.array([4, 5, 7, 9]), np.array([0, 2, 0, 2]), np.eye(4)
    indices, labels_n, features_nh = fewer(images, 1)
    assert (indices.tolist(), labels_n.tolist(), features_nh.tolist()) == ([4, 5], [0, 2], np.eye(4)[:2].tolist())


def test_reading_stops_when_all_are_found():
    def batches():
        yield np.array([0, 1, 2]), np.eye(3)
        raise AssertionError("read on")

    assert first_of_each(batches(), [0, 1, 2], 1)[0].tolist() == [0, 1, 2]


def test_a_split_without_the_classes_is_told():
    with pytest.raises(UserError, match="no image of the three classes"):
        first_of_each([(np.array([4]), np.eye(1))], [0, 1, 2], 1)


def test_similar_pair_and_the_other_by_a_loop():
    weight_kh = np.random.default_rng(5).normal(size=(7, 4))
    cosine = {
        (i, j): weight_kh[i] @ weight_kh[j] / np.linalg.norm(weight_kh[i]) / np.linalg.norm(weight_kh[j])
        for i in range(7)
        for j in range(7)
    }
    pair = max(((i, j) for i in range(7) for j in range(i + 1, 7)), key=cosine.__getitem__)
    rest = [k for k in range(7) if k not in pair]
    other = min(rest, key=lambda k: max(cosine[k, pair[0]], cosine[k, pair[1]]))
    assert similar_pair_and_other(weight_kh) == [*pair, other]


def test_measure_projects_every_split_with_trains_plane(tmp_path):
    run = study(tmp_path, each=60)[1]
    names = ["bee", "elk", "cat"]
    rows = measure([run], {"classes": names})
    numbers = {("muller", "train"): 100, ("muller", "val"): 100}  # Mueller 2019, A.1 and A.2
    numbers |= {("chandrasegaran", "train"): 150, ("chandrasegaran", "val"): 50}
    for (method, split), number in numbers.items():
        own = [row for row in rows if row["split"] == split and row["method"] == method]
        assert [sum(row["class"] == name for row in own) for name in names] == [number] * 3
    labels = [CLASSES.index(name) for name in names]
    rows_3h = templates(run.head(), labels)
    _, labels_n, train_nh = first_of_each(run.features("train"), labels, 150)
    _, features_nh = (np.concatenate(parts) for parts in zip(*run.features("val"), strict=True))
    means_3h = np.stack([train_nh[labels_n == label].mean(0) for label in labels])
    algorithm_1 = turned(chandrasegaran_plane(rows_3h, train_nh), means_3h)
    planes = {"muller": muller_plane(rows_3h), "chandrasegaran": algorithm_1}
    for row in rows:
        if row["split"] == "val":
            expected = planes[row["method"]].project(features_nh[row["sample"]][None])[0]
            assert (row["x"], row["y"]) == pytest.approx(tuple(expected), abs=1e-9)
    corners = [(row["x"], row["y"]) for row in rows if row["split"] == "template"]
    np.testing.assert_allclose(pdist(np.array(corners)), pdist(rows_3h), atol=1e-9)


def test_all_runs_show_the_same_classes(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs, {})
    first = {CLASSES[label] for label in similar_pair_and_other(runs[0].head()[0])}
    for run in runs:
        assert {row["class"] for row in rows if row["run"] == run.row["run"]} == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["ant", "bee"]}, "classes: found ant, bee; name three"),
        ({"classes": ["ant", "bee", "ant"]}, "name three"),
        ({"classes": ["ant", "bee", "cta"]}, "classes: no class 'cta' in made; nearest: cat"),
    ],
)
def test_wrong_classes_are_told(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        measure(study(tmp_path), options)


def test_two_classes_are_too_few(tmp_path):
    with pytest.raises(UserError, match="found 2 in made, a projection takes 3"):
        measure(study(tmp_path, classes=["cat", "dog"]), {})
