"""WMT 2014, English and German (Bojar et al., 2014), as fairseq's prepare-wmt14en2de.sh reads it.

`root` holds the unpacked archives. Train is Europarl v7, Common Crawl and News Commentary (v9 as in WMT 2014, else v12
as the script has it); every 100th sentence is val, if it has at most 250 words and a ratio of at most 1.5; test is
newstest2014 (test-full). An archive that lies at `root` too is compared with the SHA-256 that TensorFlow Datasets lists
(url_checksums/wmt14_translate.txt).
"""

import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from lskd.errors import UserError
from lskd.translation.cleaning import is_well_formed
from lskd.translation.pairs import Pair, aligned, are_there, check_pair
from lskd.translation.segments import segment_pairs

ARCHIVES = {
    "training-parallel-europarl-v7.tgz": "0224c7c710c8a063dfd893b0cc0830202d61f4c75c17eb8e31836103d27d96e7",
    "training-parallel-commoncrawl.tgz": "c7a74e2ea01ac6c920123108627e35278d4ccb5701e15428ffa34de86fa3a9e5",
    "training-parallel-nc-v9.tgz": "cb8953f292298e6877ae433c98912b927cb0766b303f4540512ddd286c748485",
}

_EVERY = 100
_LONGEST = 250
_BLOCK = 100  # lines of a "document": the files do not say where one ends


def load(root: Path, source: str, target: str) -> Iterator[Pair]:
    """The pairs of train, val and test. UserError as `files`, or for an archive of another digest."""
    files(root, source, target)
    _check_archives(root)
    lines = chain.from_iterable(
        ((stem.name, number, *texts) for number, texts in enumerate(aligned(*_sides(stem, source, target))))
        for stem in _corpora(root)
    )
    for count, (name, number, text, translation) in enumerate(lines, 1):
        is_val = count % _EVERY == 0 and is_well_formed(text, translation, _LONGEST)
        yield Pair(f"{name}/{number // _BLOCK:06}", text, translation, "val" if is_val else "train")
    yield from segment_pairs(*_test(root, source, target), "newstest2014")


def files(root: Path, source: str, target: str) -> list[Path]:
    """The files that are read; UserError where one is missing."""
    check_pair("wmt14", source, target, ("de", "en"))
    listed = [path for stem in _corpora(root) for path in _sides(stem, source, target)]
    return are_there(
        [*listed, *_test(root, source, target)],
        f"unpack {', '.join(ARCHIVES)} (or training-parallel-nc-v12.tgz) and test-full.tgz of statmt.org at {root}",
    )


def _corpora(root: Path) -> list[Path]:
    """The three training corpora, without the suffix of the language."""
    version = "v9" if (root / "training/news-commentary-v9.de-en.en").is_file() else "v12"
    names = ("training/europarl-v7", "commoncrawl", f"training/news-commentary-{version}")
    return [root / f"{name}.de-en" for name in names]


def _sides(stem: Path, source: str, target: str) -> tuple[Path, Path]:
    return stem.with_name(f"{stem.name}.{source}"), stem.with_name(f"{stem.name}.{target}")


def _test(root: Path, source: str, target: str) -> tuple[Path, Path]:
    folder = root / "test-full"
    return folder / f"newstest2014-deen-src.{source}.sgm", folder / f"newstest2014-deen-ref.{target}.sgm"


def _check_archives(root: Path) -> None:
    for name, published in ARCHIVES.items():
        path = root / name
        if not path.is_file():
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != published:
            raise UserError(
                f"{path}: not the published archive (SHA-256 {digest[:12]}..., published {published[:12]}...); get it "
                "anew"
            )
