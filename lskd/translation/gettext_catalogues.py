"""The messages of programs in their translations: gettext's compiled catalogues; `root` is a folder of locales.

`root`/LOCALE/LC_MESSAGES/*.mo, on most systems /usr/share/locale. Messages are in English ("en"). The format is that of
"The Format of GNU MO Files" in gettext's manual; it is read here since Python's gettext compiles a catalogue's plural
formula.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from lskd.errors import UserError
from lskd.translation.pairs import Pair, check_pair

_FORMAT = re.compile(r"%(?:\d+\$)?(?:\([^)]*\))?[-+ #0]*[\d*]*(?:\.[\d*]+)?[hlqjzt]*[a-zA-Z%]|\{[^{}]*\}")
_CHARSET = re.compile(r"charset=([\w.:-]+)")
_ENGLISH = "en"

Messages = dict[str, str]
"""A message, with its context before EOT if it has one -> its translation."""


def load(root: Path, source: str, target: str) -> Iterator[Pair]:
    """The messages of the catalogues that both languages have; a document is a catalogue.

    Plural forms are left out, and messages whose format strings ("%s", "{name}") are others than the translation's.
    """
    catalogues = {locale: _catalogues(root, locale) for locale in _locales(root, source, target)}
    for name in sorted(set.intersection(*map(set, catalogues.values()))):
        messages = {locale: read(paths[name]) for locale, paths in catalogues.items()}
        for message in next(iter(messages.values())):
            texts = {locale: each[message] for locale, each in messages.items() if message in each}
            if _ENGLISH in (source, target):
                texts[_ENGLISH] = message.split("\x04")[-1]
            if len(texts) == 2 and _formats(texts[source]) == _formats(texts[target]):
                yield Pair(name, texts[source], texts[target])


def files(root: Path, source: str, target: str) -> list[Path]:
    """The catalogues of both languages; UserError where a locale is not there."""
    locales = _locales(root, source, target)
    return [path for locale in locales for _, path in sorted(_catalogues(root, locale).items())]


def _locales(root: Path, source: str, target: str) -> list[str]:
    """The locales that are read: both languages', or one beside English, in which messages are."""
    available = {path.parent.parent.name for path in root.glob("*/LC_MESSAGES/*.mo")}
    if not available:
        raise UserError(f"{root}: no LOCALE/LC_MESSAGES/*.mo in it; give a folder of catalogues: /usr/share/locale")
    check_pair("gettext", source, target, available | {_ENGLISH})
    return [language for language in (source, target) if language != _ENGLISH]


def _catalogues(root: Path, locale: str) -> dict[str, Path]:
    return {path.stem: path for path in (root / locale / "LC_MESSAGES").glob("*.mo")}


def read(path: Path) -> Messages:
    """The messages of a .mo file that have one form. UserError where it is damaged."""
    try:
        content = path.read_bytes()
        order = {0x950412DE: "<", 0xDE120495: ">"}[struct.unpack_from("<I", content)[0]]
        count, originals, translations = struct.unpack_from(f"{order}3I", content, 8)
        texts = [_texts(content, f"{order}{2 * count}I", start) for start in (originals, translations)]
        charset = _CHARSET.search(dict(zip(*texts, strict=True)).get(b"", b"").decode("ascii", "replace"))
        decode = charset[1] if charset else "ascii"
        return {
            message.decode(decode): translation.decode(decode)
            for message, translation in zip(*texts, strict=True)
            if message and b"\0" not in message
        }
    except (OSError, KeyError, LookupError, ValueError, struct.error) as error:
        raise UserError(f"{path}: no catalogue of gettext ({' '.join(str(error).split())[:100]}); delete it") from None


def _texts(content: bytes, pattern: str, start: int) -> list[bytes]:
    """The texts of a table of (length, offset)."""
    numbers = struct.unpack_from(pattern, content, start)
    spans = list(zip(numbers[::2], numbers[1::2], strict=True))
    if any(offset + length > len(content) for length, offset in spans):
        raise ValueError("a text runs beyond the file's end")
    return [content[offset : offset + length] for length, offset in spans]


def _formats(text: str) -> list[str]:
    return sorted(_FORMAT.findall(text))
