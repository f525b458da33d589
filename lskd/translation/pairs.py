"""A sentence pair, and how the files of corpora are read. No torch and no NumPy: planning looks at these files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence and its translation, as they stand in `document`.

    `split` is the published one ("train", "val" or "test"), or "" where lskd splits by document.
    """

    document: str
    source: str
    target: str
    split: str = ""


def read_lines(path: Path) -> list[str]:
    r"""The lines of a UTF-8 text file, which end in "\n" (or "\r\n") alone, as `wc -l` counts them.

    Raises UserError where it cannot be read or, with the line's number, is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); put that file there") from None
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [_decoded(path, number, line.removesuffix(b"\r")) for number, line in enumerate(lines, 1)]


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        byte = f"byte {error.start + 1} is 0x{line[error.start]:02x}"
        raise UserError(f"{path}: line {number} is not UTF-8 ({byte}); iconv -f latin1 -t utf8 mends Latin-1") from None


def aligned(sources: Path, targets: Path) -> Iterator[tuple[str, str]]:
    """The lines of two files side by side; UserError where one has more lines than the other."""
    source_lines, target_lines = read_lines(sources), read_lines(targets)
    if len(source_lines) != len(target_lines):
        shorter, longer = sorted([(len(source_lines), sources), (len(target_lines), targets)], key=lambda side: side[0])
        raise UserError(
            f"{shorter[1]}: {shorter[0]:,} lines, but {longer[1].name} has {longer[0]:,} (line {shorter[0] + 1} of it "
            "has no partner); line i of one is to be the translation of line i of the other"
        )
    return zip(source_lines, target_lines, strict=True)


def are_there(paths: Iterable[Path], mend: str) -> list[Path]:
    """The paths, if all are files; UserError names the first that is not and says `mend`."""
    listed = list(paths)
    for path in listed:
        if not path.is_file():
            raise UserError(f"{path}: no such file; {mend}")
    return listed


def check_pair(corpus: str, source: str, target: str, languages: Iterable[str]) -> None:
    """UserError unless source and target are two of a corpus' languages."""
    available = sorted(languages)
    missing = [language for language in (source, target) if language not in available]
    if missing or source == target:
        raise UserError(
            f"{corpus}: found the pair {source}-{target}; two different of {', '.join(available) or 'none'} are there"
        )
