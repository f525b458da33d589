"""Folders of small files, and what is said of their content."""

from pathlib import Path

import pytest

from lskd.data.content import content
from lskd.errors import UserError

NAMES = [f"{name}/{index}.png" for name in ("a", "b") for index in range(3)]


def write(root: Path, images: dict[str, bytes]) -> None:
    for name, data in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def uncached(root: Path | str) -> dict:
    return content("imagefolder", str(root), None, False)


def refuses(root: Path, *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        uncached(root)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)
