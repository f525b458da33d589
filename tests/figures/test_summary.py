"""The rule for practitioners as a figure: ours by a loop, the paper's by look-up."""

import pandas as pd
import pytest

from lskd.errors import UserError
from lskd.figures import style, summary
from lskd.figures.render import render
from lskd.papers.read import lookup
from lskd.study import registry as tables
from tests.figures import synthetic


def frames(seeds=range(5), **how):
    rows = synthetic.runs(seeds=seeds, **how)
    return {"accuracy": synthetic.accuracy(rows), "diffusion": synthetic.diffusion(rows)}


def test_ours_is_a_loop_over_pairs_of_seeds():
    given = frames()
    assert set(tables.FIGURES["summary"].families) == set(given)
    table = summary.table(given, {})
    rows = given["accuracy"].query("role == 'student' and split == 'test' and metric == 'top1'")
    top1 = {(r["label_smoothing"], r["temperature"], r["seed"]): 100 * r["value"] for r in rows.to_dict("records")}
    ours = table[table["source"] == "ours"].to_dict("records")
    assert len(ours) == 7 and {(r["label_smoothing"], r["temperature"]) for r in ours} == {(0.1, 1.0)}
    for row in ours:
        other = row["other_label_smoothing"], row["other_temperature"]
        pairs = [top1[0.1, 1.0, seed] - top1[(*other, seed)] for seed in range(5)]
        assert row["mean"] == pytest.approx(sum(pairs) / 5, rel=1e-9)


@pytest.mark.parametrize(("grid", "metric"), [("gridA", "top1"), ("gridB", "top1"), ("nmt", "bleu")])
def test_the_papers_differences_are_those_of_its_grids(grid, metric):
    table = summary.table(frames(), {})
    rows = table[(table["source"] == "paper") & (table["grid"] == grid)].to_dict("records")
    assert len(rows) == 7
    printed = {"table": grid, "metric": metric}
    rule = lookup("chandrasegaran2022", **printed, label_smoothing=0.1, temperature=1)
    for row in rows:
        cell = {"label_smoothing": row["other_label_smoothing"], "temperature": row["other_temperature"]}
        assert row["mean"] == pytest.approx(rule - lookup("chandrasegaran2022", **printed, **cell))
        assert pd.isna(row["n"])


def test_the_page_states_the_rule_its_verdict_and_its_reason(tmp_path):
    given = frames()
    render(summary.table, summary.draw, given, {"scale": "demo"}, tmp_path / "summary", {})
    page = " ".join((tmp_path / "summary.md").read_text().replace("\\", "").split())
    assert page.startswith("The rule: as a rule of thumb, use an LS-trained teacher")
    assert (
        "the rule" in page
        and "of the 7 others" in page
        and "(resnet8-w4, α = 0.1 against none): falls, as pred" in page
    )
    assert "One family of 8 claims (7 comparisons with the rule and 1 prediction)" in page
    assert "paper, ImageNet-1K | paper, CUB200-2011 | paper, IWSLT En-De, BLEU" in page
    assert "+5.39 | +7.33 | +18.52" in page  # no smoothing, T = 64: 71.616 - 66.230, 80.946 - 73.611, 25.085 - 6.564


def test_other_temperatures_have_no_number_of_the_papers():
    table = summary.table(frames(temperatures=(1.0, 8.0)), {})
    columns, rows = table.attrs["columns"], table.attrs["rows"]
    at = columns.index("paper, ImageNet-1K")
    assert [row[at] for row in rows if "T = 8" in row[2]] == ["—", "—"]
    assert [row[at] for row in rows if "T = 8" not in row[2]] == ["+0.07"]


def test_without_diffusion_the_verdict_stands_alone():
    given = frames()
    assert "diffusion" not in summary.table({"accuracy": given["accuracy"]}, {}).attrs["caption"]


def test_two_seeds_cannot_tell_and_t_1_is_needed():
    assert "With 2 seeds it cannot be told on digits" in summary.table(frames(seeds=(0, 1)), {}).attrs["caption"]
    given = frames()
    above = given["accuracy"]["temperature"] != 1
    with pytest.raises(UserError, match="summary: found T 2, 3, 64; it takes"):
        summary.table({"accuracy": given["accuracy"][above]}, {})


def test_filled_where_shown_and_coloured_by_the_others_smoothing():
    given = frames()
    table = summary.table(given, {})
    with style.context():
        figure = summary.draw(table, given, {})
    ours = table[table["source"] == "ours"]
    dots = [
        line for line in figure.subfigs[0].axes[0].lines if line.get_marker() in "os^D" and len(line.get_xdata()) == 1
    ]
    assert [line.get_color() for line in dots] == [style.alpha_colour(a) for a in ours["other_label_smoothing"]]
    filled = [line.get_markerfacecolor() != "white" for line in dots]
    assert filled == list(ours["verdict"] != "cannot tell") and any(filled) and not all(filled)
    drawn = [line for line in figure.subfigs[0].axes[1].lines if line.get_marker() in "x+"]
    assert len(drawn) == 14
