"""The report and a study's page in a headless Chromium: they open on its answers, pictures load, tables sort and
filter, nothing comes from outside, and nothing lies beyond the edge of a window.
"""

import base64
import csv
import json
import random
from pathlib import Path

import pytest

from lskd.figures.page import page
from lskd.study import registry as tables
from tests.workflow.browser import OVERFLOW, WIDTHS, Browser, cells_beyond
from tests.workflow.conftest import KINDS, OF_IMAGES

FIGURES = sorted(f"the_{kind}" for kind in OF_IMAGES)
FORMULAS = {"the_grid": "(1 − α) onehot(y) + α/K", "the_stability": "of |p_i − mean p|² (Shen 2021, eq. 2)"}
HEADS = "[...document.querySelectorAll('thead th')].map(e => e.innerText.trim().toLowerCase())"
CELLS = "[...document.querySelectorAll('tbody tr')].filter(r => !r.hidden).map(r => [...r.cells].map(c => c.innerText))"
LISTED, ANSWERED = CELLS.replace("tbody tr", "nav tbody tr"), CELLS.replace("tbody tr", ".study tbody tr")
INSIDE = ("file:", "data:", "blob:")
IN_WORDS = {kind for kind in OF_IMAGES if tables.FIGURES[kind].judges != "none"} | {"teacher_student"}
ANSWERS = [f"the_{kind}" for kind in OF_IMAGES if kind in IN_WORDS]  # which come first
PAGE = "results/figures/demo/kinds/index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def file(every_kind, tmp_path_factory) -> Path:
    """The report of a study with a figure of each kind."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    text = every_kind.run("--report", str(path))
    assert "WARNING" not in text
    return path


@pytest.fixture
def report(browser, file) -> Browser:
    """The report, opened, in the list of its results."""
    browser.open(file.as_uri())
    browser.wait("!!document.querySelector('#app nav')")
    click(browser, "Results")
    browser.wait(f"{HEADS}.includes('alpha')")
    return browser


def click(browser: Browser, text: str) -> None:
    """Click the one link or switch with this text."""
    alike = f"[...document.querySelectorAll('#app a, #app label')].filter(e => e.innerText.trim() === '{text}')"
    assert browser.run(f"{alike}.length") == 1
    browser.run(f"{alike}[0].click()")


def look_at(browser: Browser, figure: str, form: str, button: str = "eye") -> None:
    """Choose picture or table, then view this figure, or read its caption."""
    click(browser, form)
    browser.wait(f"document.querySelector('#app input[value={form}]').checked")
    row = f"[...document.querySelectorAll('#app tbody tr')].find(r => r.cells[0].innerText === '{figure}')"
    browser.run(f"{row}.querySelectorAll('a')[{['eye', 'about'].index(button)}].click()")


def inner(browser: Browser) -> str:
    """The page inside the report, once it is loaded."""
    browser.wait("document.querySelector('#app iframe')?.src.startsWith('data:text/html')")
    (frame,) = browser.send("Page.getFrameTree")["frameTree"]["childFrames"]
    identity = frame["frame"]["id"]
    browser.wait("document.readyState === 'complete' && !!document.querySelector('output')?.value", identity)
    return identity


def sort_by(browser: Browser, column: int, frame: str | None = None) -> list[list[str]]:
    """The rows after a click on a column's head."""
    browser.run(f"document.querySelectorAll('th button')[{column}].click()", frame)
    return browser.run(CELLS, frame)


def type_in(browser: Browser, text: str, frame: str | None = None) -> list[list[str]]:
    """The rows left by a filter."""
    change = "const i = document.querySelector('input'); i.value = typed; i.dispatchEvent(new Event('input'))"
    browser.run(f"(typed => {{ {change} }})({text!r})", frame)
    return browser.run(CELLS, frame)


def test_results_stand_under_their_study_with_labels(report):
    categories = report.run("categories")
    assert list(categories) == ["A tiny study"]
    results = report.run("Object.values(results).map(({name, labels}) => ({name, labels}))")
    pairs = [(result["labels"]["figure"], result["name"]) for result in results]
    assert sorted(pairs) == [(figure, f"figure.{end}") for figure in FIGURES for end in ("html", "png")]
    for result in results:
        end = result["name"].partition(".")[2]
        assert result["labels"] == {
            "figure": result["labels"]["figure"],
            "alpha": "0, 0.1",
            "T": "1, 3",
            "data": "digits",
            "scale": "demo",
            "as": "picture" if end == "png" else "table",
        }
    assert report.run(HEADS)[:5] == ["figure", "alpha", "t", "data", "scale"]
    assert [row[:5] for row in report.run(LISTED)] == [[f, "0, 0.1", "1, 3", "digits", "demo"] for f in FIGURES]


@pytest.mark.parametrize("figure", FORMULAS)
def test_pictures_load_and_captions_state_the_formula(report, every_kind, figure):
    look_at(report, figure, "picture")
    source = report.wait("document.querySelector('#app img[src^=\"data:image/png\"]')?.src")
    picture = "document.querySelector('#app img[src^=\"data:image/png\"]')"
    report.wait(f"{picture}.complete")
    assert report.run(f"{picture}.naturalWidth") > 300
    kept = every_kind.folder / f"results/figures/demo/kinds/{figure}.png"
    assert base64.b64decode(source.partition("base64,")[2]) == kept.read_bytes()

    look_at(report, figure, "picture", "about")
    text = report.wait("document.querySelector('#app .prose-invert')?.innerText")
    assert FORMULAS[figure] in text
    assert "System Message" not in text
    assert '"scale": "demo", "study": "kinds"' in text
    assert "predictions/digits/mlp-w8/one/ls0.1/seed0-" in text


def test_it_opens_on_the_answers_and_each_figure_is_one_click_away(browser, file, every_kind):
    browser.open(file.as_uri())
    browser.wait("!!document.querySelector('.study img')?.complete")
    pages = [every_kind.folder / "results/figures/demo/kinds" / name for name in ANSWERS]
    abouts = [json.loads(page.with_suffix(".json").read_text()) for page in pages]
    answers = browser.run("[...document.querySelectorAll('.study .answer')].map(e => e.innerText)")
    assert answers == [about["answer"] for about in abouts]
    sources = browser.run("[...document.querySelectorAll('.study img')].map(e => e.src)")
    pictures = [base64.b64decode(source.replace("%0A", "").partition("base64,")[2]) for source in sources]
    assert pictures == [each.with_suffix(".png").read_bytes() for each in pages]
    assert browser.run(ANSWERED) == [row for about in abouts for row in about["rows"]]
    links = "[...document.querySelectorAll('.study li a')]"
    assert sorted(browser.run(f"{links}.map(e => e.innerText)")) == FIGURES
    browser.run(f"{links}.find(e => e.innerText === 'the_grid').click()")
    source = browser.wait("document.querySelector('#app img[src^=\"data:image/png\"]')?.src")
    kept = pages[0].with_name("the_grid.png")
    assert base64.b64decode(source.partition("base64,")[2]) == kept.read_bytes()
    assert "onehot(y)" in browser.wait("document.querySelector('#app .prose-invert')?.innerText")
    assert browser.errors == []


@pytest.mark.parametrize("width", WIDTHS)
def test_what_the_report_opens_on_fits_its_window(browser, file, width):
    with browser.window(width):
        browser.open(file.as_uri())
        browser.wait("!!document.querySelector('.study img')?.complete")
        assert browser.run(OVERFLOW) <= 0
        assert browser.run(cells_beyond(width)) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_a_study_fits_its_window(browser, every_kind, width):
    with browser.window(width):
        browser.open((every_kind.folder / PAGE).as_uri())
        assert browser.run(OVERFLOW) <= 0
        browser.run("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert browser.run(OVERFLOW) <= 0
        for answer in ANSWERS:
            assert browser.run(cells_beyond(width, f"#{answer}")) == []


def test_the_page_of_a_study_shows_every_figure_and_asks_for_nothing(browser, every_kind):
    browser.open((every_kind.folder / PAGE).as_uri())
    sections = browser.run("[...document.querySelectorAll('section')].map(e => e.id)")
    assert sections == [*ANSWERS, *sorted(set(FIGURES) - {*ANSWERS}, key=list(KINDS["figures"]).index)]
    assert browser.run("[...document.images].every(e => e.naturalWidth > 300)")
    folder = (every_kind.folder / PAGE).parent
    links = browser.run("[...document.querySelectorAll('section nav a')].map(e => e.getAttribute('href'))")
    assert sorted(links) == sorted(f"{figure}.{end}" for figure in FIGURES for end in ("csv", "pdf", "svg", "html"))
    assert all((folder / link).is_file() for link in links)
    assert {address.partition(":")[0] for address in browser.requests} <= {"file", "data"}
    assert [address for address in browser.requests if address.startswith("file:")] == [
        (folder / "index.html").as_uri()
    ]
    assert browser.errors == []


def test_a_click_enlarges_a_picture_and_its_numbers_sort(browser, every_kind):
    browser.open((every_kind.folder / PAGE).as_uri())
    browser.run("document.querySelector('#the_grid .picture').click()")
    assert browser.run("document.querySelector('dialog').open")
    assert browser.run("document.querySelector('dialog img').width") >= 900
    browser.run("document.querySelector('dialog').click()")
    assert not browser.run("document.querySelector('dialog').open")
    browser.run("document.querySelector('#the_grid details').open = true")
    numbers = "[...document.querySelectorAll('#the_grid tbody tr')].map(r => parseFloat(r.cells[2].innerText))"
    before = browser.run(numbers)
    browser.run("document.querySelectorAll('#the_grid th button')[2].click()")
    assert browser.run(numbers) == sorted(before)
    assert browser.run("document.querySelectorAll('#the_verdict th[aria-sort=ascending]').length") == 0


def test_tables_sort_and_filter_within_the_report(report, every_kind):
    look_at(report, "the_grid", "table")
    frame = inner(report)
    rows = report.run(CELLS, frame)
    assert [row[1] for row in rows] == ["-", "T = 1", "T = 3"]
    numbers = [float(row[2].split(" ")[0]) for row in rows]
    ascending = sort_by(report, 2, frame)
    assert [float(row[2].split(" ")[0]) for row in ascending] == sorted(numbers)
    descending = sort_by(report, 2, frame)
    assert [float(row[2].split(" ")[0]) for row in descending] == sorted(numbers, reverse=True)
    assert [row[1] for row in type_in(report, "t = 3", frame)] == ["T = 3"]
    assert report.run("document.querySelector('output').value", frame) == "1 of 3 rows"
    assert len(type_in(report, "", frame)) == 3
    link = report.run("(({download, href}) => [download, href])(document.querySelector('a[download]'))", frame)
    kept = every_kind.folder / "results/figures/demo/kinds/the_grid.csv"
    assert link[0] == "the_grid.csv"
    assert base64.b64decode(link[1].partition("base64,")[2]) == kept.read_bytes()


def test_nothing_is_fetched_from_outside_and_no_script_fails(report):
    for figure in FIGURES:
        look_at(report, figure, "picture")
        report.wait("document.querySelector('#app img[src^=\"data:image/png\"]')?.naturalWidth > 300")
        look_at(report, figure, "table")
        inner(report)
    for name in ("Workflow", "Statistics"):
        report.run("document.querySelector('#app nav ol a').click()")  # home
        report.wait(f"[...document.querySelectorAll('#app a')].some(e => e.innerText.trim() === '{name}')")
        click(report, name)
        report.wait("document.querySelectorAll('#app svg.marks, #app canvas').length > 0")
    parts = ("file:", "data:image/png", "data:text/html")
    counts = [sum(address.startswith(part) for address in set(report.requests)) for part in parts]
    assert counts == [1, len(FIGURES) + len(ANSWERS), len(FIGURES)]  # what it opens on has its own pictures
    assert [address[:100] for address in report.requests if not address.startswith(INSIDE)] == []
    assert report.errors == []


def test_a_fetch_from_outside_would_be_seen(browser, tmp_path):
    (tmp_path / "bad.html").write_text("<img src='http://127.0.0.1:9/x.png'><script>missing()</script>")
    browser.open((tmp_path / "bad.html").as_uri())
    assert "http://127.0.0.1:9/x.png" in browser.requests
    assert any("missing is not defined" in error for error in browser.errors)


# what a column's cells may look like, each in its ascending order; what is missing comes last
COLUMNS = {
    "numbers with spread": ["−12.50 ± 0.10 (3)", "−0.004", "0", "+0.3", "9.95 ± 1.00 (2)", "71.43", "—", "-"],
    "chances": ["<0.001", "0.002", "0.03", "0.040", "0.5", "0.60", "1.000", "—"],
    "degrees": ["T = 1", "T = 2", "T = 3", "T = 8", "T = 16", "T = 64", "-", "-"],
    "names": ["alexnet", "resnet8-w4", "resnet8-w16", "Resnet20-w16", "vgg11", "vgg16", "—", "—"],
    "hostile": [
        "<b>a</b>",
        "&amp;",
        "\"'><script>document.title='x'</script>",
        "{{ 1 }}",
        "${1}",
        "</table>",
        "é",
        "α",
    ],
}


@pytest.fixture
def shuffled(browser, tmp_path) -> Browser:
    """A table of those columns, each in a random order of its own."""
    columns = [random.Random(name).sample(cells, len(cells)) for name, cells in COLUMNS.items()]
    rows = list(zip(*columns, strict=True))
    path = Path(tmp_path, "shuffled.html")
    text = page('a "b"', "<i>title</i>", "1 < 2 & </p>", "a<b", list(COLUMNS), rows, "x,y\n1,é\n")
    path.write_text(text, encoding="utf-8")
    browser.open(path.as_uri())
    assert browser.run(CELLS) == [list(row) for row in rows]
    return browser


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "hostile"])
def test_sorts_numbers_as_numbers_and_names_as_names(shuffled, name):
    column, cells = list(COLUMNS).index(name), COLUMNS[name]
    numbers = [cell for cell in cells if cell not in ("-", "—")]
    for order, expected in (("ascending", numbers), ("descending", numbers[::-1])):
        ordered = [row[column] for row in sort_by(shuffled, column)]
        assert ordered[: len(numbers)] == expected
        assert set(ordered[len(numbers) :]) <= {"-", "—"}
        sorts = shuffled.run("[...document.querySelectorAll('th')].map(e => e.ariaSort)")
        assert sorts == [order if i == column else "none" for i in range(len(COLUMNS))]
    right = shuffled.run("[...document.querySelectorAll('th')].map(e => e.classList.contains('number'))")
    assert right == [True, True, False, False, False]


def test_filters_by_every_word_whatever_its_case(shuffled):
    everything = shuffled.run(CELLS)
    searches = {"T = 64": ["t = 64"], "VGG 3": ["vgg", "3"], "a T = 2 e": ["a", "t = 2", "e"], "<B>": ["<b>"]}
    for typed, words in (searches | {"no row has this": ["no", "row", "has", "this"], " ": []}).items():
        expected = [row for row in everything if all(any(word in cell.lower() for cell in row) for word in words)]
        assert type_in(shuffled, typed) == expected
        assert shuffled.run("document.querySelector('output').value") == f"{len(expected)} of {len(everything)} rows"
    (left,) = type_in(shuffled, "T = 64")
    assert sort_by(shuffled, 0) == [left]  # sorting keeps the filter


def test_a_table_is_text_alone_and_asks_for_nothing(shuffled):
    assert shuffled.run("document.title") == "<i>title</i>"
    assert shuffled.run("document.querySelector('h1').innerText") == "<i>title</i>"
    assert shuffled.run("document.querySelector('p').innerText") == "1 < 2 & </p>"
    assert shuffled.run("document.querySelectorAll('script, link, img, iframe').length") == 1
    assert shuffled.run("document.querySelector('a').download") == 'a "b".csv'
    data = shuffled.run("document.querySelector('a').href").partition("base64,")[2]
    assert list(csv.reader(base64.b64decode(data).decode().splitlines())) == [["x", "y"], ["1", "é"]]
    asked = shuffled.run("fetch('http://127.0.0.1:9/').then(() => 'went out', error => error.name)")
    assert asked == "TypeError"
    assert any("Content Security Policy" in error for error in shuffled.errors)
