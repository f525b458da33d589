"""The causes as a figure: its words in each output, its rows in plain words, its looks."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lskd.analysis import cause_words
from lskd.errors import UserError
from lskd.figures import causes as kind
from lskd.figures import style
from lskd.figures.render import render
from lskd.study import registry
from tests.analysis import taught
from tests.figures.test_pictures import texts

TWO = (("resnet8-w16", "resnet8-w4"), ("resnet20-w16", "mlp-w128"))


def like_real(kind, way, transform, keep, teachers_t, t, soft):
    """Mostly softness, some erasure, and what losses add."""
    erased = 1 - np.nan_to_num(keep, nan=1.0) if transform == "erase" else 1.0 * (transform in ("shuffle", "randomize"))
    return 74 - 0.5 * (soft - 1.5) ** 2 - 1.2 * erased - 0.3 * (kind == "LS") + 0.4 * (way == "dkd")


@pytest.fixture(scope="module")
def frames():
    return taught.study(like_real, noise=0.1, networks=TWO)


def test_all_outputs_say_the_answer(frames, tmp_path):
    about = render(kind.table, kind.draw, frames, {"scale": "demo"}, tmp_path / "causes", {})
    numbers = pd.read_csv(tmp_path / "causes.csv")
    answer = " ".join(cause_words.sentences(kind.table(frames, {})))
    assert about["answer"] == answer and about["caption"].startswith(answer)
    assert numbers["question"].iloc[0] == "cause" and (numbers["question"] == "cause").sum() == 8
    page = " ".join((tmp_path / "causes.md").read_text().replace("\\", "").split())
    assert page.startswith(answer) and "Measured on digits at demo scale" in page


def test_the_caption_says_how_it_was_judged(frames):
    registered = {"date": "2026-01-02", "file": "registrations/demo/s.json", "differences": []}
    options = {"margin": 0.25, "looks": [3], "registered": registered}
    caption = kind.table(frames, options).attrs["caption"]
    for part in (
        "One family of 54 claims",
        "compared with 0.025",
        "two one-sided tests within 0.25 points (as the study says)",
        "without a plan, at 3 seeds",
        "Registered on 2026-01-02, before its test numbers existed (registrations/demo/s.json).",
        "between the students of one seed",
    ):
        assert part in caption, part


def test_every_row_is_in_plain_words(frames):
    table = kind.table(frames, {})
    rows = [dict(zip(table.attrs["columns"], row, strict=True)) for row in table.attrs["rows"]]
    assert all(row["Compared"] and row["Verdict"] and "{" not in row["Compared"] + row["With"] for row in rows)
    claims = table["weight"] > 0
    keys = [(row["Data: student ← teacher"], row["Cause"], row["Compared"], row["With"]) for row in rows]
    claimed = [key for key, is_claim in zip(keys, claims, strict=True) if is_claim and key[2] != "that gap"]
    assert len(set(claimed)) == len(claimed)
    assert set(table["what"]) - set(cause_words.CAUSES) == set(kind.COMPARED)
    shares = [row for row in rows if row["Remains"] != "—"]
    assert len(shares) == table["share"].notna().sum() > 0


def test_one_pair_is_named_in_the_answer_alone():
    table = kind.table(taught.study(like_real, seeds=range(3)), {})
    assert kind.NETWORKS not in table.attrs["columns"]


@pytest.mark.parametrize("seeds", [range(8), (4,)], ids=["eight seeds", "one seed"])
def test_no_text_overlaps_or_leaves_the_picture_or_is_small(seeds):
    frames = taught.study(like_real, noise=0.1, seeds=seeds, networks=TWO)
    with style.context():
        figure = kind.draw(kind.table(frames, {}), frames, {})
        style.settle(figure)
        figure.set_layout_engine(None)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts(figure)]
        assert min(text.get_fontsize() for text in texts(figure)) >= 7
        width, height = canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, f"{text!r} is cut off"
    for (one, a), (two, b) in combinations(boxes, 2):
        across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= -3 or up <= 1.5, f"{one!r} and {two!r} overlap or touch"


def test_the_panels_show_the_numbers(frames):
    table = kind.table(frames, {})
    figure = kind.draw(table, frames, {})
    t, softness, dose, gaps = figure.subfigs[0].axes[:4]
    part = table[table["pair"] == table["pair"].iloc[0]]
    plain = part[part["what"].isin(["plain", "plain, other T"])].sort_values("temperature")
    lines = [line.get_ydata() for line in t.lines]
    assert lines[0] == pytest.approx(plain["other"].to_numpy()) and lines[1] == pytest.approx(plain["this"].to_numpy())
    assert softness.lines[0].get_xdata() == pytest.approx(
        [taught.entropy("hard", "kd", "none", degree) for degree in taught.DEGREES]
    )
    assert len(softness.lines) == 4  # both teachers, along T and along the teacher's T alone
    slope = part[part["what"] == "slope"].iloc[0]
    drawn = dose.lines[0].get_ydata()
    assert np.polyfit([*taught.KEEPS, 1.0], drawn, 1)[0] == pytest.approx(slope["mean"])
    gap_rows = part[part["what"].isin(kind.GAPS)]
    points = [line.get_xdata()[0] for line in gaps.lines if line.get_marker() == "o"]
    assert sorted(points) == pytest.approx(sorted(gap_rows["mean"]))


def test_twice_the_same_bytes_whatever_the_order(tmp_path):
    frames = taught.study(like_real, seeds=range(3))
    shuffled = {name: frame.sample(frac=1, random_state=1) for name, frame in frames.items()}
    for name, own in (("a", frames), ("b", shuffled)):
        render(kind.table, kind.draw, own, {}, tmp_path / name / "f", {})
    for ending in ("png", "svg", "csv", "md", "html"):
        assert (tmp_path / "a" / f"f.{ending}").read_bytes() == (tmp_path / "b" / f"f.{ending}").read_bytes()


def test_plain_distillation_alone_is_drawn(tmp_path):
    """As in a study that has no intervention, of one seed."""

    def bare(kind, way, transform, keep, teachers_t, t):
        return (way, transform) == ("kd", "none") and teachers_t == t in (1.0, 3.0) and kind in ("hard", "LS")

    frames = taught.study(like_real, seeds=(0,), students=1, only=bare)
    about = render(kind.table, kind.draw, frames, {}, tmp_path / "f", {})
    assert "cannot be told to help or hurt its student resnet8-w4 at T = 3 (1 seed)" in about["answer"]


def test_no_rows_is_a_users_error(frames):
    with pytest.raises(UserError, match="accuracy: "):
        kind.table({name: frame.iloc[:0] for name, frame in frames.items()}, {})


def test_the_registry_has_its_families_and_judges():
    assert (
        set(registry.FIGURES["causes"].families) == set(taught.FAMILIES)
        and registry.FIGURES["causes"].judges == "students"
    )
