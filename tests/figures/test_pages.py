"""Each figure's own page and a study's page with all of them, in a headless Chromium: nothing lies beyond an edge."""

import importlib

import pytest

from lskd.figures import study_page
from lskd.figures.render import render
from lskd.study import registry
from tests.analysis import taught
from tests.figures import synthetic
from tests.figures.test_study_page import RECORD
from tests.workflow.browser import OVERFLOW, WIDTHS, Browser, cells_beyond


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def frames_for(kind):
    if kind == "causes":
        return taught.study(
            lambda *how: 80 - 2 * how[-1], seeds=range(5), networks=(("resnet8-w16", "resnet8-w4"), ("a", "b"))
        ), {}
    if kind not in ("verdict", "summary"):
        return synthetic.frames_for(kind)
    rows = synthetic.runs(seeds=range(5))
    return {family: getattr(synthetic, family)(rows) for family in registry.FIGURES[kind].families}, {}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of each kind, and index.html with all of them."""
    folder = tmp_path_factory.mktemp("pages")
    drawings = []
    for kind, figure in registry.FIGURES.items():
        frames, options = frames_for(kind)
        module = importlib.import_module(figure.module)
        named = {"study": "mine", "figure": kind, "scale": "demo"}
        about = render(
            module.table, module.draw, frames, named | options, folder / kind, {}
        )  # of a paper, with its numbers
        about |= named | {
            "from": [{"title": "demo/mine/metric", "address": "1" * 10, "runs": ["runs/" + "long/" * 40]}]
        }
        drawings.append(study_page.Drawing(folder, about, (folder / f"{kind}.png").read_bytes(), RECORD))
    (folder / "index.html").write_text(study_page.study_page("All kinds", drawings), encoding="utf-8")
    return folder


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["index", *registry.FIGURES])
def test_no_page_and_no_cell_goes_beyond_its_window(browser, pages, name, width):
    with browser.window(width):
        browser.open((pages / f"{name}.html").as_uri())
        assert browser.run("window.innerWidth") == width
        browser.run("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert browser.run(OVERFLOW) <= 0
        assert browser.run(cells_beyond(width)) == []
    assert browser.errors == []


def test_a_cell_beyond_the_edge_would_be_seen(browser, pages):
    with browser.window(1000):
        browser.open((pages / "verdict.html").as_uri())
        assert "hurts" in browser.run(cells_beyond(1000))
        browser.run("document.querySelector('.box').style.overflow = 'visible'")
        assert browser.run(OVERFLOW) > 0


def test_a_phone_shows_the_verdict_of_a_row_first(browser, pages):
    with browser.window(400):
        browser.open((pages / "verdict.html").as_uri())
        tops = browser.run("[...document.querySelector('tbody tr').cells].map(e => e.getBoundingClientRect().top)")
        classes = browser.run("[...document.querySelector('tbody tr').cells].map(e => e.className)")
        assert classes[tops.index(min(tops))] == "verdict"
