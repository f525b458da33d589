"""The page of a study: what stands on it, in which order, and that it is whole in itself."""

import json
import re
from html.parser import HTMLParser

import pytest

from lskd.errors import UserError
from lskd.figures import study_page
from lskd.figures.study_page import Drawing
from lskd.io.seal import seal

PNG = b"\x89PNG not quite"
RECORD = {
    "title": "demo/mine/grid",
    "address": "0123456789",
    "spec": {"kind": "grid", "study": "mine", "options": {"temperatures": [1, 64]}},
    "seeds": [0, 1, 2],
    "made_on": {"device": ["CPU (x86_64)"], "torch": ["2.13.0"]},
    "versions": {"python": "3.11.0", "matplotlib": "3.11.1"},
    "commit": "a" * 40,
    "seconds": 3.25,
    "made": "2026-11-24T13:00:00+00:00",
}


class Page(HTMLParser):
    """What a page holds: its texts in their order, and every address that it names."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.addresses, self.ids, self._skipped = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._skipped = tag in ("style", "script")
        named = dict(attributes)
        self.addresses += [named[key] for key in ("href", "src") if key in named]
        self.ids += [named["id"]] if "id" in named else []

    def handle_endtag(self, tag):
        self._skipped = False

    def handle_data(self, data):
        if not self._skipped and data.strip():
            self.texts.append(data.strip())


def drawing(folder, figure="grid", answer="", **changes):
    about = {
        "title": figure,
        "figure": figure,
        "study": "mine",
        "scale": "demo",
        "kind": figure,
        "caption": f"{answer} The caption of {figure}.".strip(),
        "formula": f"f({figure})",
        "columns": ["Teacher with", "Verdict"],
        "rows": [["no smoothing", f"row of {figure}"]],
        "answer": answer,
        "from": [{"title": f"demo/mine/{figure}/accuracy", "address": "11", "runs": ["runs/b-22", "runs/a-33"]}],
    }
    return Drawing(folder, about | changes, PNG, RECORD)


def test_the_verdict_stands_first_then_a_table_of_contents_then_every_figure(tmp_path):
    drawings = [drawing(tmp_path), drawing(tmp_path, "verdict", "It hurts."), drawing(tmp_path, "stability")]
    page = Page(study_page.study_page("My study", drawings, ["projection"]))
    assert page.texts[:2] == ["My study", "My study"]  # the window's title, then the page's
    text = " | ".join(page.texts)
    order = [
        "It hurts.",
        "row of verdict",
        "The caption of verdict.",
        "f(verdict)",
        "Figures",
        "Not drawn yet: projection.",
    ]
    order += [
        "The caption of grid.",
        "f(grid)",
        "row of grid",
        "The caption of stability.",
        "f(stability)",
        "row of stability",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert page.ids == ["verdict", "grid", "stability"]
    assert text.count("It hurts.") == 1  # not again in its caption


def test_without_a_verdict_it_opens_on_its_figures(tmp_path):
    page = Page(study_page.study_page("My study", [drawing(tmp_path)]))
    assert page.texts.index("Figures") == 3
    assert "#grid" in page.addresses


def test_it_says_where_each_figure_came_from_and_nothing_that_varies(tmp_path):
    text = study_page.study_page("My study", [drawing(tmp_path)])
    texts = Page(text).texts
    shown = dict(zip(texts, texts[1:], strict=False))
    assert json.loads(shown["Asked for"]) == RECORD["spec"]
    assert shown["Metrics"] == "demo/mine/grid/accuracy 11"
    assert texts[texts.index("Made of (2)") + 1 :][:2] == ["runs/a-33", "runs/b-22"]
    assert shown["Seeds"] == "0, 1, 2"
    assert shown["Made on"] == "device CPU (x86_64); torch 2.13.0"
    assert shown["Drawn by"] == "python 3.11.0, matplotlib 3.11.1"
    assert (shown["Commit"], shown["Address"]) == ("a" * 40, "0123456789")
    assert "3.25" not in text and "2026" not in text


def test_it_is_whole_in_itself_and_links_only_to_what_lies_beside_it(tmp_path):
    text = study_page.study_page("My study", [drawing(tmp_path), drawing(tmp_path, "verdict", "It hurts.")])
    addresses = Page(text).addresses
    assert [a for a in addresses if not re.match(r"data:image/png|#grid$|(grid|verdict)\.(csv|pdf|svg|html)$", a)] == []
    assert len([a for a in addresses if a.startswith("data:")]) == 2
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert "Content-Security-Policy" in text and "default-src 'none'" in text


def test_a_page_tells_its_own_damage(tmp_path):
    page = study_page.study_page("My study", [drawing(tmp_path)]).encode()
    assert study_page.is_whole(page)
    damaged = [b"", page[:-1], page[: len(page) // 2], page + b"\n", page.replace(b"grid", b"grif", 1)]
    damaged += [page[:i] + bytes([page[i] ^ 1]) + page[i + 1 :] for i in range(0, len(page), 97)]
    assert not any(map(study_page.is_whole, damaged))


def test_every_text_is_escaped(tmp_path):
    hostile = '<script>"&'
    given = drawing(tmp_path, caption=hostile, formula=hostile, columns=[hostile, "n"], rows=[[hostile, hostile]])
    record = RECORD | {"commit": hostile, "spec": {"x": hostile}}
    text = study_page.study_page(hostile, [Drawing(tmp_path, given.about | {"title": hostile}, PNG, record)])
    assert Page(text).texts.count(hostile) == 9  # title twice, heading, caption, formula, head, two cells, commit
    report = study_page.opening(hostile, [given]) + study_page.caption(given)
    assert hostile not in text and hostile not in report


def test_a_folder_is_read_with_its_seal(tmp_path):
    folder = tmp_path / "grid-0123456789"
    folder.mkdir()
    given = drawing(folder)
    (folder / "figure.json").write_text(json.dumps(given.about))
    (folder / "figure.png").write_bytes(PNG)
    seal(folder, ["figure.json", "figure.png"], RECORD)
    read = study_page.read(folder)
    assert (read.about, read.picture) == (given.about, PNG)
    (folder / "figure.png").write_bytes(PNG + b"!")
    with pytest.raises(UserError, match="figure.png: damaged"):
        study_page.read(folder)


def test_the_report_opens_on_the_answer_and_links_to_each_picture(tmp_path):
    drawings = [drawing(tmp_path / "a"), drawing(tmp_path / "b", "verdict", "It hurts.")]
    text = study_page.opening("My study", drawings)
    texts = Page(text).texts
    assert texts[:2] == ["My study", "It hurts."]
    assert [name for name in texts if name in ("verdict", "grid")] == ["verdict", "grid"]
    for folder in ("a", "b"):
        assert f"{tmp_path}/{folder}/figure.png" in text
    assert max(map(len, text.splitlines())) < 10_000  # docutils takes no longer line
