"""Hostile input, and what is asked of whoever reads it: its value or one line, in five seconds, nothing elsewhere.

`LSKD_FUZZ=full` tries 10,000 inputs of each kind instead of 200, other ones at each run.
"""

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.io.seal import sealed

IS_FULL = os.environ.get("LSKD_FUZZ") == "full"
EXAMPLES = 10_000 if IS_FULL else 200
SECONDS = 5.0
LONGEST_LINE = 5_000  # characters
RENDERED = [  # of what a user's or a stranger's file may hold
    *("", " ", "\0", "\n", "-n", "--help", "..", "../..", "/", "/etc/passwd", "a/b", "~", "~root", "$HOME", "$(id)"),
    *("'", '"', "';id;'", "{x}", "{seed}", "%s", "*", "?", "é☃\u202e", "\ud800", "\x1b[2J", "a" * 5_000, "a\nb"),
    *("con", "a.", ".a", "a..b", "resnet8", "timm/../x", "timm//x", "digits", "npz", "__import__('os')", "1e3", "0x1"),
]
VALUES: list[Any] = [
    *RENDERED,
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        7,
        0.5,
        2**31,
        2**63,
        10**12,
        10**400,
        -(10**30),
        float("nan"),
        float("inf"),
        1e-320,
    ),
    *([], [[]], [0], ["x"], [None], [0] * 1_200, {}, {"x": 1}, {"..": {}}, {"": None}),
]


def fuzzing(examples: int) -> settings:
    """Settings for so many inputs: the same ones at each run, unless all are tried."""
    checks = list(HealthCheck)
    return settings(
        max_examples=examples, deadline=None, derandomize=not IS_FULL, database=None, suppress_health_check=checks
    )


fuzzed = fuzzing(EXAMPLES)


class TooLong(BaseException):
    """Raised within what takes more than its time; no reader may catch it."""


@contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """End what works longer; what does not let itself be ended fails as soon as it is over.

    It is the time of the processor, as others may work on the machine; what waits is ended by pytest's own limit.
    """

    def end(number: int, frame: Any) -> None:
        raise TooLong(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    started = time.process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert time.process_time() - started < seconds


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file and folder below a folder, with its size and time of change."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


def refused(read: Callable[[], Any], guarded: Path) -> UserError | None:
    """Read hostile input: None, or the one line that refuses it. Anything else fails, as does a write to `guarded`."""
    before, error = listing(guarded), None
    with limited():
        try:
            read()
        except UserError as line:
            error = line
    assert listing(guarded) == before
    if error is not None:
        assert "\n" not in str(error) and 10 < len(str(error)) < LONGEST_LINE
    return error


def mutations(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    """Valid files with a few places flipped, cut, repeated, swapped, zeroed or taken from another; and random bytes."""
    edit = st.tuples(
        st.sampled_from(["flip", "set", "cut", "insert", "repeat", "swap", "zeros", "other", "end", "begin"]),
        st.integers(0, 2**31),
        st.integers(0, 2**31),
        st.binary(min_size=1, max_size=8),
    )
    edited = st.builds(_edited, st.sampled_from(valid), st.sampled_from(valid), st.lists(edit, min_size=1, max_size=4))
    return st.one_of(edited, edited, edited, st.binary(max_size=200))


def _edited(content: bytes, other: bytes, edits: list[tuple[str, int, int, bytes]]) -> bytes:
    for how, first, second, new in edits:
        if not content:
            return new
        content = _edit(content, other, how, first % len(content), second % len(content), new)[: 1 << 20]
    return content


def _edit(content: bytes, other: bytes, how: str, at: int, to: int, new: bytes) -> bytes:
    size = 1 + to % min(64, len(content))
    before, after = content[:at], content[at:]
    return {
        "flip": before + bytes([content[at] ^ (1 << to % 8)]) + after[1:],
        "set": before + new + after[len(new) :],
        "cut": before + after[size:],
        "insert": before + new + after,
        "repeat": content[: at + size] + after,
        "swap": content[max(at, to) :] + content[min(at, to) : max(at, to)] + content[: min(at, to)],
        "zeros": before + bytes(size) + after[size:],
        "other": before + other[at : at + size] + after[size:],
        "end": before,
        "begin": after,
    }[how]


def places(value: Any, *path: Any) -> list[tuple[Any, ...]]:
    """The path of each value within nested mappings and lists."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, inner in below for each in places(inner, *path, key))]


def put(value: Any, path: tuple[Any, ...], new: Any, how: str) -> Any:
    """A copy of nested values with one of them set, deleted, called otherwise or put a level deeper."""
    if not path:
        return {"set": new, "delete": {}, "rename": {str(new)[:50]: value}, "deeper": [value]}[how]
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest or how in ("set", "deeper"):
        copy[key] = put(value[key], tuple(rest), new, how)
    elif how == "delete" or isinstance(copy, list):
        del copy[key]
    else:
        copy[str(new)] = copy.pop(key)
    return copy


def trees(valid: list[Any], values: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    """Valid nested values with a few of them set, deleted, called otherwise or put a level deeper."""
    change = st.tuples(
        st.integers(0, 2**31),
        st.sampled_from(VALUES) if values is None else values,
        st.sampled_from(["set", "set", "set", "delete", "rename", "deeper"]),
    )
    return st.builds(_changed, st.sampled_from(valid), st.lists(change, min_size=1, max_size=3))


def _changed(value: Any, changes: list[tuple[int, Any, str]]) -> Any:
    for place, new, how in changes:
        paths = places(value)
        value = put(value, paths[place % len(paths)], new, how)
    return value


def as_sealed(value: Any) -> bytes:
    """JSON text with a seal that fits it, as whoever knows lskd can write; that of what cannot be sealed as it is."""
    rest = {key: each for key, each in value.items() if key != "seal"} if isinstance(value, dict) else value
    return json.dumps(sealed(rest) if isinstance(rest, dict) else rest).encode()


def json_files(valid: list[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    """Hostile sealed records: changed bytes, and changed values under a seal that fits."""
    deep = st.integers(10, 100_000).map(lambda levels: b'{"seal":' + b"[" * levels)
    return st.one_of(mutations([as_sealed(each) for each in valid]), trees(valid).map(as_sealed), deep)


def content_of(write: Callable[[Path], object]) -> bytes:
    """What `write` writes into a file; in a folder of its own, as several processes collect the same tests at once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()


def written(path: Path, content: bytes) -> Path:
    """A file with this content, which no write of the reader's may change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
