"""The figures of settings and of the best smoothing: numbers against plain loops, the paper's against its file."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from lskd.figures import best_smoothing, settings
from lskd.papers.read import lookup
from tests.figures import synthetic
from tests.figures.synthetic import SMOOTHINGS, frames_for

SEEDS = (0, 1, 2, 3, 4)
YUAN = {"study": "yuan2020", "scale": "demo"}


def drawn(kind, seeds=SEEDS, **options):
    frames, own = frames_for(kind, seeds=seeds)
    module = {"settings": settings, "best_smoothing": best_smoothing}[kind]
    return module.table(frames, own | options), frames


def top1_of(frame, split, **wanted):
    """Top-1 in percent by seed of the rows that have these values, row by row."""
    by_seed = {}
    for row in frame.to_dict("records"):
        alike = all(row[key] == value for key, value in wanted.items())
        if row["split"] == split and row["metric"] == "top1" and alike:
            by_seed.setdefault(row["seed"], []).append(100 * row["value"])
    return [statistics.fmean(by_seed[seed]) for seed in sorted(by_seed)]


def test_gains_are_paired_by_seed_with_the_same_network_on_labels():
    table, frames = drawn("settings")
    ours = table[table["group"] == "student"]
    assert len(ours) == 2 * 4
    labels = top1_of(frames["accuracy"], "test", group="alone")
    for row in ours.to_dict("records"):
        keys = {key: row[key] for key in ("group", "label_smoothing", "temperature")}
        own = top1_of(frames["accuracy"], "test", **keys)
        gaps = [a - b for a, b in zip(own, labels, strict=True)]
        assert row["ours"] == pytest.approx(statistics.fmean(own))
        assert (row["gain"], row["gain_spread"]) == pytest.approx((statistics.fmean(gaps), statistics.stdev(gaps)))
        assert row["p"] == pytest.approx(ttest_rel(own, labels).pvalue)
        assert (row["n"], row["gain_n"], row["labels"]) == (5, 5, pytest.approx(statistics.fmean(labels)))
        teachers = top1_of(frames["teacher_accuracy"], "test", **keys)
        assert row["teacher_ours"] == pytest.approx(statistics.fmean(teachers))
        words = "told" if row["p"] < 0.05 else "cannot tell"
        (line,) = [
            line
            for line in table.attrs["rows"]
            if line[0] == "student" and f"{row['gain']:+.2f}".replace("-", "−") in " ".join(line)
        ]
        assert words in " ".join(line)


def test_networks_trained_on_labels_are_compared_with_and_not_shown():
    table, _ = drawn("settings")
    assert set(table["group"]) == {"student", "virtual", ""}
    virtual = table[table["group"] == "virtual"].to_dict("records")[0]
    assert math.isnan(virtual["teacher_ours"]) and not math.isnan(virtual["gain"])


def test_a_network_that_labels_did_not_train_alone_has_no_gain():
    frames, options = frames_for("settings", seeds=SEEDS)
    frames["accuracy"] = frames["accuracy"][frames["accuracy"]["group"] != "alone"]
    table = settings.table(frames, options)
    assert table[table["group"] == "student"]["gain"].isna().all()


def test_the_papers_settings_stand_below_unless_data_and_networks_are_ours():
    table, frames = drawn("settings")
    below = table[table["group"] == ""]
    assert len(below) == 2 * 17 and set(below["method"]) == {"Normal KD", "Re-KD"}
    assert table[table["group"] == "student"]["paper_temperature"].isna().all()
    names = {"dataset": "cifar100", "model": "mobilenet_v2", "teacher_model": "resnet18"}
    frames = {family: frame.assign(**names) for family, frame in frames.items()}
    table = settings.table(frames, YUAN | {"figure": "table1"})
    ours = table[table["group"] == "student"]
    assert set(ours["method"]) == {"Normal KD"} and len(table[table["group"] == ""]) == 2 * 17 - 1
    row = {"dataset": "CIFAR-100", "teacher": "ResNet-18", "model": "MobileNetV2", "method": "Normal KD"}
    assert set(ours["paper_weight"]) == {lookup("yuan2020", "table1", metric="soft_weight", **row)} == {0.95}
    swapped = {"model": "resnet18", "teacher_model": "mobilenet_v2"}
    frames = {family: frame.assign(**swapped) for family, frame in frames.items()}
    table = settings.table(frames, YUAN | {"figure": "table1"})
    ours = table[table["group"] == "student"]
    assert set(ours["method"]) == {"Re-KD"} and set(ours["paper_weight"]) == {0.60}


def test_a_poor_teachers_accuracy_is_the_papers():
    table, _ = drawn("settings", figure="table2")
    poor = table[(table["paper_dataset"] == "CIFAR-100") & (table["paper_teacher"] == "ResNet-18")]
    assert set(poor["paper_top1"]) == {15.48} and "Paper's teacher (%)" in table.attrs["columns"]
    assert "Paper's teacher (%)" not in drawn("settings")[0].attrs["columns"]


@pytest.mark.parametrize(
    ("figure", "row", "weight"),
    [
        ("table5", {"role": "student", "dataset": "cifar100", "model": "resnet18", "teacher_model": "resnet18"}, 0.95),
        ("table5", {"role": "student", "dataset": "cifar100", "model": "resnet18", "teacher_model": "resnet50"}, None),
        ("table6", {"role": "baseline", "dataset": "cifar100", "model": "googlenet", "teacher_model": ""}, 0.10),
        ("table6", {"role": "baseline", "dataset": "tiny_imagenet", "model": "resnet50", "teacher_model": ""}, 0.10),
    ],
)
def test_a_network_that_teaches_itself_or_has_a_virtual_teacher_is_known(figure, row, weight):
    frames, _ = frames_for("settings", seeds=SEEDS)
    own = frames["accuracy"]["group"].eq("virtual" if row["role"] == "baseline" else "student")
    changed = frames["accuracy"].assign(**row)[own]
    table = settings.table(frames | {"accuracy": changed}, YUAN | {"figure": figure})
    weights = set(table.loc[table["group"] != "", "paper_weight"].dropna())
    assert weights == ({weight} if weight else set())


def test_the_best_smoothing_is_that_of_val_and_not_of_test():
    table, frames = drawn("best_smoothing")
    accuracy = frames["accuracy"]
    means = {
        split: {a: statistics.fmean(top1_of(accuracy, split, group="lsr", label_smoothing=a)) for a in SMOOTHINGS}
        for split in ("val", "test")
    }
    best = max(means["val"], key=means["val"].get)
    assert best != max(means["test"], key=means["test"].get)  # or the test could pass for a wrong reason
    row = table[table["group"] == "lsr"].to_dict("records")[0]
    assert (row["label_smoothing"], row["settings"]) == (best, len(SMOOTHINGS))
    assert (row["val"], row["ours"]) == pytest.approx((means["val"][best], means["test"][best]))
    labels = top1_of(accuracy, "test", group="alone")
    own = top1_of(accuracy, "test", group="lsr", label_smoothing=best)
    assert row["gain"] == pytest.approx(np.mean(own) - np.mean(labels))
    assert row["p"] == pytest.approx(ttest_rel(own, labels).pvalue)
    assert math.isnan(row["over_gain"])
    virtual = table[table["group"] == "virtual"].to_dict("records")[0]
    taught = top1_of(accuracy, "test", group="virtual")
    assert virtual["over_gain"] == pytest.approx(np.mean(taught) - np.mean(own))
    assert virtual["over_p"] == pytest.approx(ttest_rel(taught, own).pvalue)
    assert math.isnan(table[table["group"] == "alone"]["over_gain"].iloc[0])


def test_of_equal_settings_the_smaller_alpha_is_chosen():
    frames, options = frames_for("best_smoothing", seeds=SEEDS)
    equal = frames["accuracy"].assign(value=0.5)
    table = best_smoothing.table({"accuracy": equal}, options)
    assert table[table["group"] == "lsr"]["label_smoothing"].tolist() == [min(SMOOTHINGS)]


def test_the_papers_best_smoothing_stands_beside_the_same_network():
    frames, _ = frames_for("best_smoothing", seeds=SEEDS)
    names = {"dataset": "cifar100", "model": "mobilenet_v2"}
    table = best_smoothing.table({"accuracy": frames["accuracy"].assign(**names)}, YUAN | {"figure": "table4"})
    ours = table[table["group"] != ""].set_index("group")
    assert ours["paper"].to_dict() == {"alone": 68.38, "virtual": 70.88, "lsr": 69.54}
    assert ours.loc["lsr", "paper_label_smoothing"] == 0.19
    assert len(table[table["group"] == ""]) == 6
    assert synthetic.SMOOTHINGS == SMOOTHINGS and isinstance(table, pd.DataFrame)
