"""The verdict as a figure: its numbers, its words in each output, its looks."""

from itertools import combinations

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lskd.analysis import wording
from lskd.analysis.family import CANNOT_TELL
from lskd.errors import UserError
from lskd.figures import style, summary
from lskd.figures import verdict as kind
from lskd.figures.render import render
from lskd.study import registry as tables
from tests.figures import synthetic
from tests.figures.test_pictures import texts


def frames(families=("accuracy", "correct", "diffusion", "stability", "calibration"), seeds=range(5), **how):
    rows = synthetic.runs(seeds=seeds, **how)
    return {name: getattr(synthetic, name)(rows) for name in families}


def flat(text):
    return " ".join(text.replace("\\", "").split())


def drawn(module, given, options=None):
    """The figure and its visible texts with their boxes, in pixels."""
    with style.context():
        figure = module.draw(module.table(given, options or {}), given, options or {})
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return figure, [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts(figure)]


def test_the_families_are_the_ones_of_the_table():
    assert set(tables.FIGURES["verdict"].families) <= set(frames())


def test_all_outputs_say_the_answer(tmp_path):
    given = frames()
    render(kind.table, kind.draw, given, {"scale": "demo"}, tmp_path / "verdict", {})
    numbers = pd.read_csv(tmp_path / "verdict.csv")
    counts = numbers["question"].value_counts().to_dict()
    about_students = {"same T": 4, "interaction": 3, "omnibus": 1, "best on val": 7, "choice": 1}
    assert counts == about_students | {"prediction": 1 + 1 + 2 * 2 * 2, "calibration": 4}
    assert numbers["n"].eq(5).all() and numbers.loc[numbers["question"] == "same T", "low_images"].notna().all()
    (answer,) = wording.sentences(kind.table(given, {}))
    page = flat((tmp_path / "verdict.md").read_text())
    assert page.startswith(answer) and "Measured on digits at demo scale" in page
    assert "Not measured here" not in page and page.count("| Predicted: ") == 10
    assert r"$\alpha$ = 0.1" in (tmp_path / "verdict.tex").read_text()
    figure, _ = drawn(kind, given)
    assert figure.subfigs[0].get_suptitle().replace("\xa0", " ").replace("\n", " ") == answer


def test_the_caption_says_how_it_was_judged():
    registered = {"date": "2026-01-02", "file": "registrations/demo/s.json", "differences": ["seeds: 3 -> 5"]}
    options = {"margin": 0.25, "looks": [3], "registered": registered}
    caption = kind.table(frames(), options).attrs["caption"]
    for part in (
        "One family of 13 claims (4 effects of smoothing",
        "compared with 0.025; their intervals hold together with 97.5 %",
        "two one-sided tests within 0.25 points (as the study says)",
        "without a plan, at 3 seeds. Over all looks the chance of any false claim is at most 0.075",
        "Registered on 2026-01-02, before its test numbers existed",
        "but today's study differs: seeds: 3 -> 5.",
        "falls in 1 of 1 normalisations",
        "seeds and test images drawn anew",
        "The best on val, α = 0.1, T = 1, has ",
    ):
        assert part in caption, part
    plain = kind.table(frames(("accuracy",)), {}).attrs["caption"]
    assert "Not registered: this study was explored." in plain and "drawn anew" not in plain


def test_differences_are_those_of_a_loop():
    given = frames()
    table = kind.table(given, {})
    accuracies = given["accuracy"].query("role == 'student' and split == 'test' and metric == 'top1'")
    top1 = {
        (r["label_smoothing"], r["temperature"], r["seed"]): 100 * r["value"] for r in accuracies.to_dict("records")
    }
    rows = table[table["question"] == "same T"].to_dict("records")
    assert [row["temperature"] for row in rows] == [1, 2, 3, 64]
    for row in rows:
        pairs = [top1[0.1, row["temperature"], s] - top1[0.0, row["temperature"], s] for s in range(5)]
        assert row["mean"] == pytest.approx(sum(pairs) / 5, rel=1e-9)
        assert row["low"] < row["low_equivalence"] < row["mean"] < row["high_equivalence"] < row["high"]


def test_without_other_families_it_says_what_was_not_measured():
    caption = kind.table(frames(("accuracy",)), {}).attrs["caption"]
    assert "Not measured here: η, stability, calibration." in caption
    assert (
        "Not measured here: stability."
        in kind.table(frames(("accuracy", "diffusion", "calibration")), {}).attrs["caption"]
    )


def test_two_seeds_cannot_tell():
    table = kind.table(frames(seeds=(0, 1)), {})
    assert set(table["verdict"]) == {CANNOT_TELL}
    assert table.attrs["caption"].startswith("With 2 seeds it cannot be told whether smoothing the teacher")


@pytest.mark.parametrize("module", [kind, summary], ids=["verdict", "summary"])
def test_networks_without_students_are_a_users_error(module):
    with pytest.raises(UserError, match="accuracy: no rows have role student; there are baseline, teacher"):
        module.table(frames(students=False), {})


@pytest.mark.parametrize("module", [kind, summary], ids=["verdict", "summary"])
def test_two_data_sets_and_two_smoothings_fit_without_overlap(module):
    rows = synthetic.runs(alphas=(0.0, 0.1, 0.3))
    other = [r | {"dataset": "fashion_mnist", "run": f"f/{r['run']}", "teacher": f"f/{r['teacher']}"} for r in rows]
    given = {name: getattr(synthetic, name)([*rows, *other]) for name in frames()}
    figure, boxes = drawn(module, given, {"title": "A study"})
    width, height = figure.canvas.get_width_height()
    assert len(figure.subfigs) == 2 and figure.get_suptitle() == "A study"
    for text, box in boxes:
        assert box.x0 >= -2 and box.y0 >= -2 and box.x1 <= width + 2 and box.y1 <= height + 2, f"{text!r} is cut off"
    for (one, a), (two, b) in combinations(boxes, 2):
        across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or up <= 1.5, f"{one!r} and {two!r} overlap"
    assert sum(len(text) > 80 for text, _ in boxes) == 2


@pytest.mark.parametrize("module", [kind, summary], ids=["verdict", "summary"])
@pytest.mark.parametrize("seeds", [(4,), (0, 1, 2)], ids=["one seed", "three seeds"])
def test_the_same_bytes_from_rows_in_any_order(module, seeds, tmp_path):
    given = frames(seeds=seeds)
    shuffled = {name: frame.sample(frac=1, random_state=5) for name, frame in given.items()}
    for folder, rows in (("a", given), ("b", shuffled)):
        render(module.table, module.draw, rows, {}, tmp_path / folder / "f", {"code": "abc"})
    for ending in ("png", "svg", "pdf", "csv", "md", "tex", "html"):
        assert (tmp_path / f"a/f.{ending}").read_bytes() == (tmp_path / f"b/f.{ending}").read_bytes()


def test_the_looks_of_a_verdict():
    with style.context():
        given = frames()
        table = kind.table(given, {"margin": 0.7})
        figure = kind.draw(table, given, {})
    panel = figure.subfigs[0].axes[0]
    dots = [line for line in panel.lines if line.get_marker() in "os^D" and len(line.get_xdata()) == 1]
    assert [line.get_marker() for line in dots] == [*"os^D", *"s^D"]  # T = 1, 2, 3, 64, then the last three against 1
    rows = table[table["question"].isin(["same T", "interaction"])]
    assert [line.get_color() for line in dots] == [kind.LOOKS_BETWEEN[word]["color"] for word in rows["verdict"]]
    filled = [line.get_markerfacecolor() != "white" for line in dots]
    assert filled == [word != CANNOT_TELL for word in rows["verdict"]] and any(filled) and not all(filled)
    (band,) = panel.patches
    assert (band.get_x(), band.get_width()) == pytest.approx((-0.7, 1.4))
    ends = [tuple(path.vertices[:, 0]) for lines in panel.collections for path in lines.get_paths()]
    for row in rows.to_dict("records"):
        for low, high in (("low", "high"), ("low_equivalence", "high_equivalence"), ("low_images", "high_images")):
            assert any(one == pytest.approx((row[low], row[high])) for one in ends), (low, row["temperature"])
