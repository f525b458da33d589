"""The test sets of evaluation campaigns: XML or SGML files of documents and their segments."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from lskd.errors import UserError
from lskd.translation.pairs import Pair, read_lines

_MARK = re.compile(r'<doc\b[^>]*?\bdocid="([^"]*)"|<seg\b[^>]*?\bid="?([^">\s]*)"?[^>]*>(.*?)</seg>', re.DOTALL | re.I)

Place = tuple[str, str]
"""The ids of a document and of a segment in it."""


def segment_pairs(sources: Path, targets: Path, name: str) -> Iterator[Pair]:
    """The segments of two files of one test set, in order; UserError where their ids differ."""
    source_texts, target_texts = read_segments(sources), read_segments(targets)
    if list(source_texts) != list(target_texts):
        odd = sorted(set(source_texts) ^ set(target_texts)) or [("?", "?")]
        raise UserError(
            f"{sources}: {len(source_texts):,} segments, and {len(target_texts):,} in {targets.name}; not the same, "
            f"such as {odd[0][1]} of document {odd[0][0]}; unpack their archive anew"
        )
    for (document, segment), text in source_texts.items():
        yield Pair(f"{name}/{document}", text, target_texts[document, segment], "test")


def read_segments(path: Path) -> dict[Place, str]:
    """The segments of a file in their order."""
    document, texts = "", dict[Place, str]()
    for name, segment, text in _MARK.findall("\n".join(read_lines(path))):
        if segment:
            texts[document, segment] = html.unescape(" ".join(text.split()))
        else:
            document = name
    if not texts:
        raise UserError(f'{path}: no <seg id="...">; unpack its archive anew')
    return texts
