"""Catalogues of gettext, against Python's own reader."""

import gettext
import struct

import pytest

from lskd.errors import UserError
from lskd.translation.gettext_catalogues import files, load, read

HEADER = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n != 1;\n"
GERMAN = {
    "": HEADER,
    "Open a file": "Datei öffnen",
    "menu\x04Open": "Öffnen",
    "%d file\0%d files": "%d Datei\0%d Dateien",
    "Copy %s to %s": "%s nach %s kopieren",
    "Lost %s": "Verloren",
    "{name} at 100%": "{name} bei 100 %",
}
RUSSIAN = {"": HEADER, "Open a file": "Открыть файл", "Only here": "Только здесь"}


def write_catalogue(path, messages, order="<", charset="utf-8"):
    """A .mo file, as msgfmt makes it but for the hash table."""
    texts = [sorted((m.encode(charset), t.encode(charset)) for m, t in messages.items())]
    originals, translations = zip(*texts[0], strict=True)
    start = 28 + 16 * len(originals)
    tables, body = [], b""
    for table in (originals, translations):
        spans = []
        for text in table:
            spans += [len(text), start + len(body)]
            body += text + b"\0"
        tables.append(struct.pack(f"{order}{len(spans)}I", *spans))
    header = struct.pack(f"{order}7I", 0x950412DE, 0, len(originals), 28, 28 + 8 * len(originals), 0, start)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + b"".join(tables) + body)
    return path


@pytest.fixture
def root(tmp_path):
    write_catalogue(tmp_path / "de/LC_MESSAGES/tool.mo", GERMAN)
    write_catalogue(tmp_path / "ru/LC_MESSAGES/tool.mo", RUSSIAN, order=">")
    write_catalogue(tmp_path / "de/LC_MESSAGES/other.mo", {"": HEADER, "Print it": "Drucken"})
    return tmp_path


@pytest.mark.parametrize("order", ["<", ">"])
def test_messages_are_those_that_python_reads(tmp_path, order):
    path = write_catalogue(tmp_path / "a.mo", GERMAN, order)
    with path.open("rb") as file:
        python = gettext.GNUTranslations(file)
    messages = read(path)
    assert len(messages) == len(GERMAN) - 2  # neither the header nor plural forms
    for message, translation in messages.items():
        assert python.gettext(message) == translation != message


def test_another_charset(tmp_path):
    messages = {"": HEADER.replace("UTF-8", "ISO-8859-1"), "Open": "Öffnen"}
    assert read(write_catalogue(tmp_path / "a.mo", messages, charset="latin-1")) == {"Open": "Öffnen"}


def test_pairs_with_english_leave_out_plurals_and_lost_formats(root):
    pairs = {(pair.document, pair.source, pair.target) for pair in load(root, "en", "de")}
    assert pairs == {
        ("other", "Print it", "Drucken"),
        ("tool", "Open a file", "Datei öffnen"),
        ("tool", "Open", "Öffnen"),
        ("tool", "Copy %s to %s", "%s nach %s kopieren"),
        ("tool", "{name} at 100%", "{name} bei 100 %"),
    }
    assert {(pair.target, pair.source) for pair in load(root, "de", "en")} == {pair[1:] for pair in pairs}


def test_two_translations_meet_in_their_message(root):
    assert [(pair.source, pair.target) for pair in load(root, "de", "ru")] == [("Datei öffnen", "Открыть файл")]
    assert [path.relative_to(root).as_posix() for path in files(root, "ru", "de")] == [
        "ru/LC_MESSAGES/tool.mo",
        "de/LC_MESSAGES/other.mo",
        "de/LC_MESSAGES/tool.mo",
    ]


def test_what_is_not_there_or_damaged_is_one_line(root, tmp_path):
    with pytest.raises(UserError, match="gettext: found the pair en-fr; two different of de, en, ru are there"):
        files(root, "en", "fr")
    with pytest.raises(UserError, match=r"no LOCALE/LC_MESSAGES/\*\.mo in it"):
        files(tmp_path / "none", "en", "de")
    path = root / "de/LC_MESSAGES/tool.mo"
    content = path.read_bytes()
    for damaged in (b"", b"no catalogue", content[:40], content[:-30], b"\0" * 100):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"tool\.mo: no catalogue of gettext"):
            list(load(root, "en", "de"))
