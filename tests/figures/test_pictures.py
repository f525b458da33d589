"""Every figure kind as a picture: bytes, metadata, no overlaps, one seed, no rows."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from lskd.errors import UserError
from lskd.figures import style
from lskd.figures.render import render, run
from lskd.io.layout import FILES
from lskd.io.seal import seal
from lskd.io.tables import read_table, write_table
from lskd.jobs.environment import mixed
from lskd.jobs.work import Work
from lskd.study import registry as tables
from tests.figures.synthetic import frames_for

KINDS = sorted(set(tables.FIGURES) - {"causes", "summary", "verdict"})  # tested where their statistics are
ENDINGS = ("png", "svg", "pdf", "csv", "md", "tex", "html")
LONG = dict(
    zip(
        "0123456789", "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle-boot".split(), strict=True
    )
)
ORIGIN = {"title": "demo/study/x", "address": "0123456789", "spec": {"kind": "x"}}


def module(kind):
    return importlib.import_module(tables.FIGURES[kind].module)


def rendered(kind: str, out: Path, frames, options) -> dict[str, bytes]:
    drawer = module(kind)
    render(drawer.table, drawer.draw, frames, options | {"scale": "demo"}, out, ORIGIN)
    return {ending: out.with_name(f"{out.name}.{ending}").read_bytes() for ending in ENDINGS}


def renamed(frames, options):
    """The same with long class names."""
    renamed_frames = {}
    for family, frame in frames.items():
        columns = [c for c in ("class", "predicted", "target") if c in frame]
        renamed_frames[family] = frame.assign(**{c: frame[c].replace(LONG) for c in columns})
        if "classes" in frame and family == "clusters":
            renamed_frames[family]["classes"] = "|".join(LONG[c] for c in "396")
    return renamed_frames, options | {"classes": [LONG[c] for c in options.get("classes", [])]}


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
    assert all(ORIGIN["address"].encode() in first[ending] for ending in ("png", "svg", "pdf"))
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
    filled = figure.findobj(lambda a: isinstance(a, Text) and a.get_visible() and a.get_text().strip())
    return [text for text in filled if text not in hidden and shown(text)]


def shown(text) -> bool:
    """Rotated tick labels cross in bounding boxes alone."""
    return text.get_rotation() % 90 == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("smoothed_loss", "complexity", "data_card")])
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
    grid = module("grid")
    figure = grid.draw(grid.table(frames, options), frames, options | {"title": "Grid A"})
    assert figure.get_suptitle() == "Grid A"


def test_the_metadata_names_title_address_and_spec(tmp_path):
    frames, options = frames_for("smoothed_loss")
    contents = rendered("smoothed_loss", tmp_path / "v1.5", frames, options)  # a name with a dot keeps it
    text = contents["svg"].decode()
    described = re.search(r"<dc:description>(.*?)</dc:description>", text)
    assert described and json.loads(described[1].replace("&quot;", '"')) == ORIGIN


def test_a_truncated_table_is_one_line(tmp_path):
    path = tmp_path / "accuracy.parquet"
    frames_for("grid")[0]["accuracy"].to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="accuracy.parquet: cannot be read as Parquet"):
        read_table(path)
    with pytest.raises(UserError, match="missing.parquet: cannot be read"):
        read_table(tmp_path / "missing.parquet")


def test_no_kind_imports_torch():
    names = [figure.module for figure in tables.FIGURES.values()]
    code = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], timeout=60).returncode == 0


def work_of(tmp_path, kind: str = "grid", environments=({},)) -> Work:
    """A figure's job over one metric for each of `environments`, which its runs were made on."""
    frames, options = frames_for(kind)
    inputs = {}
    for i, (family, environment) in enumerate(zip(frames, environments, strict=True)):
        folder = tmp_path / f"{family}-{i:010}"
        write_table(folder / "metrics.parquet", pa.Table.from_pandas(frames[family], preserve_index=False), {})
        run = {"folder": f"predictions/digits/mlp/r/ls0/seed{i}-0000000000"}
        about = {"title": f"demo/study/mine/{family}", "address": f"{i:010}", "inputs": {"predict a run": run}}
        seal(folder, ["metrics.parquet"], about | {"made_on": environment})
        inputs[family] = folder
    folder = tmp_path / "figure-9999999999"
    spec = {"kind": kind, "study": "study", "figure": "mine", "scale": "demo", "options": options}
    functions = {"table": module(kind).table, "draw": module(kind).draw, "run": run}
    return Work("demo/study/mine", "9999999999", spec, folder, inputs, functions)


def test_the_stage_writes_every_ending(tmp_path):
    work = work_of(tmp_path)
    run(work)
    assert sorted(path.name for path in work.folder.iterdir()) == sorted(FILES["figure"])
    assert b"9999999999" in (work.folder / "figure.png").read_bytes()
    assert "These runs mix" not in (work.folder / "figure.md").read_text()


def test_what_a_figure_says_of_itself_is_in_its_json(tmp_path):
    work = work_of(tmp_path)
    run(work)
    about = json.loads((work.folder / "figure.json").read_text())
    table = module("grid").table(frames_for("grid")[0], {"study": "study"})
    assert about["formula"] == module("grid").FORMULA
    assert (about["columns"], about["rows"]) == (table.attrs["columns"], table.attrs["rows"])
    assert about["caption"] in re.sub("<[^>]*>", "", (work.folder / "figure.html").read_text())
    named = {"kind": "grid", "study": "study", "figure": "mine", "title": "mine", "scale": "demo", "answer": ""}
    assert {key: about[key] for key in named} == named
    runs = ["predictions/digits/mlp/r/ls0/seed0-0000000000"]
    assert about["from"] == [{"title": "demo/study/mine/accuracy", "address": "0000000000", "runs": runs}]


@pytest.mark.parametrize("kind", tables.FIGURES)
def test_every_kind_has_its_formula_beside_it(kind):
    assert len(module(kind).FORMULA) > 40
    assert "FORMULA" in inspect.getsource(module(kind).table)  # so that its fingerprint covers it


def test_a_damaged_or_missing_metric_is_one_line(tmp_path):
    work = work_of(tmp_path)
    path = work.inputs["accuracy"] / "metrics.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="metrics.parquet: damaged"):
        run(work)
    path.unlink()
    with pytest.raises(UserError, match="metrics.parquet: cannot be read"):
        run(work)
    assert not work.folder.exists()


def test_mixed_names_what_runs_do_not_share():
    one = {"device": ["CPU (x86_64)"], "torch": ["2.13.0"], "precision": ["float32"]}
    two = {"device": ["NVIDIA H100"], "torch": ["2.13.0"], "precision": ["float32"]}
    assert mixed([]) == mixed([one]) == mixed([one, one]) == mixed([one, {}]) == ""
    assert mixed([one, two]) == "These runs mix device CPU (x86_64) and NVIDIA H100."
    both = {"device": ["CPU (x86_64)", "NVIDIA H100"], "torch": ["2.12.0", "2.13.0"]}
    expected = "These runs mix device CPU (x86_64) and NVIDIA H100; torch 2.12.0 and 2.13.0."
    assert mixed([both]) == mixed([both, one]) == mixed([one, two, both]) == expected


def test_a_caption_says_what_runs_mix(tmp_path):
    work = work_of(tmp_path, environments=[{"precision": ["bfloat16", "float32"]}])
    run(work)
    for ending in ("md", "tex", "html"):
        assert "These runs mix precision bfloat16 and float32." in (work.folder / f"figure.{ending}").read_text()
