"""LibreOffice's help: alignment against a brute-force reading by html.parser."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.translation.libreoffice import files, load, sentence_pairs, text_of

INSTALLED = Path("/usr/share/libreoffice")
needs_help = pytest.mark.skipif(
    not all((INSTALLED / f"help/{name}").is_dir() for name in ("en-US", "de", "ru")),
    reason="needs Debian's libreoffice-help-en-us, -de and -ru",
)

PAGE = """<html><body><div id="DisplayArea">
<h1 id="hd_id1" dir="auto"><a name="x"></a>{0[0]}</h1>
<p id="par_id2" class="paragraph" dir="auto">{0[1]} <a href="y.html"><span class="emph">{0[2]}</span></a>.</p>
<p class="embedded" dir="auto">No id, so it is left out.</p>
<p id="par_id3" class="code" dir="auto">print "code is left out too"</p>
<div><p id="par_id2" class="paragraph" dir="auto">{0[3]}</p></div>
<p id="par_id4" dir="auto">{0[4]}</p>
<p id="bm_module" dir="auto">debug</p></div></body></html>
"""
ENGLISH = ["A first heading", "See the other", "page &amp; more", "Again the same id", "One is short. Two is longer."]
GERMAN = [
    "Eine erste Überschrift",
    "Siehe die andere",
    "Seite &amp; mehr",
    "Nochmals dieselbe Id",
    "Nur ein ganzer Satz",
]


class Reader(HTMLParser):
    """The text of each element with an id, in the order in which they end: slow and plain."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attributes):
        if tag in ("p", "h1", "h2", "h3", "h4", "h5", "h6"):
            self.open.append([dict(attributes), ""])
        elif tag in ("br", "img"):
            self.handle_data(" ")

    def handle_data(self, data):
        for element in self.open:
            element[1] += data

    def handle_endtag(self, tag):
        if tag in ("p", "h1", "h2", "h3", "h4", "h5", "h6"):
            attributes, text = self.open.pop()
            self.texts.append((attributes.get("id", ""), attributes.get("class") or "", " ".join(text.split())))


def brute_force(source: str, target: str) -> list[tuple[str, str]]:
    """The pairs of two pages: for each paragraph of the first, the first unused one of the second with its id."""
    pages = []
    for page in (source, target):
        reader = Reader()
        reader.feed(page)
        pages.append([one for one in reader.texts if one[0].startswith(("par_", "hd_"))])
    pairs = []
    for name, kind, text in pages[0]:
        partner = next((other for other in pages[1] if other[0] == name), None)
        if partner is not None:
            pages[1].remove(partner)
            if "code" not in kind and "code" not in partner[1]:
                pairs += sentence_pairs(text, partner[2])
    return [pair for pair in pairs if min(len(side.split()) for side in pair) >= 3]


def write_help(root: Path, **pages: str) -> Path:
    for language, page in pages.items():
        path = root / "help" / language.replace("_", "-") / "text/swriter/one.html"
        path.parent.mkdir(parents=True)
        path.write_text(page)
    return root


@pytest.fixture
def root(tmp_path):
    return write_help(
        tmp_path, en_US=PAGE.format(ENGLISH), de=PAGE.format(GERMAN), ru=PAGE.format(["три слова да"] * 5)
    )


def test_alignment_is_that_of_a_brute_force_reading(root):
    pairs = [(pair.source, pair.target) for pair in load(root, "en", "de")]
    assert pairs == brute_force(PAGE.format(ENGLISH), PAGE.format(GERMAN))
    assert pairs[1:3] == [
        ("See the other page & more.", "Siehe die andere Seite & mehr."),
        ("Again the same id", "Nochmals dieselbe Id"),
    ]
    assert {(pair.document, pair.split) for pair in load(root, "en", "de")} == {("text/swriter/one", "")}


def test_both_directions_and_any_two_languages(root):
    forth = [(pair.source, pair.target) for pair in load(root, "en", "de")]
    assert [(pair.target, pair.source) for pair in load(root, "de", "en")] == forth
    assert next(load(root, "ru", "de")).target == "Eine erste Überschrift"


def test_of_a_switch_the_default_or_first_case_is_read():
    case = '<span hidden="true" id="{0}x_1" class="{0}">{1}</span>'
    switch = '<span id="swlnsysx_1" class="switchinline">{}</span>'
    default = '<span hidden="true" id="defaultx_1"><span class="keycode">Ctrl</span></span>'
    key = switch.format(case.format("MAC", "Command") + default)
    assert text_of(f"Press {key}<span class='keycode'>+F</span>.") == "Press Ctrl+F."
    assert text_of("In " + switch.format(case.format("WIN", "one") + case.format("UNIX", "two"))) == "In one"
    nested = switch.format(case.format("MAC", "no") + f'<span id="defaultx_2">a {key} b</span>')
    assert text_of(f"{nested} c<br>d") == "a Ctrl b c d"


def test_paragraphs_are_cut_where_both_have_as_many_sentences():
    assert sentence_pairs("One. Two! Three?", "Eins. Zwei! Drei?") == [
        ("One.", "Eins."),
        ("Two!", "Zwei!"),
        ("Three?", "Drei?"),
    ]
    assert sentence_pairs("One. Two.", "Eins, zwei.") == [("One. Two.", "Eins, zwei.")]
    assert sentence_pairs("See e.g. this.", "Siehe z. b. dies.") == [("See e.g. this.", "Siehe z. b. dies.")]


def test_files_are_those_of_both_languages(root):
    names = [path.relative_to(root / "help").as_posix() for path in files(root, "en", "de")]
    assert names == ["en-US/text/swriter/one.html", "de/text/swriter/one.html"]


def test_what_is_not_there_is_one_line(root, tmp_path):
    with pytest.raises(
        UserError, match="libreoffice_help: found the pair en-fr; two different of de, en, ru are there"
    ):
        files(root, "en", "fr")
    with pytest.raises(UserError, match="found the pair en-en"):
        next(load(root, "en", "en"))
    with pytest.raises(UserError, match="no help/LANGUAGE/text in it; apt-get install libreoffice-help-en-us"):
        files(tmp_path / "nothing", "en", "de")
    (root / "help/de/text/new.html").write_text("")
    with pytest.raises(UserError, match=r"the page text/new\.html is there in one of en and de alone"):
        files(root, "en", "de")


def test_a_page_that_is_no_text_is_one_line(root):
    (root / "help/de/text/swriter/one.html").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"one\.html: cannot be read .*; install its package anew"):
        list(load(root, "en", "de"))


@needs_help
@pytest.mark.parametrize("page", ["swriter/guide/anchor_object", "scalc/01/04060104"])
def test_real_pages_are_aligned_as_by_brute_force(page):
    pages = [(INSTALLED / f"help/{name}/text/{page}.html").read_text() for name in ("en-US", "de")]
    expected = brute_force(*pages)
    pairs = [(pair.source, pair.target) for pair in load(INSTALLED, "en", "de") if pair.document == f"text/{page}"]
    assert len(pairs) > 20 and pairs == expected
