"""The transcribed numbers: complete, unique, in range, and consistent with the relations that the papers print."""

import re

import numpy as np
import pandas as pd
import pytest

from lskd.errors import UserError
from lskd.papers import read
from lskd.papers.read import KEYS, PAPERS, lookup, paper

COUNTS = {
    "muller2019": {"table1": 11, "table2": 6, "fig2": 7, "table3": 15, "mnist": 4},
    "shen2021": {
        "table1": 62,
        "table2": 24,
        "fig6": 2,
        "table3": 44,
        "table4": 30,
        "table5": 27,
        "table6": 24,
        "table7": 72,
        "table8": 16,
        "table9": 12,
        "table10": 52,
    },
    "yuan2020": {"table1": 68, "table2": 25, "table3": 16, "table4": 15, "table5": 24, "table6": 18, "figS1": 1},
    "chandrasegaran2022": {"gridA": 20, "gridB": 20, "nmt": 10, "eta": 40},
}
TARGETS = {
    "muller2019": "fig1 table2 fig2 fig3 table3 fig4 mnist fig5 fig6",
    "shen2021": "fig1 fig3 fig4 table1 table2 fig5 fig6 fig7 table3 table4 table5 table6 table7 fig8 table8 table9 "
    "fig9 table10",
    "yuan2020": "table1 table2 table3 table4 table5 table6 figS1",
    "chandrasegaran2022": "gridA gridB compact nmt eta projection summary",
}
RANGES = {  # metric -> lowest and highest value that makes sense
    **dict.fromkeys(("top1", "top3", "top5", "top1_error", "top5_error", "wer", "wer_second", "bleu"), (0, 100)),
    **dict.fromkeys(("ece", "label_smoothing", "soft_weight"), (0, 1)),
    **dict.fromkeys(("stability_complement", "inter_class_stability_complement"), (0.1, 0.4)),
    "temperature": (1, 64),
    "eta": (-5, 1),
    "params": (1e6, 1e8),
    "flops": (1e8, 1e11),
}


def table(key: str, name: str) -> pd.DataFrame:
    values = paper(key).values
    return values[values["table"] == name]


@pytest.mark.parametrize("key", PAPERS)
def test_tables_have_the_printed_number_of_values(key: str) -> None:
    assert paper(key).values.groupby("table", sort=False).size().to_dict() == COUNTS[key]


@pytest.mark.parametrize("key", PAPERS)
def test_no_two_numbers_share_their_keys(key: str) -> None:
    assert not paper(key).values.duplicated(list(KEYS)).any()


@pytest.mark.parametrize("key", PAPERS)
def test_values_lie_in_the_range_of_their_metric(key: str) -> None:
    for metric, group in paper(key).values.groupby("metric"):
        low, high = RANGES.get(str(metric), (-np.inf, np.inf))
        assert group["value"].between(low, high).all(), metric
        assert (group["spread"].dropna() < 1).all(), metric


@pytest.mark.parametrize("key", PAPERS)
def test_printed_text_says_the_value(key: str) -> None:
    plain = paper(key).values.query("not approximate and metric not in ['params', 'flops']")
    assert plain["printed"].str.replace(",", "").astype(float).tolist() == plain["value"].tolist()
    assert paper(key).values["source"].str.contains(r"line \d+$").all()


@pytest.mark.parametrize("key", PAPERS)
def test_every_loss_is_described(key: str) -> None:
    used = set(paper(key).values["loss"]) - {""}
    assert used <= set(paper(key).losses)


@pytest.mark.parametrize("key", PAPERS)
def test_every_target_has_an_entry(key: str) -> None:
    targets = paper(key).targets
    assert sorted(targets) == sorted(TARGETS[key].split())
    for target in targets.values():
        assert set(target) == {"title", "shows", "table"}
        assert target["title"] and len(target["shows"]) > 15
        assert target["table"] in {"", *COUNTS[key]}


def test_without_smoothing_means_alpha_zero() -> None:
    for key in PAPERS:
        values = paper(key).values
        assert (values.loc[values["smoothed"].eq(False).fillna(False), "label_smoothing"] == 0).all()
        assert (values.loc[values["label_smoothing"] > 0, "smoothed"]).all()
    assert table("shen2021", "table2").query("smoothed")["label_smoothing"].isna().all()


def test_students_of_one_cell_carry_the_teachers_smoothing() -> None:
    for key in ("shen2021", "chandrasegaran2022"):
        students = paper(key).values.query("teacher != ''")
        assert students["smoothed"].notna().all()
        assert (students["loss"] != "").all()


@pytest.mark.parametrize(
    ("name", "metric", "rows"),
    [("table1", "stability_complement", 8), ("table10", "inter_class_stability_complement", 8)],
)
def test_the_red_numbers_are_the_difference_of_the_columns(name: str, metric: str, rows: int) -> None:
    wide = table("shen2021", name).pivot_table(
        index=["model", "method"], columns=["metric", "smoothed"], values="value", observed=True
    )
    change = wide[(f"{metric}_change", True)].dropna()
    assert len(change) == rows
    assert np.allclose(change, (wide[(metric, True)] - wide[(metric, False)]).loc[change.index], atol=1e-9)


def test_shen_table4_averages_are_the_mean_gains() -> None:
    values = table("shen2021", "table4")
    networks = values[values["model"] != "average"]
    wide = networks.pivot_table(index=["dataset", "metric", "model"], columns="smoothed", values="value")
    gains = (wide[True] - wide[False]).groupby(["dataset", "metric"]).mean()
    for (dataset, metric), gain in gains.items():
        printed = lookup("shen2021", "table4", model="average", dataset=dataset, metric=f"{metric}_gain")
        assert abs(printed - gain) < 5.1e-4, (dataset, metric)


def test_yuan_table4_gains_are_the_difference_of_the_columns() -> None:
    wide = table("yuan2020", "table4").pivot_table(index="model", columns=["method", "metric"], values="value")
    gain = wide[("Tf-KD_reg", "top1")] - wide[("baseline", "top1")]
    assert np.allclose(gain, wide[("Tf-KD_reg", "top1_gain")], atol=1e-9)
    # the grid is 0.01, 0.03, ...: an odd number of hundredths
    assert ((wide[("LSR", "label_smoothing")] * 100).round() % 2 == 1).all()


def test_top5_is_never_below_top1() -> None:
    for key in ("shen2021", "chandrasegaran2022"):
        values = paper(key).values.query("metric in ['top1', 'top3', 'top5']")
        keys = [name for name in KEYS if name != "metric"]
        wide = values.assign(wider=values["metric"] != "top1").pivot_table(
            index=keys, columns="wider", values="value", dropna=False
        )
        pairs = wide.dropna()
        assert len(pairs) > 10
        assert (pairs[True] > pairs[False]).all()


@pytest.mark.parametrize("name", ["gridA", "gridB"])
def test_bold_is_the_best_student_of_the_grid(name: str) -> None:
    students = table("chandrasegaran2022", name).query("teacher != '' and metric == 'top1'")
    best = students.loc[students["value"].idxmax()]
    assert best["bold"] and best["temperature"] == 1 and best["label_smoothing"] == 0.1
    assert students["bold"].sum() == 1


def test_bold_bleu_is_the_better_of_its_row() -> None:
    for _, row in table("chandrasegaran2022", "nmt").query("teacher != ''").groupby("temperature"):
        bold = row[row["bold"].astype(bool)]
        assert bold.empty or bold["value"].item() == row["value"].max()


def test_eta_is_negative_on_similar_classes_and_positive_on_the_rest() -> None:
    eta = table("chandrasegaran2022", "eta")
    assert (eta.query("class_set == 'S1'")["value"] < 0).all()
    assert (eta.query("class_set == 'S2'")["value"] > 0).all()
    assert eta.groupby(["split", "class_set"]).size().to_dict() == dict.fromkeys(
        [("train", "S1"), ("train", "S2"), ("val", "S1"), ("val", "S2")], 10
    )


def test_muller_figure_2_and_table_3_agree() -> None:
    for row in table("muller2019", "fig2").itertuples():
        same = {"dataset": row.dataset, "method": row.method, "metric": row.metric}
        assert lookup("muller2019", "table3", **same) == row.value


def test_shen_tables_2_and_7_agree_except_for_cut_spreads() -> None:
    keys = [name for name in KEYS if name != "table"]
    both = table("shen2021", "table2").merge(table("shen2021", "table7"), on=keys, suffixes=("", "_detail"))
    assert len(both) == 24
    assert (both["value"] == both["value_detail"]).all()
    differ = both[both["spread"] != both["spread_detail"]]
    assert (differ["doubt_detail"] != "").all()


def test_shen_tables_1_and_10_print_the_same_accuracies() -> None:
    keys = ["model", "method", "smoothed", "metric"]
    both = table("shen2021", "table1").merge(table("shen2021", "table10"), on=keys, suffixes=("", "_10"))
    assert len(both) == 28
    assert (both["value"] == both["value_10"]).all()


def test_disagreements_are_printed_where_they_say() -> None:
    disagreements = paper("shen2021").disagreements
    assert len(disagreements) == 11
    for entry in disagreements:
        places = {name: text for name, text in entry.items() if name != "what"}
        assert len(set(places.values())) > 1, entry
        for name, text in places.items():
            assert text in set(table("shen2021", name)["printed"]), (entry, name)


def test_lookup_finds_one_number() -> None:
    printed = lookup("shen2021", "table2", dataset="ImageNet-1K", model="ResNet-18", smoothed=True, metric="top1")
    assert printed == 71.816
    assert lookup("yuan2020", "table3", model="ResNet-50", metric="params") == pytest.approx(25.56e6, rel=1e-12)
    grid = {"dataset": "CUB200-2011", "metric": "top5", "label_smoothing": 0.1}
    assert lookup("chandrasegaran2022", "gridB", temperature=64, **grid) == 93.062
    assert lookup("chandrasegaran2022", "gridB", teacher="", **grid) == 96.168
    assert lookup("chandrasegaran2022", "gridB", temperature=None, **grid) == 96.168
    assert lookup("shen2021", "table5", dataset="iMaterialist 2019", metric="train_images") == 1e6


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("tabel2", {}, "no table 'tabel2'; there are table2"),
        ("table2", {"mdel": "ResNet-18"}, "no column 'mdel'; there are model"),
        ("table2", {"model": "ResNet18"}, "model='ResNet18'; there are ResNet-18"),
        (
            "table2",
            {"model": "ResNet-18"},
            "8 numbers of table2 fit; say also one of dataset: CUB200-2011, ImageNet-1K",
        ),
    ],
)
def test_lookup_names_the_nearest_choices(name: str, columns: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        lookup("shen2021", name, **columns)
    assert "\n" not in str(caught.value)


def test_unknown_paper() -> None:
    with pytest.raises(UserError, match="found 'mueller', allowed are muller2019"):
        paper("mueller")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["ResNet-18", "71.4 / 90.1", "3"], "found 3 entries, expected 1 keys and 1 cells"),
        (["ResNet-18", "71.4"], "give one number for each"),
        (["ResNet-18", "71.4 / 9O.1"], "found '9O.1', allowed is a number"),
    ],
)
def test_a_slip_in_a_data_file_is_named(row: list[str], message: str) -> None:
    damaged = {"source": "Table 1", "keys": ["model"], "cells": [{"metric": "top1 / top5"}], "rows": [row]}
    with pytest.raises(UserError, match=re.escape(message)):
        list(read._table("x.yaml: table1", "table1", damaged))
