"""A corpus that needs no download: short sentences of LibreOffice's help in English, German and Russian.

help_extract.tsv is made by workflow/help_extract.py of Debian's packages; it is under the Mozilla Public License 2.0,
as its first line says. `root` is not used.
"""

from collections.abc import Iterator
from pathlib import Path

from lskd.translation.pairs import Pair, check_pair, read_lines

FILE = Path(__file__).with_name("help_extract.tsv")
LANGUAGES = ("en", "de", "ru")


def load(root: Path, source: str, target: str) -> Iterator[Pair]:
    """The sentences of two of the three languages; a document is a page of the help."""
    check_pair("help_extract", source, target, LANGUAGES)
    for line in read_lines(FILE)[1:]:
        document, *texts = line.split("\t")
        sentence = dict(zip(LANGUAGES, texts, strict=True))
        yield Pair(document, sentence[source], sentence[target])


def files(root: Path, source: str, target: str) -> list[Path]:
    """The file beside this module."""
    check_pair("help_extract", source, target, LANGUAGES)
    return [FILE]
