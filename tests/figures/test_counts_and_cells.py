"""Sizes and counts beside the papers', the smoothed loss in closed form, and how cells of tables are written."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.figures import rows
from lskd.figures.smoothed_loss import loss
from lskd.figures.text_table import escape, latex, markdown
from tests.figures.synthetic import frames_for
from tests.figures.test_numbers import module


def test_a_data_card_says_where_the_paper_prints_another_size():
    frames, options = frames_for("data_card")
    table = module("data_card").table(frames, options)
    ours, theirs = (dict(zip(table.attrs["columns"], row, strict=True)) for row in table.attrs["rows"])
    assert (theirs["Classes"], theirs["Train"], theirs["Test"]) == ("1,000", "115,846", "50,000 (paper: 20,000)")
    assert (theirs["Val"], theirs["Imbalance"], theirs["Head"], theirs["Rare"]) == ("20,000", "256", "385", "136")
    assert (ours["Train"], ours["Val"], ours["Test"]) == ("3,600", "540 of train", "3,840")
    assert table["paper_train"].tolist()[1] == 115846 and table["paper_train"].isna().tolist() == [True, False]


def test_complexity_counts_stand_beside_the_papers():
    frames, options = frames_for("complexity")
    table = module("complexity").table(frames, options)
    own = table[(table["model"] == "resnet18") & (table["metric"] == "parameters")].iloc[0]
    assert (own["ours"], own["paper"]) == (11_689_512, 11.69e6)
    assert own["difference"] == pytest.approx(11_689_512 - 11.69e6)
    assert table.loc[table["paper_model"] == "GoogLeNet", "ours"].isna().all()
    smaller = frames["complexity"].assign(image="3x32x32")
    assert module("complexity").table({"complexity": smaller}, options)["difference"].isna().all()
    assert table.loc[table["metric"] == "multiply_adds", "paper"].isna().all()


def test_the_papers_resnext29_is_compared_at_the_image_that_it_is_made_for():
    frames, options = frames_for("complexity")
    counted = {"model": "resnext29_8x64d", "parameters": 34_518_948, "multiply_adds": 5_387_000_000, "flops": 5.4e9}
    for image, is_compared in [("3x32x32", True), ("3x224x224", False)]:
        own = pd.DataFrame([counted | {"image": image}])
        table = module("complexity").table({"complexity": own}, options)
        row = table[(table["model"] == "resnext29_8x64d") & (table["metric"] == "parameters")].iloc[0]
        assert row["paper"] == 34.52e6 and row["paper_model"] == "ResNeXt-29 8x64d"
        assert (not math.isnan(row["difference"])) == is_compared


@given(st.floats(-30, 30), st.floats(0, 0.49))
def test_the_smoothed_loss_is_a_cross_entropy(logit, alpha):
    p = 1 / (1 + math.exp(-logit))
    expected = -(1 - alpha) * math.log(p) + (alpha * (logit + math.log1p(math.exp(-logit))) if alpha else 0)
    assert loss(np.array(logit), alpha) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(st.floats(0.01, 0.49))
def test_the_smoothed_loss_is_smallest_where_it_says(alpha):
    best = math.log((1 - alpha) / alpha)
    assert loss(best, alpha) <= min(loss(best - 0.01, alpha), loss(best + 0.01, alpha))


def test_cells():
    nan = math.nan
    assert rows.cell(71.428, 0.0384, 3) == "71.43 ± 0.04 (3)"
    assert rows.cell(-0.5, nan, 1, 1) == "−0.5 (1)"
    assert rows.cell(nan, nan, 0) == "—"
    assert rows.number(0.25, 1, sign=True) == "+0.2"


def test_text_tables_escape():
    assert escape("a_b & 5% ± 1 #{x} ~ \\") == r"a\_b \& 5\% $\pm$ 1 \#\{x\} \textasciitilde{} \textbackslash{}"
    text = latex("100 %", ["α", "T_1"], [["0.1", "a & b"]])
    assert r"\caption{100 \%}" in text and r"$\alpha$ & T\_1 \\" in text and r"0.1 & a \& b \\" in text
    assert "| x\\|y | 1 |" in markdown("c", ["a", "b"], [["x|y", "1"]])


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40))
def test_escaped_latex_has_no_bare_specials(text):
    plain = escape(text)
    for token in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", "$<$", "$>$", "$|$"):
        plain = plain.replace(token, "")
    for character in "&%$#_{}":
        plain = plain.replace(f"\\{character}", "")
    assert not set(plain) & set("&%$#_{}~^\\<>|")
