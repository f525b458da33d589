import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from lskd.errors import UserError
from lskd.metrics.diffusion import NORMALISATIONS, centroids, distances, eta, measure, most_confused, temperatures
from lskd.metrics.probabilities import class_means
from tests.metrics.made import CLASSES, quick, study

SEEDS = st.integers(0, 2**32 - 1)


def made(seed, classes=6, samples=60, width=4):
    draw = np.random.default_rng(seed)
    labels_n = draw.permutation(np.arange(samples) % classes)
    return labels_n, 2 * draw.normal(size=(classes, width))[labels_n] + draw.normal(size=(samples, width))


def brute(labels_n, features_nh, target, k, normalisation):
    """The normalised distance from its words alone."""
    if normalisation == "unit":
        features_nh = np.array([x / np.linalg.norm(x) for x in features_nh])
    c = [features_nh[labels_n == j].mean(0) for j in range(6)]
    by = 1.0
    if normalisation == "mean_norm":
        by = np.mean([np.linalg.norm(c[i] - c[j]) for i in range(6) for j in range(i)])
    elif normalisation == "mean_distance":
        by = np.mean([np.linalg.norm(c[target] - c[j]) for j in range(6) if j != target])
    elif normalisation == "feature_norm":
        by = np.mean([np.linalg.norm(x) for x in features_nh])
    return np.linalg.norm(c[target] - c[k]) / by


def all_distances(labels_n, features_nh, normalisation):
    return distances(
        centroids([(labels_n[:25], features_nh[:25]), (labels_n[25:], features_nh[25:])], 6), normalisation
    )


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_eta_is_a_loop(normalisation):
    first, second = made(1), made(2)
    terms = []
    for k in (1, 4):
        d1, d2 = (brute(*one, 3, k, normalisation) for one in (first, second))
        terms.append((d2 - d1) / d1)
    measured = eta(*(all_distances(*one, normalisation) for one in (first, second)), 3, [1, 4])
    assert measured == pytest.approx(np.mean(terms), abs=1e-9)


@quick
@given(SEEDS, st.floats(0.1, 10))
def test_unchanged_centroids_give_0_and_scaled_ones_what_the_normalisation_says(seed, scale):
    labels_n, features_nh = made(seed)
    for normalisation in NORMALISATIONS:
        first_kk = all_distances(labels_n, features_nh, normalisation)
        assert eta(first_kk, first_kk, 0, [1, 2]) == 0
        scaled_kk = all_distances(labels_n, scale * features_nh, normalisation)
        expected = scale - 1 if normalisation == "none" else 0
        assert eta(first_kk, scaled_kk, 0, [1, 2]) == pytest.approx(expected, abs=1e-8)


@quick
@given(SEEDS)
def test_order_names_rotation_and_shift_do_not_matter(seed):
    (labels_n, features_nh), other = made(seed), made(seed + 1)
    draw = np.random.default_rng(seed)
    order, names = draw.permutation(60), draw.permutation(6)
    turn_hh = np.linalg.qr(draw.normal(size=(4, 4)))[0]
    for normalisation in NORMALISATIONS:
        other_kk = all_distances(*other, normalisation)
        measured = eta(other_kk, all_distances(labels_n, features_nh, normalisation), 0, [1, 2])
        expected = pytest.approx(measured, abs=1e-8)
        turned_kk = all_distances(labels_n[order], (features_nh @ turn_hh)[order], normalisation)
        assert eta(other_kk, turned_kk, 0, [1, 2]) == expected
        renamed = [all_distances(names[y], x, normalisation) for y, x in (other, (labels_n, features_nh))]
        assert eta(*renamed, names[0], [names[1], names[2]]) == expected
        if normalisation not in ("unit", "feature_norm"):
            assert eta(other_kk, all_distances(labels_n, features_nh + 3, normalisation), 0, [1, 2]) == expected


def test_a_collapsed_student_has_no_eta():
    labels_n = np.arange(12) % 6
    flat, spread = np.ones((12, 4)), made(1, samples=12)[1]
    for normalisation in NORMALISATIONS:
        distances_kk = [distances(centroids([(labels_n, x)], 6), normalisation) for x in (flat, spread)]
        assert np.isnan(eta(distances_kk[0], distances_kk[1], 0, [1]))


def test_a_class_without_images_is_told():
    with pytest.raises(UserError, match="class 1 has no image"):
        centroids([(np.array([0, 2]), np.eye(2))], 3)


def test_most_confused_classes_are_the_most_probable_ones():
    means_kk = np.eye(9)
    means_kk[4] = [0.1, 0.3, 0, 0.1, 0.5, 0, 0, 0, 0]
    assert most_confused(means_kk, 4) == [1, 0]  # (9 - 1) // 4 of them; of equals the first
    assert len(most_confused(np.eye(3), 0)) == 1
    assert len(most_confused(np.eye(100), 0)) == 5


@pytest.mark.parametrize(
    ("there", "options", "expected"),
    [
        ({1.0, 2.0, 3.0, 64.0}, {}, (1, 3)),
        ({2.0, 4.0}, {}, (2, 4)),
        ({1.0, 64.0}, {}, (1, 64)),
        ({1.0, 2.0, 64.0}, {"t2": 64.0}, (1, 64)),
        ({1.0, 2.0, 3.0}, {"t1": 2.0}, (2, 3)),
        ({4.0, 8.0, 16.0}, {"t1": 8.0}, (8, 16)),
    ],
)
def test_temperatures_are_those_given_or_the_nearest(there, options, expected):
    assert temperatures(there, options) == expected


@pytest.mark.parametrize(
    ("there", "options", "message"),
    [
        ({1.0}, {}, "all students have temperature 1"),
        ({1.0, 3.0}, {"t2": 4.0}, "t2: no student has temperature 4; there are 1, 3"),
        ({1.0, 3.0}, {"t1": 2.0}, "t1: no student has temperature 2"),
        ({1.0, 3.0}, {"t1": 3.0}, "t2: found 3, not above t1 3"),
        ({1.0, 3.0}, {"t2": 1.0}, "t2: found 1, not above t1 1"),
    ],
)
def test_wrong_temperatures_are_told(there, options, message):
    with pytest.raises(UserError, match=message):
        temperatures(there, options)


def test_measure_compares_the_students_of_each_teacher(tmp_path):
    runs = study(tmp_path, ts=(1.0, 2.0, 3.0))
    rows = measure(runs, {})
    assert len(rows) == 2 * 2 * len(NORMALISATIONS) * len(CLASSES) * 2
    assert {(row["t1"], row["t2"], row["temperature"]) for row in rows} == {(1.0, 3.0, 3.0)}
    labels_n, logits_nk = runs[0].logits("train")
    means_kk = class_means(labels_n, softmax(logits_nk, axis=1))
    for row in rows:
        target = CLASSES.index(row["target"])
        similar = most_confused(means_kk, target)  # those of the teacher without label smoothing, for both
        assert row["similar"] == CLASSES[similar[0]]
        assert row["classes"] == (1 if row["set"] == "S1" else 3)
        assert "without label smoothing" in row["source"]
    one = next(row for row in rows if row["split"] == "val" and row["label_smoothing"] == 0.1 and row["set"] == "S2")
    students = [run for run in runs if run.teacher and run.row["label_smoothing"] == 0.1]
    kk = [distances(centroids(run.features("val"), 5), one["normalisation"]) for run in (students[0], students[2])]
    target = CLASSES.index(one["target"])
    others = [k for k in range(5) if k not in (target, most_confused(means_kk, target)[0])]
    assert one["value"] == eta(kk[0], kk[1], target, others)


def test_given_classes_are_taken(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs, {"targets": ["cat", "ant"], "similar": {"cat": ["dog", "elk"]}})
    similar_of = {(row["target"], row["set"]): (row["similar"], row["classes"], row["source"]) for row in rows}
    assert similar_of["cat", "S1"] == ("dog|elk", 2, "given in the config")
    assert similar_of["cat", "S2"] == ("dog|elk", 2, "given in the config")
    assert similar_of["ant", "S1"][2].startswith("measured")
    assert {row["target"] for row in rows} == {"ant", "cat"}


def test_where_families_are_known_relatives_are_similar_and_a_class_without_one_is_no_target(tmp_path):
    runs = study(tmp_path, families=["a", "b", "c", "c", "c"])
    rows = measure(runs, {})
    similar_of = {(row["target"], row["set"]): (row["similar"], row["classes"], row["source"]) for row in rows}
    relatives = {"cat": "dog|elk", "dog": "cat|elk", "elk": "cat|dog"}
    known = "known: of the target's family"
    assert similar_of == {
        (name, part): (others, 2, known) for name, others in relatives.items() for part in ("S1", "S2")
    }
    one = next(row for row in rows if row["split"] == "val" and row["target"] == "dog" and row["set"] == "S1")
    students = [run for run in runs if run.teacher and run.row["teacher"] == one["teacher"]]
    first_kk, second_kk = (distances(centroids(run.features("val"), 5), one["normalisation"]) for run in students)
    assert one["value"] == pytest.approx(np.mean([(second_kk[3, k] - first_kk[3, k]) / first_kk[3, k] for k in (2, 4)]))
    assert {row["target"] for row in measure(runs, {"targets": ["cat", "ant"]})} == {"cat"}
    with pytest.raises(UserError, match="targets: none of them has a relative in the data; name others"):
        measure(runs, {"targets": ["ant"]})
    given = measure(runs, {"similar": {"ant": ["bee"]}})
    assert {row["source"][:8] for row in given} == {"given in", "measured"}


@pytest.mark.parametrize("families", [list("abcde"), list("aaaaa"), None])
def test_families_that_tell_nothing_apart_are_as_none(tmp_path, families):
    """A class subset may leave no two of a family, or one family alone."""
    rows = measure(study(tmp_path, families=families), {})
    assert {row["target"] for row in rows} == set(CLASSES)
    assert all(row["source"].startswith("measured") for row in rows)


def test_the_students_of_a_teacher_are_pairs_of_their_own(tmp_path):
    runs = study(tmp_path)
    expected = measure(runs, {})
    twins = [run for run in study(tmp_path / "second") if run.teacher]
    for run in twins:
        run.row.update(student=1)
    rows = measure([*runs, *twins], {})
    assert len(rows) == 2 * len(expected)
    assert [row for row in rows if row["student"] == 0] == expected


def test_without_a_hard_teacher_its_own_confusion_is_taken(tmp_path):
    runs = [run for run in study(tmp_path) if run.row["label_smoothing"] > 0]
    assert all("all with label smoothing" in row["source"] for row in measure(runs, {}))


def test_teachers_alone_have_no_rows(tmp_path):
    assert measure([run for run in study(tmp_path) if not run.teacher], {}) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": ["cta"]}, "targets: no class 'cta' in made; nearest: cat"),
        ({"similar": {"cow": ["cat"]}}, "similar: no class 'cow'"),
        ({"similar": {"cat": ["dgo"]}}, r"similar\.cat: no class 'dgo' in made; nearest: dog"),
        ({"similar": {"cat": ["cat"]}}, r"similar\.cat: found cat; name 1 or more classes"),
        ({"similar": {"cat": ["ant", "bee", "dog", "elk"]}}, "not all"),
        ({"similar": {"cat": []}}, "name 1 or more"),
        ({"t2": 2.0}, "t2: no student has temperature 2"),
    ],
)
def test_wrong_options_are_told(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        measure(study(tmp_path), options)


def test_two_classes_are_too_few(tmp_path):
    runs = study(tmp_path, classes=["cat", "dog"])
    assert measure(runs, {}) == []  # a verdict goes on without eta
    with pytest.raises(UserError, match="found 2 classes in made, it takes 3"):
        measure(runs, {"targets": ["cat"]})


def test_students_that_differ_in_more_than_temperature_are_no_pair(tmp_path):
    runs = study(tmp_path)
    for run in runs:
        run.row["recipe"] = f"of{run.row['temperature']}"
    with pytest.raises(UserError, match="no teacher has the same student at both T 1 and T 3"):
        measure(runs, {"t1": 1.0, "t2": 3.0})
    assert measure(runs, {}) == []  # the verdict does without


def test_students_without_a_temperature_are_left_out(tmp_path):
    runs = study(tmp_path)
    expected = measure(runs, {})
    matched = study(tmp_path / "matched", ts=(1.0,))[-1]
    matched.row.update(temperature=math.nan, variant="logit_mse")
    assert expected and measure([*runs, matched], {}) == expected
