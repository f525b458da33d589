"""The verdict as a figure: its numbers, its words in each output, its looks."""

from itertools import combinations

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lskd.analysis import comparisons, wording
from lskd.errors import UserError
from lskd.figures import style, summary
from lskd.figures import verdict as kind
from lskd.figures.render import render
from lskd.study import registry as tables
from tests.figures import synthetic
from tests.figures.test_pictures import texts


def frames(families=("accuracy", "diffusion", "stability"), **how):
    rows = synthetic.runs(**how)
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
    assert set(tables.FIGURES["verdict"].families) == set(frames())


def test_all_outputs_say_the_sentence(tmp_path):
    given = frames()
    render(kind.table, kind.draw, given, {"scale": "demo"}, tmp_path / "verdict", {})
    numbers = pd.read_csv(tmp_path / "verdict.csv")
    assert len(numbers) == 4 + 1 + 5
    assert numbers["n"].eq(3).all() and numbers["spread"].notna().all()
    (sentence,) = wording.sentences(kind.table(given, {}))
    page = flat((tmp_path / "verdict.md").read_text())
    assert page.startswith(sentence) and "Measured on digits at demo scale" in page
    assert "not measured" not in page and page.count("| Predicted: ") == 5
    assert r"$\alpha$ = 0.1" in (tmp_path / "verdict.tex").read_text()
    figure, _ = drawn(kind, given)
    assert figure.subfigs[0].get_suptitle().replace("\xa0", " ").replace("\n", " ") == sentence


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
        pairs = [top1[0.1, row["temperature"], s] - top1[0.0, row["temperature"], s] for s in range(3)]
        assert row["mean"] == pytest.approx(sum(pairs) / 3, rel=1e-9)
        assert row["low"] < row["mean"] < row["high"]


def test_without_diffusion_and_stability_it_says_what_was_not_measured():
    given = frames(("accuracy",))
    caption = kind.table(given, {}).attrs["caption"]
    assert (
        "not measured here: η below 0 towards similar classes (S1); η above 0 towards other classes (S2); LS" in caption
    )


def test_two_seeds_cannot_tell():
    table = kind.table(frames(seeds=(0, 1)), {})
    assert set(table["verdict"]) == {comparisons.CANNOT_TELL}
    assert table.attrs["caption"].startswith("With 2 seeds it cannot be told whether smoothing the teacher")


@pytest.mark.parametrize("module", [kind, summary], ids=["verdict", "summary"])
def test_networks_without_students_are_a_users_error(module):
    with pytest.raises(UserError, match="accuracy: no rows have role student; there are baseline, teacher"):
        module.table(frames(students=False), {})


@pytest.mark.parametrize("module", [kind, summary], ids=["verdict", "summary"])
def test_two_data_sets_and_two_smoothings_fit_without_overlap(module):
    rows = synthetic.runs(alphas=(0.0, 0.1, 0.3))
    other = [r | {"dataset": "fashion_mnist", "run": f"f/{r['run']}", "teacher": f"f/{r['teacher']}"} for r in rows]
    given = {name: getattr(synthetic, name)([*rows, *other]) for name in ("accuracy", "diffusion", "stability")}
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
        table = kind.table(given, {})
        figure = kind.draw(table, given, {})
    panel = figure.subfigs[0].axes[0]
    dots = [line for line in panel.lines if line.get_marker() in "os^D" and len(line.get_xdata()) == 1]
    assert [line.get_marker() for line in dots] == ["o", "s", "^", "D"]  # T = 1, 2, 3, 64 as in every figure
    words = table.loc[table["question"] == "same T", "verdict"]
    assert [line.get_color() for line in dots] == [kind.LOOKS[word]["color"] for word in words]
    stars = [label.get_text().endswith(" *") for label in figure.subfigs[0].axes[1].get_yticklabels()]
    assert stars == [word in ("helps", "hurts") for word in words] and any(stars)
