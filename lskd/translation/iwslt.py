"""IWSLT 2014's TED talks (Cettolo et al., 2014), split as fairseq's prepare-iwslt14.sh does; `root` holds the archive.

The unpacked archive of the two languages (de-en.tgz, ru-en.tgz): a folder such as de-en/ with train.tags.* and
IWSLT14.TED*.xml; it serves both directions. Of the talks' sentences that are well formed (as the script has it: at most
175 words, a ratio of at most 1.5; words by spaces here, by Moses' tokeniser there) every 23rd is val. Test is dev2010,
TEDX.dev2012 (English and German alone have it), tst2010, tst2011 and tst2012 one after the other. The licence is CC
BY-NC-ND 3.0, as the archive's README says. No digest of the archives was published: what is there when a job is planned
is recorded and looked at again when it runs.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lskd.errors import UserError
from lskd.translation.cleaning import is_well_formed
from lskd.translation.pairs import Pair, aligned, are_there
from lskd.translation.segments import segment_pairs

_EVERY = 23
_LONGEST = 175
_TESTS = ("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")
_TEDX = "TEDX.dev2012"
_ALONE = re.compile(r"\s*<(?:url|talkid|keywords)>")
_AROUND = re.compile(r"</?(?:title|description)>")


def load(root: Path, source: str, target: str) -> Iterator[Pair]:
    """The pairs of train, val and test; a document is a talk. UserError as `files`, or where files are not aligned."""
    folder, sides = _folder(root, source, target)
    yield from _talks(*_couple(folder, sides, source, target, ""))
    for name in _tests(folder, sides):
        yield from segment_pairs(*_couple(folder, sides, source, target, name), name)


def files(root: Path, source: str, target: str) -> list[Path]:
    """The files that are read; UserError where one is missing."""
    folder, sides = _folder(root, source, target)
    names = ["", *_tests(folder, sides)]
    listed = [path for name in names for path in _couple(folder, sides, source, target, name)]
    return are_there(listed, f"unpack {sides}.tgz of IWSLT 2014 (WIT3, 2014-01) at {root}")


def _folder(root: Path, source: str, target: str) -> tuple[Path, str]:
    """The folder of a pair of languages and the pair as it is written in its files."""
    for sides in (f"{source}-{target}", f"{target}-{source}"):
        if source != target and (root / sides).is_dir():
            return root / sides, sides
    unpacked = sorted(path.name for path in root.glob("*-*") if path.is_dir())
    raise UserError(
        f"{root}: no folder {source}-{target} or {target}-{source}; there are {', '.join(unpacked) or 'none'}: unpack "
        f"{target}-{source}.tgz of IWSLT 2014 (WIT3, 2014-01) there"
    )


def _tests(folder: Path, sides: str) -> list[str]:
    has_tedx = sides in ("de-en", "en-de") or next(folder.glob(f"IWSLT14.{_TEDX}.*"), None)
    return [name for name in _TESTS if name != _TEDX or has_tedx]


def _couple(folder: Path, sides: str, source: str, target: str, name: str) -> tuple[Path, Path]:
    """The files of both languages: of train, or of a test set's name."""
    pattern = f"IWSLT14.{name}.{sides}.{{}}.xml" if name else f"train.tags.{sides}.{{}}"
    return folder / pattern.format(source), folder / pattern.format(target)


def _talks(sources: Path, targets: Path) -> Iterator[Pair]:
    talk = count = 0
    for text, translation in aligned(sources, targets):
        if _ALONE.match(text):
            talk += "<url>" in text
            continue
        text, translation = (_AROUND.sub("", side).strip() for side in (text, translation))
        is_fit = is_well_formed(text, translation, _LONGEST)
        count += is_fit
        yield Pair(f"train/{talk:05}", text, translation, "val" if is_fit and count % _EVERY == 0 else "train")
