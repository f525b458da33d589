"""What a footer says is judged, though its seal fits: whoever can write a file can seal it."""

import json
import time

import numpy as np
import pytest

from lskd.errors import UserError
from lskd.io import footer
from lskd.io.store import open_logits, write_logits


def sealed_again(content: bytes) -> bytes:
    """A store's bytes under a seal that fits what they say now."""
    start = len(content) - int.from_bytes(content[-8:-4], "little") - 8
    outside = content[:4] + content[start:]
    at = start - 4 + footer.seal_at(outside)
    return content[:at] + footer.sealed(outside).encode() + content[at + footer.DIGITS :]


def with_index(path, change):
    """A file of 7 rows of 3 logits whose index says something else, in as many bytes."""
    rows = np.arange(7)
    write_logits(path, [(0, rows, rows, np.zeros((7, 3)))], 3, "float32", {"from": "here"})
    content = path.read_bytes()
    at = content.rfind(b'{"draws"')
    end = content.index(b"}", at) + 1
    index = json.dumps(change(json.loads(content[at:end]))).encode()
    assert len(index) <= end - at
    path.unlink()
    path.write_bytes(sealed_again(content[:at] + index.ljust(end - at) + content[end:]))


def test_what_is_not_changed_is_read(tmp_path):
    with_index(tmp_path / "l.parquet", lambda index: index)
    assert open_logits(tmp_path / "l.parquet").read_draw(0)[0].tolist() == list(range(7))


@pytest.mark.parametrize(
    "groups",
    [
        [[0, 10**12, 4, 300, ""]],  # 12 TB in memory
        [[0, 8, 4, 300, ""]],
        [[0, -7, 4, 300, ""]],
        [[0, 7, 4, 10**15, ""]],
        [[0, 7.0, 4, 300, ""]],
        [[0, 7, "4", 300, ""]],
        [[0, 7]],
        [[0, 7, 4, 300, ""], [0]],
        [],
        {},
        None,
    ],
)
def test_an_index_that_lies_takes_no_memory(tmp_path, groups):
    path = tmp_path / "l.parquet"
    with_index(path, lambda index: index | {"groups": groups})
    start = time.monotonic()
    with pytest.raises(UserError, match=r"l\.parquet: its footer is none that lskd writes") as caught:
        open_logits(path)
    assert "\n" not in str(caught.value) and time.monotonic() - start < 5


@pytest.mark.parametrize("index", [[], "x", {"draws": [0]}, {"draws": [[]], "samples": 7, "groups": []}])
def test_an_index_of_another_form(tmp_path, index):
    with_index(tmp_path / "l.parquet", lambda _: index)
    with pytest.raises(UserError, match="its footer is none that lskd writes"):
        open_logits(tmp_path / "l.parquet")
