"""Coverage-guided fuzzing with atheris, which is no requirement of lskd: install it into a throw-away environment.

`python -m tests.fuzz.guided TARGET -runs=10000`, where TARGET is config, store or archive. An input that ends in
another error than lskd's own is kept in a file crash-... in the current folder.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lskd"]):
    from lskd.errors import UserError
    from lskd.jobs import archive
    from lskd.study import reading
    from tests.fuzz import test_store

FOLDER = Path(tempfile.mkdtemp(prefix="lskd-guided-"))


def config(content: bytes) -> None:
    """A study's file, read and checked."""
    path = FOLDER / "study.yaml"
    path.write_bytes(content)
    reading.parse(reading.read(path))


def store(content: bytes) -> None:
    """A file of logits or features as it is, and as one whose seal fits."""
    path = FOLDER / "logits.parquet"
    for each in (content, test_store.resealed(content) if len(content) > 12 else b""):
        path.write_bytes(each)
        try:
            test_store.read_whole_store(path)
        except UserError:
            continue


def pack(content: bytes) -> None:
    """A pack's table and list, its container sealed again."""
    path = FOLDER / "pack.zip"
    ending = archive.COMMENT + b"0" * archive.DIGITS
    path.write_bytes(content[: -len(ending)] + ending)
    archive.seal(path)
    with archive.opened(path):
        pass


TARGETS: dict[str, Callable[[bytes], None]] = {"config": config, "store": store, "archive": pack}


def seeds(target: str) -> list[bytes]:
    """Valid inputs, from which others are made."""
    if target == "config":
        from tests.fuzz import test_config

        return test_config.TEXTS
    if target == "store":
        return [test_store.LOGITS, test_store.FEATURES]
    from tests.jobs import packed

    return [packed.packed().read_bytes()]


def main() -> None:
    """Fuzz one target."""
    name, *options = sys.argv[1:]
    target, corpus = TARGETS[name], FOLDER / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds(name)):
        (corpus / str(number)).write_bytes(content)

    def once(content: bytes) -> None:
        try:
            target(content)
        except UserError as error:
            assert "\n" not in str(error)

    atheris.Setup([sys.argv[0], str(corpus), "-timeout=5", "-max_len=500000", *options], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
