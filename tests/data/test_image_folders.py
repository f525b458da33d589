import subprocess
import sys
from pathlib import Path

import pytest

from lskd.data.image_folders import image_folders, images
from lskd.data.layouts import given_splits


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_images_are_sorted_and_only_images(tmp_path):
    touch(tmp_path, "b/2.JPG", "a/1.png", "a/deep/0.webp", "a/notes.txt", "a/.hidden.png", ".cache/3.png")
    assert images(tmp_path) == [tmp_path / name for name in ("a/1.png", "a/deep/0.webp", "b/2.JPG")]


def test_images_are_sorted_by_the_bytes_of_their_paths(tmp_path):
    touch(tmp_path, "d/1.png", "d-2/1.png", "D.png", "é.png", "z.png")
    assert images(tmp_path) == [tmp_path / name for name in ("D.png", "d-2/1.png", "d/1.png", "z.png", "é.png")]


def test_linked_images_are_listed_but_linked_folders_not_entered(tmp_path):
    touch(tmp_path, "a/1.png", "elsewhere/2.png")
    (tmp_path / "a/link.png").symlink_to(tmp_path / "elsewhere/2.png")
    (tmp_path / "a/folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a")
    (tmp_path / "a/folder.png").mkdir()
    assert images(tmp_path / "a") == [tmp_path / "a/1.png", tmp_path / "a/link.png"]


def test_none_where_none_are(tmp_path):
    assert images(tmp_path / "missing") == []


def test_imports_neither_torch_nor_numpy():
    code = (
        "import lskd.data.image_folders, lskd.data.layouts, sys;"
        "assert not {'torch', 'numpy', 'PIL', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("names", "given"),
    [
        (("cat", "dog"), set()),
        (("train", "test"), {"test"}),
        (("train", "val"), {"test"}),
        (("train", "val", "test"), {"test", "val"}),
    ],
)
def test_the_splits_that_are_given(names, given, tmp_path):
    for name in names:
        touch(tmp_path, f"{name}/cat/1.png", f"{name}/dog/1.png")
    assert given_splits("imagefolder", tmp_path) == given
    assert given_splits("digits", tmp_path) == given_splits("imagefolder", tmp_path / "gone") == set()
    if given:
        expected = {tmp_path / name / part for name in names for part in ("cat", "dog")}
    else:
        expected = {tmp_path / name for name in names}
    assert set(image_folders(tmp_path)) == expected
