"""Data sets made of one, against counts and brute force."""

import numpy as np
import pytest
from scipy.stats import pareto

from lskd.data import derived
from lskd.data.arrays import Arrays, Samples
from lskd.data.class_names import subset_labels
from lskd.errors import UserError
from lskd.io.seal import file_digest


def samples(labels) -> Samples:
    labels = np.array(labels, dtype=np.int64)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    return Samples(images, labels, [f"#{index}" for index in range(len(labels))])


def data(classes=6, each=20) -> Arrays:
    labels = np.tile(np.arange(classes), each)
    names = tuple("abcdefghij"[:classes])
    return Arrays(samples(labels), samples(labels[: classes * 4]), names, None, {}, tuple("vccvcc"[:classes]))


def test_a_subset_has_its_classes_samples_and_no_other():
    whole = data()
    part = derived.with_classes(whole, ["e", "b"])
    assert part.classes == ("b", "e") and part.families == ("c", "c")
    for one, other in ((part.train, whole.train), (part.test, whole.test)):
        expected = [
            (name, int(label == 4)) for name, label in zip(other.names, other.labels, strict=True) if label in (1, 4)
        ]
        assert list(zip(one.names, one.labels.tolist(), strict=True)) == expected
        assert one.images[:, 0, 0, 0].tolist() == [int(name[1:]) for name in one.names]
    assert derived.with_classes(whole, None) is whole


@pytest.mark.parametrize(("classes", "number"), [(10, 2), (10, 3), (10, 10), (1000, 100), (7, 6)])
def test_so_many_classes_are_spread_evenly(classes, number):
    labels = subset_labels(tuple(map(str, range(classes))), number)
    steps = np.diff([*labels, classes])
    assert len(set(labels)) == number and labels[0] == 0 and steps.max() - steps.min() <= 1


def test_a_class_that_is_not_there_is_told():
    with pytest.raises(UserError, match=r"data.class_subset: no class 'x' in the data; there are a, b"):
        derived.with_classes(data(), ["a", "x"])
    with pytest.raises(UserError, match=r"data.class_subset: found 7, the data have 6 classes"):
        derived.with_classes(data(), 7)


def test_so_many_training_images_of_each_class():
    thinned = derived.train_of(samples([0] * 30 + [1] * 5), {"train_images": 12}, 2)
    assert np.bincount(thinned.labels).tolist() == [12, 5]
    fewer = derived.train_of(samples([0] * 30 + [1] * 5), {"train_images": 6}, 2)
    assert set(fewer.names) < set(thinned.names)  # nested, so that a curve over sizes adds images


@pytest.mark.parametrize("ratio", [1, 10, 100.0, 1000])
def test_a_long_tail_falls_geometrically(ratio):
    counts = derived.tail(500, ratio, 10)
    assert counts[0] == 500 and counts[-1] == max(1, 500 // ratio) and (np.diff(counts) <= 0).all()
    exact = np.maximum(1, 500 * ratio ** (-np.arange(10) / 9))
    assert (counts <= exact + 1e-6).all() and (counts > exact - 1).all()
    subset = derived.train_of(samples(np.repeat(np.arange(10), 500)), {"long_tail": ratio}, 10)
    assert np.bincount(subset.labels).tolist() == counts.tolist()


@pytest.mark.parametrize(("power", "least", "most", "classes"), [(6, 5, 1280, 1000), (6, 1, 40, 64), (1.5, 3, 9, 10)])
def test_a_pareto_tail_is_the_law_at_expected_ranks(power, least, most, classes):
    """Against SciPy's Pareto distribution, moved to begin at 0."""
    counts = derived.pareto(power, least, most, classes)
    quantiles = pareto(power, loc=-1).ppf(1 - np.arange(1, classes + 1) / (classes + 1))
    share = (quantiles - quantiles[-1]) / (quantiles[0] - quantiles[-1])
    assert counts.tolist() == (least + np.rint((most - least) * share)).tolist()
    assert (counts[0], counts[-1]) == (most, least) and (np.diff(counts) <= 0).all()


def test_the_pareto_law_is_near_imagenet_lt():
    """Liu 2019 publishes a draw of it: 115,846 images of 1,000 classes, with power 6 from 5 to 1,280."""
    counts = derived.pareto(6, 5, 1280, 1000)
    assert counts.sum() == 121_937
    assert abs(counts.sum() / 115_846 - 1) < 0.06


def test_a_pareto_tail_of_train():
    labels = np.repeat(np.arange(10), 100)
    tailed = derived.train_of(samples(labels), {"pareto": [6.0, 5.0, 80.0]}, 10)
    assert np.bincount(tailed.labels).tolist() == derived.pareto(6, 5, 80, 10).tolist()
    capped = derived.train_of(samples(labels), {"pareto": [6.0, 5.0, 800.0]}, 10)
    assert np.bincount(capped.labels)[0] == 100


def test_a_list_of_training_images(tmp_path):
    whole = data()
    chosen = [whole.train.names[place] for place in (4, 0, 7)]
    path = tmp_path / "list.txt"
    path.write_text(f"{chosen[0]} 3\n{chosen[1]}\n{chosen[2]} 1\n")
    listed = {"name": "list.txt", "digest": file_digest(path)}
    part = derived.with_list(whole, tmp_path, listed)
    assert part.train.names == sorted(chosen, key=whole.train.names.index)
    assert part.test is whole.test and part.classes == whole.classes
    path.write_text(f"{chosen[0]} 3\nother.png 1\n")
    with pytest.raises(UserError, match="list.txt: changed since this job was planned"):
        derived.with_list(whole, tmp_path, listed)
    listed["digest"] = file_digest(path)
    with pytest.raises(UserError, match="list.txt: line 2: found 'other.png 1', which names no training image"):
        derived.with_list(whole, tmp_path, listed)
    assert derived.with_list(whole, tmp_path, None) is whole


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_noise_is_that_share_of_each_class_and_uniform_over_the_others(share):
    labels = np.repeat(np.arange(5), 4000)
    wrong = derived.noisy(labels, share, 5)
    for label in range(5):
        given = wrong[labels == label]
        assert (given != label).sum() == round(share * 4000)
        counts = np.bincount(given[given != label], minlength=5)[np.arange(5) != label]
        assert abs(counts / counts.sum() - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / counts.sum())
    assert (derived.noisy(labels, share, 5) == wrong).all()


def test_without_an_option_nothing_changes():
    whole = samples([0, 1, 2, 1])
    assert derived.train_of(whole, {}, 3) is whole
