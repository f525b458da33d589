"""Make lskd/translation/help_extract.tsv anew: sentences of LibreOffice's help in English, German and Russian.

    .venv/bin/python workflow/help_extract.py [ROOT]

ROOT is the folder that holds `help/` (/usr/share/libreoffice), from Debian's packages libreoffice-help-en-us, -de and
-ru. Pages are taken whole, in the order of a digest of their names, until there are 1,200 sentences; of a page those
that are translated into both, in 4 to 12 words, and were not there before. The same packages give the same bytes.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from lskd.io.atomic import write_text
from lskd.translation.cleaning import clean, key
from lskd.translation.help_extract import FILE, LANGUAGES
from lskd.translation.libreoffice import load

SENTENCES = 1200
WORDS = range(4, 13)
NOTICE = (
    "# Sentences of LibreOffice 7.4's help (Debian's libreoffice-help-en-us, -de, -ru 4:7.4.7), chosen by "
    "workflow/help_extract.py: page, English, German, Russian. Copyright the LibreOffice contributors. This Source "
    "Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was not distributed "
    "with this file, You can obtain one at https://mozilla.org/MPL/2.0/."
)


def triples(root: Path) -> Iterator[tuple[str, ...]]:
    """The page and three texts of each English sentence that is translated into both languages in as few words."""
    translations = []
    for language in LANGUAGES[1:]:
        pairs, _ = clean(load(root, "en", language), "en", language, longest=WORDS[-1])
        translations.append({(pair.document, pair.source): pair.target for pair in pairs})
    german, russian = translations
    for page, text in german:
        if (page, text) in russian:
            texts = (text, german[page, text], russian[page, text])
            if all(len(each.split()) in WORDS for each in texts):
                yield page, *texts


def chosen(root: Path) -> Iterator[tuple[str, ...]]:
    """Whole pages of these, without a text that was there before, until there are enough."""
    pages: dict[str, list[tuple[str, ...]]] = {}
    for page, *texts in triples(root):
        pages.setdefault(page.removeprefix("text/"), []).append(tuple(texts))
    seen: set[tuple[str, str]] = set()
    count = 0
    for page in sorted(pages, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if count >= SENTENCES:
            return
        for texts in pages[page]:
            keys = {(language, key(text)) for language, text in zip(LANGUAGES, texts, strict=True)}
            if seen.isdisjoint(keys):
                seen |= keys
                count += 1
                yield page, *texts


if __name__ == "__main__":
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/libreoffice")
    write_text(FILE, "\n".join([NOTICE, *map("\t".join, chosen(root))]) + "\n")
