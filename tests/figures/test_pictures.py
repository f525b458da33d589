"""Every figure kind as a picture: bytes, metadata, no overlaps, one seed, no rows."""

import importlib
import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from lskd import tables
from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.render import read_frames, render
from tests.figures.synthetic import frames_for

KINDS = sorted(set(tables.FIGURES) - {"summary", "verdict"})  # tested where their statistics are
ENDINGS = ("png", "svg", "pdf", "csv", "md", "tex", "html")
LONG = dict(
    zip(
        "0123456789", "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle-boot".split(), strict=True
    )
)
ORIGIN = {"spec": '{"kind":"x"}', "code": "abc", "inputs": "{}"}


def module(kind):
    return importlib.import_module(tables.FIGURES[kind].module)


def rendered(kind: str, out: Path, frames, options) -> dict[str, bytes]:
    made = module(kind)
    render(made.table, made.draw, frames, options | {"scale": "demo"}, out, ORIGIN)
    return {ending: out.with_name(f"{out.name}.{ending}").read_bytes() for ending in ENDINGS}


def renamed(frames, options):
    """The same with long class names."""
    made = {}
    for family, frame in frames.items():
        columns = [c for c in ("class", "predicted", "target") if c in frame]
        made[family] = frame.assign(**{c: frame[c].replace(LONG) for c in columns})
        if "classes" in frame and family == "clusters":
            made[family]["classes"] = "|".join(LONG[c] for c in "396")
    return made, options | {"classes": [LONG[c] for c in options.get("classes", [])]}


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_same_bytes_and_no_date(kind, tmp_path):
    frames, options = frames_for(kind)
    first = rendered(kind, tmp_path / "a" / "f", frames, options)
    shuffled = {
        name: frame.sort_values("seed", ascending=False, kind="stable") if "seed" in frame else frame
        for name, frame in frames.items()
    }
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None}):  # a user's own settings do not matter
        second = rendered(kind, tmp_path / "b" / "f", frames, options)
    assert first == second
    assert not re.search(rb"<dc:date>|CreationDate", first["svg"] + first["pdf"])
    assert b"abc" in first["svg"] and b"abc" in first["png"]
    third = rendered(kind, tmp_path / "c" / "f", shuffled, options)
    assert third == first  # whatever the order of the seeds


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_overlaps_or_leaves_the_picture_or_is_small(kind, long):
    frames, options = renamed(*frames_for(kind)) if long else frames_for(kind)
    with style.context():
        figure = module(kind).draw(module(kind).table(frames, options), frames, options)
        figure.get_layout_engine().execute(figure)  # once, as the stage does
        figure.set_layout_engine(None)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(figure)]
        assert min(text.get_fontsize() for text in texts(figure)) >= 7
        width, height = canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, f"{text!r} is cut off"
    for (one, a), (two, b) in combinations(boxes, 2):
        across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= -3 or up <= 1.5, f"{one!r} and {two!r} overlap or touch"
    assert figure.get_figwidth() in (style.COLUMN, style.DOUBLE) or style.COLUMN < figure.get_figwidth() < style.DOUBLE


def texts(figure):
    """All visible, filled texts; ticks outside their axis's limits are not drawn."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low - slack <= tick.get_loc() <= high + slack:
                    hidden |= {tick.label1, tick.label2}
    found = figure.findobj(lambda a: isinstance(a, Text) and a.get_visible() and a.get_text().strip())
    return [text for text in found if text not in hidden and shown(text)]


def shown(text) -> bool:
    """Rotated tick labels cross in bounding boxes alone."""
    return text.get_rotation() % 90 == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("smoothed_loss", "complexity")])
def test_one_seed_has_n_1_and_no_spread(kind, tmp_path):
    frames, options = frames_for(kind, seeds=(4,))
    rendered(kind, tmp_path / "f", frames, options)
    table = pd.read_csv(tmp_path / "f.csv")
    if "n" in table:
        own = table[table["n"].notna()]
        assert len(own) and (own["n"] == 1).all()
        assert own[[c for c in own if c in ("spread", "ece_spread")]].isna().all(axis=None)
        assert "1 seed, so no spread" in (tmp_path / "f.md").read_text()
    else:
        assert "seed 4 (n = 1)" in (tmp_path / "f.md").read_text()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "smoothed_loss"])
def test_no_rows_is_a_users_error(kind):
    frames, options = frames_for(kind)
    with pytest.raises(UserError) as error:
        module(kind).table({name: frame.iloc[:0] for name, frame in frames.items()}, options)
    assert "\n" not in str(error.value)


def test_a_title_is_drawn(tmp_path):
    frames, options = frames_for("grid")
    made = module("grid")
    figure = made.draw(made.table(frames, options), frames, options | {"title": "Grid A"})
    assert figure.get_suptitle() == "Grid A"


def test_the_metadata_names_spec_code_and_inputs(tmp_path):
    frames, options = frames_for("smoothed_loss")
    found = rendered("smoothed_loss", tmp_path / "v1.5", frames, options)  # a name with a dot keeps it
    text = found["svg"].decode()
    described = re.search(r"<dc:description>(.*?)</dc:description>", text)
    assert described and json.loads(described[1].replace("&quot;", '"')) == ORIGIN


def test_a_truncated_table_is_one_line(tmp_path):
    path = tmp_path / "accuracy.parquet"
    frames_for("grid")[0]["accuracy"].to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="accuracy.parquet: cannot be read as Parquet"):
        read_frames([path])
    with pytest.raises(UserError, match="missing.parquet: cannot be read"):
        read_frames([tmp_path / "missing.parquet"])


def test_no_kind_imports_torch():
    names = [figure.module for figure in tables.FIGURES.values()]
    code = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], timeout=60).returncode == 0


def test_from_the_shell(tmp_path):
    frames, options = frames_for("grid")
    frames["accuracy"].to_parquet(tmp_path / "accuracy.parquet")
    spec = json.dumps({"kind": "grid", "options": options})
    command = [sys.executable, "-m", "lskd.figures.render", "--spec", spec, "--out", str(tmp_path / "grid")]
    command += ["--frames", str(tmp_path / "accuracy.parquet")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert all((tmp_path / f"grid.{ending}").stat().st_size for ending in ENDINGS)
    assert b"accuracy.parquet" in (tmp_path / "grid.png").read_bytes()
    command[-1] = str(tmp_path / "other.parquet")
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
