"""LibreOffice's help in any two of its languages, as Debian packs it: aligned by file, paragraph and occurrence.

`root` is the folder that holds `help/`: with Debian's packages libreoffice-help-*, /usr/share/libreoffice. The licence
is MPL-2.0. The files and the ids of paragraphs are the same in every language. A paragraph that is there twice (an
embedded one) is paired with its equal by the order in which they come. Paragraphs of as many sentences in both are
split. Labels, of fewer than three words, are left out.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lskd.errors import UserError
from lskd.translation.cleaning import words
from lskd.translation.pairs import Pair, check_pair

_FEWEST_WORDS = 3
_PARAGRAPH = re.compile(r'<(p|h[1-6])\b[^>]*? id="((?:par|hd)_[^"]*)"([^>]*)>(.*?)</\1>', re.DOTALL)
_TAG = re.compile(r"(<[^>]*>)")
_CODE = re.compile(r'class="(?:smath)?code')
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\w\s]*([^\W_]))")
_TEXTLESS = re.compile(r"</?(?:br|img)\b")

Occurrence = tuple[str, int]
"""A paragraph's id, and how many of this id stood before it in its file."""


def load(root: Path, source: str, target: str) -> Iterator[Pair]:
    """The sentences of what is there in both languages; a document is a page. UserError as `files`."""
    folders = _folders(root, source, target)
    for page in _pages(folders[source]):
        sources, targets = (_paragraphs(folders[language] / page) for language in (source, target))
        for place, text in sources.items():
            if place in targets:
                for sentences in sentence_pairs(text, targets[place]):
                    if min(map(words, sentences, (source, target))) >= _FEWEST_WORDS:
                        yield Pair(page.removesuffix(".html"), *sentences)


def files(root: Path, source: str, target: str) -> list[Path]:
    """The pages of both languages. UserError where a language is not installed or a page is there in one alone."""
    folders = _folders(root, source, target)
    pages = {language: _pages(folder) for language, folder in folders.items()}
    odd = sorted(set(pages[source]) ^ set(pages[target]))
    if odd:
        raise UserError(
            f"{root}: the page {odd[0]} is there in one of {source} and {target} alone; install the help of both in "
            "one version"
        )
    return [folders[language] / page for language in (source, target) for page in pages[language]]


def languages(root: Path) -> dict[str, Path]:
    """Every installed language, and where its pages lie; "en" stands for en-US."""
    folders = {path.parent.name: path.parent for path in sorted((root / "help").glob("*/text"))}
    return {"en" if name == "en-US" else name: folder for name, folder in folders.items()}


def _folders(root: Path, source: str, target: str) -> dict[str, Path]:
    available = languages(root)
    if not available:
        raise UserError(
            f"{root}: no help/LANGUAGE/text in it; apt-get install libreoffice-help-en-us libreoffice-help-de, whose "
            "root is /usr/share/libreoffice"
        )
    check_pair("libreoffice_help", source, target, available)
    return {language: available[language] for language in (source, target)}


def _pages(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("text/**/*.html"))


def _paragraphs(page: Path) -> dict[Occurrence, str]:
    """The text of each paragraph and heading of a page that has an id, code left out."""
    try:
        content = page.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{page}: cannot be read ({error}); install its package anew") from None
    seen: Counter[str] = Counter()
    paragraphs = {}
    for _, name, attributes, inner in _PARAGRAPH.findall(content):
        if not _CODE.search(attributes):
            paragraphs[name, seen[name]] = text_of(inner)
        seen[name] += 1
    return paragraphs


def text_of(inner: str) -> str:
    """The text of a paragraph's HTML; of what differs by system or program (a "switch") the default or first case."""
    parts = [""]  # the text of the paragraph, then of each case that is open
    cases: list[
        list[tuple[bool, str]]
    ] = []  # of each switch that is open: whether one is not the default, and its text
    opened: list[str] = []  # the spans that are open: "switch", "case", "default" or ""
    for token in _TAG.split(inner):
        if token.startswith("<span"):
            kind = _kind(token, opened)
            opened.append(kind)
            if kind == "switch":
                cases.append([])
            elif kind:
                parts.append("")
        elif token == "</span>" and opened:
            kind = opened.pop()
            if kind == "switch":
                parts[-1] += min(cases.pop(), key=lambda case: case[0], default=(True, ""))[1]
            elif kind:
                cases[-1].append((kind == "case", parts.pop()))
        elif _TEXTLESS.match(token):
            parts[-1] += " "
        elif not token.startswith("<"):
            parts[-1] += html.unescape(token)
    return " ".join("".join(parts).split())


def sentence_pairs(source: str, target: str) -> list[tuple[str, str]]:
    """Two paragraphs as pairs of sentences, or as one pair where they have not equally many."""
    sources, targets = _sentences(source), _sentences(target)
    return list(zip(sources, targets, strict=True)) if len(sources) == len(targets) else [(source, target)]


def _sentences(paragraph: str) -> list[str]:
    """A paragraph cut after each ".", "!" or "?" whose next word begins with a capital or a digit."""
    sentences, start = [], 0
    for gap in _SENTENCE.finditer(paragraph):
        if not gap[1].islower():
            sentences.append(paragraph[start : gap.start()])
            start = gap.end()
    return [*sentences, paragraph[start:]]


def _kind(tag: str, opened: list[str]) -> str:
    if 'class="switchinline"' in tag:
        return "switch"
    if opened and opened[-1] == "switch":
        return "default" if 'id="default' in tag else "case"
    return ""
