"""The numbers behind the figures against plain loops over the rows, and the paper's against its files."""

import importlib
import math
import statistics

import pandas as pd
import pytest

from lskd.errors import UserError
from lskd.figures import beside, rows, style
from lskd.papers.read import lookup
from lskd.study import registry as tables
from tests.figures import synthetic
from tests.figures.synthetic import frames_for

KEYS = ("group", "role", "model", "teacher_model", "label_smoothing", "temperature", "soft_weight")
# by kind: the family, the column with the mean, what a value becomes, and further keys
MEANS = {
    "grid": ("accuracy", "ours", lambda v: 100 * v, ("metric",), {"split": "test"}),
    "accuracy_table": ("accuracy", "ours", lambda v: 100 * v, ("metric",), {"split": "test"}),
    "error_table": ("accuracy", "ours", lambda v: 100 - 100 * v, (), {"split": "test", "metric": "top1"}),
    "diffusion": ("diffusion", "ours", lambda v: v, ("split", "target", "set"), {}),
    "clusters": ("clusters", "mean", lambda v: v, ("split", "metric"), {}),
    "information": ("information", "mean", lambda v: v, ("epoch",), {}),
    "probabilities": (
        "probabilities",
        "mean",
        lambda v: v,
        ("class", "predicted"),
        {"split": "train", "temperature_at": 1},
    ),
    "soft_targets": (
        "probabilities",
        "mean",
        lambda v: v,
        ("temperature_at", "predicted"),
        {"split": "train", "class": "5"},
    ),
    "gamma_curve": ("accuracy", "mean", lambda v: 100 * v, (), {"split": "test", "metric": "top1"}),
}


def module(kind):
    return importlib.import_module(tables.FIGURES[kind].module)


def key(row, names):
    return tuple("nan" if isinstance(row[n], float) and math.isnan(row[n]) else row[n] for n in names)


@pytest.mark.parametrize("kind", sorted(MEANS))
def test_mean_spread_and_n_are_those_of_a_loop(kind):
    family, column, change, extra, wanted = MEANS[kind]
    frames, options = frames_for(kind)
    by_setting: dict[tuple, list[float]] = {}
    for row in frames[family].to_dict("records"):
        other_t = kind == "gamma_curve" and row["label_smoothing"] > 0 and row["temperature"] > 1  # in no curve
        if all(row[name] == value for name, value in wanted.items()) and row.get("metric") != "nll" and not other_t:
            by_setting.setdefault(key(row, (*KEYS, *extra)), []).append(change(row["value"]))
    table = module(kind).table(frames, options)
    checked = set()
    for row in table.to_dict("records"):
        if math.isnan(row[column]) or row.get("target") == "mean":
            continue
        values = by_setting[key(row, (*KEYS, *extra))]
        assert row[column] == pytest.approx(statistics.mean(values), rel=1e-12)
        assert row["spread"] == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-12)
        assert row["n"] == len(values) == 3
        checked.add(key(row, (*KEYS, *extra)))
    held_out = {k for k in by_setting if kind == "diffusion" and "test" in k}  # val is shown
    assert checked == set(by_setting) - held_out


def test_stability_shows_one_minus_s_and_percent():
    frames, options = frames_for("stability")
    table = module("stability").table(frames, options)
    for metric, hard in (("stability_eq2", 0.03), ("stability_alg1", 0.14)):
        for alpha in (0.0, 0.1):
            row = table[(table["metric"] == metric) & (table["label_smoothing"] == alpha)].iloc[0]
            assert row["ours"] == pytest.approx(hard - 0.05 * alpha + 0.001)
            assert row["spread"] == pytest.approx(0.001)
    top1 = table[(table["metric"] == "top1") & (table["label_smoothing"] == 0)].iloc[0]
    assert 90 < top1["ours"] < 100
    assert top1["paper"] == lookup("shen2021", "table1", model="ResNet-18", metric="top1", smoothed=False)
    printed = lookup("shen2021", "table1", model="ResNet-18", metric="stability_complement", smoothed=False)
    for metric in ("stability_eq2", "stability_alg1"):  # the paper does not say by which its number is
        row = table[(table["metric"] == metric) & (table["label_smoothing"] == 0)].iloc[0]
        assert row["paper"] == printed
    assert "does not say by which" in table.attrs["caption"]


def test_the_papers_inter_class_stability_stands_beside_both_definitions():
    frames, options = frames_for("inter_stability")
    table = module("inter_stability").table(frames, options)
    printed = lookup("shen2021", "table10", model="ResNet-18", metric="inter_class_stability_complement", smoothed=True)
    for metric in ("stability_inter", "stability_inter_std"):
        row = table[(table["metric"] == metric) & (table["label_smoothing"] == 0.1)].iloc[0]
        assert row["paper"] == printed


def test_the_grid_stands_beside_the_papers():
    frames, options = frames_for("grid")
    table = module("grid").table(frames, options | {"scale": "demo"})
    for t in (1, 2, 3, 64):
        for alpha in (0.0, 0.1):
            own = table[(table["temperature"] == t) & (table["label_smoothing"] == alpha) & (table["metric"] == "top1")]
            paper = lookup("chandrasegaran2022", "gridA", temperature=t, label_smoothing=alpha, metric="top1")
            assert own["paper"].tolist() == [paper]
    assert table.loc[table["role"] == "baseline", "paper"].isna().all()
    assert set(table["scale"]) == {"demo"}
    texts = table.attrs
    assert texts["columns"][:4] == ["Network", "T", "α = 0", "α = 0.1"]
    assert [row[1] for row in texts["rows"]] == ["-", "-", "T = 1", "T = 2", "T = 3", "T = 64"]
    assert "ImageNet-1K" in texts["caption"] and "demo scale" in texts["caption"]


def test_only_the_temperatures_of_the_option():
    frames, _ = frames_for("grid")
    table = module("grid").table(frames, {"temperatures": [1.0, 64.0]})
    assert set(table["temperature"].dropna()) == {1.0, 64.0}
    with pytest.raises(UserError, match="temperatures: no student was taught at 5; there are 1, 2, 3, 64"):
        module("grid").table(frames, {"temperatures": [5.0]})


def test_a_network_of_the_papers_meets_its_own_row():
    theirs = beside.published({"study": "shen2021", "figure": "table1"})
    row = synthetic.runs()[1] | {"model": "resnext50_32x4d", "metric": "top1", "ours": 70.0}
    table = beside.beside(pd.DataFrame([row]), theirs, {})
    assert table["paper_model"].tolist() == ["ResNeXt-50 32x4d"] and table["paper"].tolist() == [77.618]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("resnet18", "ResNet-18"),
        ("mobilenet_v2", "MobileNetV2"),
        ("wide_resnet50_2", "Wide-ResNet-50"),
        ("resnet56-w16", "ResNet-56"),
        ("alexnet_cifar-d0.5", "AlexNet"),
        ("cifar100", "CIFAR-100"),
        ("plain_cnn", "Plain CNN"),
        ("cifar_resnet18", "ResNet-18"),
        ("cifar10", "CIFAR-10"),
        ("resnext29_8x64d", "ResNeXt-29"),
        ("resnext29_8x64d", "ResNeXt-29 8x64d"),
    ],
)
def test_names(ours, theirs):
    assert beside.same_name(ours, theirs)
    assert not beside.same_name(ours, "ResNet-152")


def test_eta_is_averaged_over_targets_within_a_seed():
    frames, options = frames_for("diffusion")
    table = module("diffusion").table(frames, options)
    seeds: dict[int, list[float]] = {}
    for row in frames["diffusion"].to_dict("records"):
        if row["split"] == "train" and row["set"] == "S1" and row["label_smoothing"] == 0.1:
            seeds.setdefault(row["seed"], []).append(row["value"])
    means = [statistics.mean(values) for values in seeds.values()]
    own = table[(table["target"] == "mean") & (table["split"] == "train") & (table["set"] == "S1")]
    own = own[own["label_smoothing"] == 0.1].iloc[0]
    assert own["ours"] == pytest.approx(statistics.mean(means))
    assert own["spread"] == pytest.approx(statistics.stdev(means))
    paper = table[table["target"] == "golden retriever"]
    assert sorted(paper["paper"]) == [-2.594, -0.880, 0.228, 0.555] and paper["ours"].isna().all()


def test_reliability_pools_the_images_of_all_seeds():
    frames, options = frames_for("reliability")
    bins = frames["reliability"].assign(count=lambda f: f["count"] * (1 + f["seed"]))  # seeds of unequal weight
    table = module("reliability").table(frames | {"reliability": bins}, options)
    for row in table.to_dict("records"):
        correct = total = 0.0
        for one in bins.to_dict("records"):
            same = one["binning"] == "width" and all(one[c] == row[c] for c in ("label_smoothing", "scaled", "bin"))
            if same and one["count"]:
                correct, total = correct + one["accuracy"] * one["count"], total + one["count"]
        assert row["count"] == total
        assert math.isnan(row["accuracy"]) if not total else row["accuracy"] == pytest.approx(correct / total)
    assert table.groupby(["label_smoothing", "scaled"])["share"].sum().tolist() == pytest.approx([1, 1, 1])
    assert sorted(table["ece_mean"].unique()) == pytest.approx([0.022, 0.026, 0.122])


def test_calibration_has_the_papers_three_methods():
    frames, options = frames_for("calibration_table")
    table = module("calibration_table").table(frames, options)
    errors = table[table["metric"] == "ece"]
    assert list(dict.fromkeys(errors["method"])) == ["baseline", "temperature scaling", "label smoothing"]
    own = errors[(errors["method"] == "label smoothing") & (errors["paper_dataset"] == "CIFAR-100")]
    assert own["split"].tolist() == ["val"]  # as the paper's
    assert own["ours"].iloc[0] == pytest.approx(0.036) and own["paper"].iloc[0] == 0.024
    assert own["paper_label_smoothing"].tolist() == [0.05]
    fitted = table[(table["metric"] == "temperature") & (table["paper_dataset"] == "ImageNet-1K")].iloc[0]
    assert fitted["ours"] == pytest.approx(1.802) and fitted["paper"] == 1.4
    rows = [dict(zip(table.attrs["columns"], row, strict=True)) for row in table.attrs["rows"]]
    smoothed = [row for row in rows if row["Method"] == "label smoothing"]
    assert {row["ECE"] for row in smoothed} == {"0.0260 ± 0.0020 (3)"}
    assert {(row["ECE on val"], row["paper's ECE"].partition(" (")[0]) for row in smoothed} == {
        ("0.0360 ± 0.0020 (3)", "0.024 / α = 0.05"),
        ("—", "0.035 / α = 0.1"),
    }
    assert [row["Brier"] for row in rows if row["Method"] == "temperature scaling"] == ["0.1020 ± 0.0020 (3)"] * 2
    assert "for its own α (0.05, 0.1)" in table.attrs["caption"]


def test_val_stands_beside_the_papers_val_and_test_beside_its_other_numbers():
    frames, _ = frames_for("accuracy_table")
    options = {"study": "muller2019", "figure": "table2"}
    table = module("accuracy_table").table(frames, options)
    for name, split in (("CIFAR-10", "val"), ("CIFAR-100", "val"), ("ImageNet-1K", "test")):
        assert set(table.loc[table["paper_dataset"] == name, "split"]) == {split}
    accuracy = frames["accuracy"]
    own = accuracy[
        (accuracy["role"] == "teacher") & (accuracy["label_smoothing"] == 0.1) & (accuracy["metric"] == "top1")
    ]
    row = table[
        (table["role"] == "teacher") & (table["label_smoothing"] == 0.1) & (table["paper_dataset"] == "CIFAR-10")
    ]
    assert row["ours"].iloc[0] == pytest.approx(100 * own.loc[own["split"] == "val", "value"].mean())
    assert "on val for CIFAR-10, CIFAR-100, where theirs are on val too, others on test" in table.attrs["caption"]
    assert module("accuracy_table").table(frames, {})["split"].eq("test").all()  # val beside nothing is left out


@pytest.mark.parametrize(
    ("own", "is_same"),
    [
        ({}, True),
        ({"dataset": "digits"}, False),
        ({"model": "resnet34"}, False),
        ({"teacher_model": "resnet101"}, False),
    ],
)
def test_a_difference_is_of_the_same_data_and_networks_alone(own, is_same):
    theirs = beside.published({"study": "chandrasegaran2022", "figure": "gridA"})
    ours = {"dataset": "imagenet", "model": "resnet18", "teacher_model": "resnet50", "metric": "top1", "ours": 70.0}
    student = next(row for row in synthetic.runs() if row["role"] == "student") | ours | own
    table = beside.beside(pd.DataFrame([student]), theirs, {})
    assert table["paper"].tolist() == [71.547]
    assert table["difference"].tolist() == pytest.approx([70 - 71.547 if is_same else math.nan], nan_ok=True)
    assert ("compare the order" in beside.warning(table)) != is_same


def test_students_of_a_teacher_are_averaged_before_seeds():
    students = [row for row in synthetic.runs(alphas=(0.0,), temperatures=(1.0,)) if row["role"] == "student"]
    values = {(0, 0): 1.0, (0, 1): 3.0, (1, 0): 4.0, (2, 0): 9.0}  # by seed and student: one seed has two
    rows_ = [
        row | {"student": student, "value": value, "run": f"{row['run']}.{student}"}
        for (seed, student), value in values.items()
        for row in students
        if row["seed"] == seed
    ]
    frame = pd.DataFrame(rows_)
    (found,) = rows.records(rows.over_seeds(frame, rows.SETTING))
    assert (found["mean"], found["low"], found["high"], found["n"]) == (5, 2, 9, 3)
    assert found["spread"] == pytest.approx(statistics.stdev([2, 4, 9]))
    assert rows.over_seeds(frame.drop(columns="student"), rows.SETTING)["mean"].tolist() == [5]  # older metrics
    assert "over 3 seeds, each the mean of up to 2 students" in rows.measured(frame, {})
    assert rows.of_first_seed(frame)["value"].tolist() == [1]
    assert rows.of_first_seed(frame.drop(columns="student"))["value"].tolist() == [1, 3]


def test_settings_that_look_alike_are_told_apart():
    students = pd.DataFrame(synthetic.runs(temperatures=(1.0,), seeds=(0,), baseline=False))
    assert set(rows.named(students)["network"]) == {"resnet8-w16 (teacher)", "resnet8-w4 ← resnet8-w16"}
    is_student = students["role"] == "student"
    given = students.assign(group=students["group"].where(~is_student, "of_given"))
    both = rows.named(pd.concat([students, given], ignore_index=True))
    names = {"resnet8-w16 (teacher)", "resnet8-w4 ← resnet8-w16, student", "resnet8-w4 ← resnet8-w16, of_given"}
    assert set(both["network"]) == names
    lineages = ["digits/resnet8-w16/short", "digits/resnet8-w16/short/maxsup"]
    several = pd.concat([students[is_student].assign(lineage=name) for name in lineages], ignore_index=True)
    assert set(rows.named(several)["network"]) == {
        "resnet8-w4 ← resnet8-w16, short",
        "resnet8-w4 ← resnet8-w16, short/maxsup",
    }
    weights = pd.concat([students[is_student].assign(soft_weight=w) for w in (0.3, 1.0)], ignore_index=True)
    assert set(rows.named(weights)["network"]) == {
        "resnet8-w4 ← resnet8-w16, soft weight 0.3",
        "resnet8-w4 ← resnet8-w16, soft weight 1",
    }


@pytest.mark.parametrize("kind", ["grid", "accuracy_table", "error_table"])
def test_teachers_that_differ_in_their_lineage_are_not_averaged(kind):
    frames, _ = frames_for(kind)
    other = frames["accuracy"].assign(
        lineage=frames["accuracy"]["lineage"] + "/maxsup",
        run=frames["accuracy"]["run"] + "-maxsup",
        value=frames["accuracy"]["value"] - 0.1,
    )
    one = module(kind).table(frames, {})
    both = module(kind).table({"accuracy": pd.concat([frames["accuracy"], other])}, {})
    assert len(both) == 2 * len(one) and (both["n"] == 3).all()
    mine = both[~both["lineage"].str.endswith("maxsup")]
    assert sorted(mine["ours"]) == pytest.approx(sorted(one["ours"]))
    networks = [row[both.attrs["columns"].index("Network")] for row in both.attrs["rows"]]
    assert any("maxsup" in name for name in networks)


@pytest.mark.parametrize("kind", ["grid", "accuracy_table", "error_table", "gamma_curve", "curves"])
def test_a_student_without_a_temperature_is_shown_at_none(kind):
    frames, options = frames_for(kind, temperatures=(1.0,)) if kind != "gamma_curve" else frames_for(kind)
    options.pop("temperatures", None)
    family = "history" if kind == "curves" else "accuracy"
    values = frames[family]
    matched = values[(values["role"] == "student") & (values["temperature"] == 1)]
    matched = matched.assign(temperature=math.nan, variant="logit_mse", group="matched", run=matched["run"] + "-mse")
    frames = frames | {family: pd.concat([values, matched])}
    table = module(kind).table(frames, options)
    rows = [dict(zip(table.attrs["columns"], row, strict=True)) for row in table.attrs["rows"]]
    name = "Student" if kind == "curves" else "Network"
    own = [row for row in rows if "logit_mse" in row[name]]
    assert {row["T"] for row in own} == ({"-"} if kind != "gamma_curve" else set())  # it has no gamma
    assert "T = nan" not in str(rows)
    module(kind).draw(table, frames, options)


def test_curves_show_the_cross_entropy_where_it_is_known():
    frames, options = frames_for("curves")
    table = module("curves").table(frames, options)
    last = table[(table["metric"] == "train_loss") & (table["epoch"] == 29)].set_index("label_smoothing")["mean"]
    losses = frames["history"][(frames["history"]["metric"] == "train_loss") & (frames["history"]["epoch"] == 29)]
    losses = losses[losses["temperature"] == 1].groupby("label_smoothing")["value"].mean()
    assert (last - losses).to_dict() == pytest.approx({0.0: 0.0, 0.1: 0.3})
    old = frames["history"][frames["history"]["metric"] != "train_cross_entropy"]
    table = module("curves").table({"history": old}, options)
    last = table[(table["metric"] == "train_loss") & (table["epoch"] == 29)].set_index("label_smoothing")["mean"]
    assert last.to_dict() == pytest.approx(losses.to_dict())


def test_gamma_is_alpha_for_labels_and_the_teachers_for_students():
    frames, options = frames_for("gamma_curve")
    table = module("gamma_curve").table(frames, options)
    labels = table[table["role"] != "student"]
    assert (labels["gamma"] == labels["label_smoothing"]).all()
    hard = table[(table["curve"] == "students of the hard teacher, T =") & (table["temperature"] == 3)].iloc[0]
    assert hard["gamma"] == pytest.approx(0.002 + 0.2 * math.log(3))
    assert hard["entropy"] == pytest.approx(2 * hard["gamma"]) and labels["entropy"].isna().all()
    fewer = frames["smoothness"][frames["smoothness"]["temperature_at"] < 10]
    with pytest.raises(UserError, match="gamma is needed at T 12, 16, measured are 1, 2, 3, 4, 8"):
        module("gamma_curve").table(frames | {"smoothness": fewer}, options)


def test_projection_shows_the_smallest_seed_and_this_method():
    frames, options = frames_for("projection", seeds=(2, 5))
    table = module("projection").table(frames, options)
    assert set(table["seed"]) == {2} and set(table["method"]) == {"chandrasegaran"}
    assert set(table["split"]) == {"train", "val"}
    assert "seed 2 (n = 1)" in table.attrs["caption"]
    own = table[(table["role"] == "teacher") & (table["label_smoothing"] == 0) & (table["split"] == "train")]
    x = own.loc[own["class"] == "3", "x"].mean()
    assert table.attrs["rows"][0][5].startswith(f"({x:.2f}, ")


def test_templates_are_drawn_where_they_are():
    frames = {"projection": synthetic.projection(synthetic.runs(students=False, baseline=False), templates=True)}
    kind = module("projection_muller")
    table = kind.table(frames, {})
    figure = kind.draw(table, frames, {})
    black = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [len(line.get_xdata()) for line in black] == [3]


@pytest.mark.parametrize("kind", ["projection", "projection_muller", "clusters"])
def test_the_panels_of_a_row_have_one_scale_with_ticks(kind):
    frames, options = frames_for(kind)
    with style.context():
        figure = module(kind).draw(module(kind).table(frames, options), frames, options)
    by_row: dict[int, list] = {}
    for panel in figure.axes:
        by_row.setdefault(panel.get_subplotspec().rowspan.start, []).append(panel)
    for panels in by_row.values():
        assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1
        (left, right), (low, high) = panels[0].get_xlim(), panels[0].get_ylim()
        assert right - left == pytest.approx(high - low) and {panel.get_aspect() for panel in panels} == {1}
        assert len([t for t in panels[0].get_yticks() if low <= t <= high]) >= 2
        assert panels[0].yaxis.get_tick_params()["labelleft"]
        points = [xy for panel in panels for line in panel.lines for xy in line.get_xydata()]
        assert all(left <= x <= right and low <= y <= high for x, y in points)


def test_temperatures_below_16_are_not_squeezed_on_the_gamma_axis():
    frames, options = frames_for("gamma_curve")
    kind = module("gamma_curve")
    figure = kind.draw(kind.table(frames, options), frames, options)
    panel = figure.axes[0]
    scale = panel.transAxes.inverted().transform
    places = {x: scale(panel.transData.transform((x, 97)))[0] for x in (0, 0.01, 0.1, 0.9)}
    assert places[0] < 0.06 and places[0.01] - places[0] > 0.05 and places[0.1] > 0.3 and places[0.9] < 1
    up = {y: scale(panel.transData.transform((0.1, y)))[1] for y in (90, 95, 97.5)}
    assert up[97.5] - up[95] == pytest.approx(up[95] - up[90], abs=1e-6)  # half the error, one step
